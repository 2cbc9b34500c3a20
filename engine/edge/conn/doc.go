// Package conn drives client connections, whatever their protocol: it decides when a
// dialogue is fed, when it waits, and when it ends.
//
//	type session struct {
//		conn.Session              // implements loop.Handler
//		m            smtpd.Session // a pure machine
//	}
//
//	s := new(session)
//	if !s.Open(port, c, from, s) { // s implements conn.Dialogue
//		return conn.Refused{}
//	}
//	return s.Start()
//
// # Types
//
// A [Session] has the connection: its deadline, its read limit, TLS, and what it waits for
// (one [Wait] at a time). A [Dialogue] has the protocol: the machine, and the answers to the
// machine's questions. This package knows no protocol, no store and no configuration.
//
// An [Edge] is shared by the sessions on all listeners, a [Port] by the sessions on one
// listener. [Clients] counts connections and decides which are too many.
//
// # Whose goroutine
//
// A session belongs to its loop's goroutine, and so does its dialogue. While the session
// waits, a [Pool] or the store works for it, and answers through the loop's mailbox. The
// methods of Clients may be called from any goroutine.
//
// # For the operator
//
// [Edge.Look] lists and counts the open sessions, and [Edge.End] ends some of them. A task on
// each loop visits the loop's sessions in steps of some hundred; a session does nothing for
// that. [Edge.Trace] hands over the dialogues of sessions as they come: a session looks at one
// pointer for each read and write while there is no trace, and a loop never waits for a reader.
//
// # Deadlines
//
// A peer has a time for each command, from the last reply on. Octets of the command don't
// renew that time. A reply renews it once the peer has read all that was written before. A
// peer that does not read gets no more replies. A message has a [Progress].
//
// # TLS
//
// During a handshake the connection has another handler, and the session sees no input. Then
// the session continues on top of a layer of package tlsio: with the greeting if TLS came
// first, else as a machine that has forgotten all commands in clear text.
package conn
