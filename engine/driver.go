package engine

import (
	"time"

	"postrider/engine/loop"
)

// wait is what a session waits for, one thing at a time. No input is looked at meanwhile.
type wait uint8

const (
	nothing      wait = iota
	forAnswer         // another goroutine answers a question. No deadline: the peer is not late
	forTurn           // too many wrong passwords came for the name of a login: it is judged later
	forPenalty        // the delay of a failed login is not over
	forGreeting       // the client is looked up, or has to be silent, before it is greeted
	forHandshake      // the handshake of TLS has the connection
	forReplies        // the peer has to take the replies before its next command is looked at
	forListing        // the peer has to take a part of LIST or UIDL before the next part
	forPiece          // the peer has to take a piece of a message before the next piece
)

// isForReading says whether the peer has to read what was sent to it.
func (w wait) isForReading() bool { return w >= forReplies }

// dialogue is the half of a session that knows its protocol: a machine, and the answers to
// the machine's questions. The session calls it on the goroutine of its loop.
//
// The effects of a machine are the loop's, so they are emptied by begin before each call of
// the machine. carryOut does what they say, apart from the replies: it may set
// session.closing, or session.waits when a question can't be answered at once.
type dialogue interface {
	begin()             // empties the effects
	greet()             // the machine's Greet, or a wait for what comes before it
	feed(in []byte) int // gives the machine what it takes of in, and carries out
	timeOut()           // the machine's TimeOut
	shutDown()          // the machine's Shutdown
	secure()            // the machine's Secured
	carryOut()          // does what the effects say, answers what can be answered at once
	say()               // writes the replies
	left() bool         // the peer has ended the session with QUIT

	expect()                     // sets the read limit and the deadline for what the peer sends next
	spoke()                      // the peer sent something during a wait
	drained(w wait)              // the wait forListing or forPiece is over
	expired(w wait) (again bool) // the deadline of any other wait is over; again: there is a new one
	release()                    // gives back what a session that ends has no use for
	closed(err error)            // the last call
}

// start greets the peer, after the handshake where TLS comes first. It returns the first
// handler of the connection.
func (s *session) start() loop.Handler {
	if s.port.tls != nil {
		return s.handshake(s.port.tls)
	}
	s.greet()
	return s
}

func (s *session) greet() {
	s.dialogue.begin()
	s.dialogue.greet()
	s.dialogue.carryOut()
	s.finish()
}

// Input implements loop.Handler.
func (s *session) Input(c *loop.Conn, in []byte) int {
	if s.closing {
		return 0
	}
	if s.waits != nothing {
		s.dialogue.spoke()
		c.Pause() // what the session waits for comes first, and resumes
		return 0
	}
	s.dialogue.begin()
	n := s.dialogue.feed(in)
	s.unread = len(in) - n
	s.finish()
	return n
}

// write sends octets to the peer.
func (s *session) write(b []byte) {
	s.said = true
	s.conn.Write(b)
}

// send writes the replies. A peer that sends commands and does not read the replies gets
// no more of them, or it would have all memory.
func (s *session) send() {
	s.dialogue.say()
	if s.waits == nothing && !s.closing && s.conn.Pending() > maxUnsent {
		s.await(forReplies)
	}
}

// finish sends the replies and sets what the loop does next.
func (s *session) finish() {
	if s.closing {
		s.dialogue.release() // before the reply to QUIT: a client that reads it may log in again at once
	}
	s.send()
	switch {
	case s.closing && s.dialogue.left() && s.unread == 0:
		s.conn.Part()
	case s.closing:
		s.conn.Close()
	case s.eof && (s.waits == nothing || s.waits == forHandshake):
		s.dialogue.release()
		s.conn.Close()
	case s.waits == forHandshake:
		s.conn.SetHandler(s.handshake(s.port.starttls))
	case s.waits == nothing:
		s.dialogue.expect()
	}
}

// goOn ends a wait that needs no answer.
func (s *session) goOn() {
	s.waits = nothing
	s.dialogue.begin()
	s.resumed()
}

