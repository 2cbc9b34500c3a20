// Package conn drives the connections of clients, whatever they speak: it decides when a
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
// # Who does what
//
// [Session] has the connection: its deadline, its read limit, TLS, and what it waits for
// (one [Wait] at a time). A [Dialogue] has the protocol: the machine, and the answers to the
// machine's questions. Nothing here knows a protocol, the store or the configuration.
//
// An [Edge] is what the sessions of all listeners share, a [Port] is what those of one
// listener share. [Clients] counts connections and says which are too many.
//
// # Whose goroutine
//
// A session belongs to the goroutine of its loop, and so does its dialogue. While the session
// waits, what it waits for belongs to a [Pool] or to the store; it comes back through the
// loop's mailbox. The books of Clients may be called from anywhere.
//
// # Deadlines
//
// A peer has a time for each command, from the last reply on; no octet of it renews that
// time. A reply renews it once the peer has taken all that was written before. A peer that
// does not take what is sent to it gets no more. A message has a [Progress].
//
// # TLS
//
// A handshake has the connection to itself: the session's handler is away until it is done,
// and comes back on top of a layer of package tlsio, with the greeting where TLS comes first,
// else as a machine that has forgotten what was said in clear text.
package conn