// resumed goes on after a wait. What the session had unread is presented again by the loop;
// a peer that has said goodbye with a FIN still gets the replies to it.
func (s *session) resumed() {
	eof := s.eof
	s.eof = eof && s.conn.Kept() == 0
	s.finish()
	s.eof = eof
	if !s.closing && s.waits == nothing {
		s.conn.Resume()
	}
}

// park waits for the answer of another goroutine. Reading is paused only when the peer
// sends something meanwhile, which most don't: that saves two system calls a message.
func (s *session) park() { s.waitFor(forAnswer, 0) }

// waitFor waits for w with a deadline; 0: none.
func (s *session) waitFor(w wait, limit time.Duration) {
	s.waits, s.timed = w, false
	s.conn.SetReadLimit(commandRead)
	s.conn.SetDeadline(limit)
}

// expectCommand gives the peer its time for the next command, from the last reply on. An
// octet of a command renews nothing, or a peer that sends one now and then would keep its
// session for ever. A reply renews the time when the peer has taken all that was written
// before: so a peer that sends commands, and takes the replies octet by octet, comes to an
// end. It is false when the deadline is the one of before.
func (s *session) expectCommand(limit time.Duration) (renewed bool) {
	s.conn.SetReadLimit(commandRead)
	if s.timed && !s.mayRenew() {
		return false
	}
	s.allow(limit)
	return true
}

// mayRenew says whether there was a reply since the deadline was set, and the peer has taken
// all that was written before.
func (s *session) mayRenew() bool { return s.said && s.conn.Taken() >= s.owed }

// allow sets the deadline of what the peer sends next.
func (s *session) allow(limit time.Duration) {
	s.timed, s.said = true, false
	s.owed = s.conn.Taken() + int64(s.conn.Pending())
	s.conn.SetDeadline(limit)
}

// maxUnsent is how many octets of replies may wait for a peer that does not read
// them before its next commands are looked at.
const maxUnsent = 64 << 10

// await waits until the peer has taken all that was sent to it. A peer that does not take
// it in time is cut off.
func (s *session) await(w wait) {
	s.waitFor(w, s.port.timeout)
	s.conn.WantDrained()
}

// Drained implements loop.Handler: the peer has taken what was sent.
func (s *session) Drained(*loop.Conn) {
	switch w := s.waits; w {
	case forReplies:
		s.goOn()
	case forListing, forPiece:
		s.dialogue.drained(w)
	}
}

// EOF implements loop.Handler: a half-closed peer still gets its replies, but commands
// that it has not sent, such as QUIT, are not carried out.
func (s *session) EOF(c *loop.Conn) {
	s.eof = true
	if s.waits == nothing {
		s.dialogue.release()
		c.Close()
	}
}

// Timeout implements loop.Handler.
func (s *session) Timeout(c *loop.Conn) {
	w := s.waits
	if !w.isForReading() && (s.dialogue.expired(w) || w != nothing) {
		return
	}
	if w == nothing && s.mayRenew() { // the peer has taken the rest since the last reply
		s.timed = false
		s.dialogue.expect()
		return
	}
	s.srv.stats.timeouts.Add(1)
	if w.isForReading() || c.Taken() < s.owed {
		s.reason = "stalled"
		c.Abort()
		return
	}
	s.reason = "timeout"
	s.dialogue.begin()
	s.dialogue.timeOut()
	s.dialogue.carryOut()
	s.closing = true
	s.finish()
}

// shutdown implements ender: it ends the session at the next point where nothing is lost
// by it, now or when the machine has come to the end of what it is at.
func (s *session) shutdown() {
	if s.closing {
		return
	}
	s.dialogue.begin()
	s.dialogue.shutDown()
	s.dialogue.carryOut()
	s.finish()
}

// secured goes on after the handshake: with the greeting where TLS comes first, else with
// what the client says now. All that it said before is forgotten.
func (s *session) secured() {
	s.waits = nothing
	s.dialogue.secure()
	if s.port.tls != nil {
		s.greet()
		return
	}
	s.dialogue.begin()
	s.finish()
}

// Closed implements loop.Handler.
func (s *session) Closed(_ *loop.Conn, err error) {
	s.dialogue.closed(err)
	s.close()
}
