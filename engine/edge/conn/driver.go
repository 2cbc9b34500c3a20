package conn

import (
	"time"

	"postrider/engine/edge/loop"
)

// Wait is what a session waits for, one thing at a time. No input is looked at meanwhile.
type Wait uint8

// The values of Wait.
const (
	Nothing      Wait = iota
	ForAnswer         // another goroutine answers a question. No deadline: the peer is not late
	ForTurn           // too many wrong passwords came for the name of a login: it is judged later
	ForPenalty        // the delay of a failed login is not over
	ForGreeting       // the client is looked up, or has to be silent, before it is greeted
	ForHandshake      // the handshake of TLS has the connection
	ForReplies        // the peer has to take the replies before its next command is looked at
	ForListing        // the peer has to take a part of LIST or UIDL before the next part
	ForPiece          // the peer has to take a piece of a message before the next piece
)

// isForReading says whether the peer has to read what was sent to it.
func (w Wait) isForReading() bool { return w >= ForReplies }

// Dialogue is the half of a session that knows its protocol: a machine, and the answers to
// the machine's questions. The session calls it on the goroutine of its loop.
//
// The effects of a machine are the loop's, so they are emptied by Begin before each call of
// the machine. CarryOut does what they say, apart from the replies: it may set
// Session.Closing, or Session.Waits when a question can't be answered at once.
type Dialogue interface {
	Begin()             // empties the effects
	Greet()             // the machine's Greet, or a wait for what comes before it
	Feed(in []byte) int // gives the machine what it takes of in, and carries out
	TimeOut()           // the machine's TimeOut
	ShutDown()          // the machine's Shutdown
	Secure()            // the machine's Secured
	CarryOut()          // does what the effects say, answers what can be answered at once
	Say()               // writes the replies
	Left() bool         // the peer has ended the session with QUIT

	Expect()                     // sets the read limit and the deadline for what the peer sends next
	Spoke()                      // the peer sent something during a wait
	Taken(w Wait)                // the wait ForListing or ForPiece is over
	Expired(w Wait) (again bool) // the deadline of any other wait is over; again: there is a new one
	Release()                    // gives back what a session that ends has no use for
	Ended(err error)             // the last call
}

// Start greets the peer, after the handshake where TLS comes first. It returns the first
// handler of the connection.
func (s *Session) Start() loop.Handler {
	if s.Port.TLS != nil {
		return s.handshake(s.Port.TLS)
	}
	s.greet()
	return s
}

func (s *Session) greet() {
	s.dialogue.Begin()
	s.dialogue.Greet()
	s.dialogue.CarryOut()
	s.finish()
}

// Input implements loop.Handler.
func (s *Session) Input(c *loop.Conn, in []byte) int {
	if s.Closing {
		return 0
	}
	if s.Waits != Nothing {
		s.dialogue.Spoke()
		c.Pause() // what the session waits for comes first, and resumes
		return 0
	}
	s.dialogue.Begin()
	n := s.dialogue.Feed(in)
	s.Unread = len(in) - n
	s.finish()
	return n
}

// Write sends octets to the peer.
func (s *Session) Write(b []byte) {
	s.said = true
	s.Conn.Write(b)
}

// Send writes the replies. A peer that sends commands and does not read the replies gets
// no more of them, or it would have all memory.
func (s *Session) Send() {
	s.dialogue.Say()
	if s.Waits == Nothing && !s.Closing && s.Conn.Pending() > MaxUnsent {
		s.Await(ForReplies)
	}
}

// finish sends the replies and sets what the loop does next.
func (s *Session) finish() {
	if s.Closing {
		s.dialogue.Release() // before the reply to QUIT: a client that reads it may log in again at once
	}
	s.Send()
	switch {
	case s.Closing && s.dialogue.Left() && s.Unread == 0:
		s.Conn.Part()
	case s.Closing:
		s.Conn.Close()
	case s.eof && (s.Waits == Nothing || s.Waits == ForHandshake):
		s.dialogue.Release()
		s.Conn.Close()
	case s.Waits == ForHandshake:
		s.Conn.SetHandler(s.handshake(s.Port.StartTLS))
	case s.Waits == Nothing:
		s.dialogue.Expect()
	}
}

// GoOn ends a wait that needs no answer.
func (s *Session) GoOn() {
	s.Waits = Nothing
	s.dialogue.Begin()
	s.Resumed()
}

// Resumed goes on after a wait. What the session had unread is presented again by the loop;
// a peer that has said goodbye with a FIN still gets the replies to it.
func (s *Session) Resumed() {
	eof := s.eof
	s.eof = eof && s.Conn.Kept() == 0
	s.finish()
	s.eof = eof
	if !s.Closing && s.Waits == Nothing {
		s.Conn.Resume()
	}
}

// Park waits for the answer of another goroutine. Reading is paused only when the peer
// sends something meanwhile, which most don't: that saves two system calls a message.
func (s *Session) Park() { s.WaitFor(ForAnswer, 0) }

// WaitFor waits for w with a deadline; 0: none.
func (s *Session) WaitFor(w Wait, limit time.Duration) {
	s.Waits, s.Timed = w, false
	s.Conn.SetReadLimit(CommandRead)
	s.Conn.SetDeadline(limit)
}

// ExpectCommand gives the peer its time for the next command, from the last reply on. An
// octet of a command renews nothing, or a peer that sends one now and then would keep its
// session for ever. A reply renews the time when the peer has taken all that was written
// before: so a peer that sends commands, and takes the replies octet by octet, comes to an
// end. It is false when the deadline is the one of before.
func (s *Session) ExpectCommand(limit time.Duration) (renewed bool) {
	s.Conn.SetReadLimit(CommandRead)
	if s.Timed && !s.mayRenew() {
		return false
	}
	s.Allow(limit)
	return true
}

// mayRenew says whether there was a reply since the deadline was set, and the peer has taken
// all that was written before.
func (s *Session) mayRenew() bool {
	said, owed := s.Renewal()
	return said && s.Conn.Taken() >= owed
}

// Renewal is what a renewal of the deadline depends on: whether something was written since
// it was set, and what Conn.Taken is once the peer has taken all that was written before.
func (s *Session) Renewal() (said bool, owed int64) { return s.said, s.owed }

// Allow sets the deadline of what the peer sends next.
func (s *Session) Allow(limit time.Duration) {
	s.Timed, s.said = true, false
	s.owed = s.Conn.Taken() + int64(s.Conn.Pending())
	s.Conn.SetDeadline(limit)
}

// MaxUnsent is how many octets of replies may wait for a peer that does not read
// them before its next commands are looked at.
const MaxUnsent = 64 << 10

// Await waits until the peer has taken all that was sent to it. A peer that does not take
// it in time is cut off.
func (s *Session) Await(w Wait) {
	s.WaitFor(w, s.Port.Timeout)
	s.Conn.WantDrained()
}

// Drained implements loop.Handler: the peer has taken what was sent.
func (s *Session) Drained(*loop.Conn) {
	switch w := s.Waits; w {
	case ForReplies:
		s.GoOn()
	case ForListing, ForPiece:
		s.dialogue.Taken(w)
	}
}

// EOF implements loop.Handler: a half-closed peer still gets its replies, but commands
// that it has not sent, such as QUIT, are not carried out.
func (s *Session) EOF(c *loop.Conn) {
	s.eof = true
	if s.Waits == Nothing {
		s.dialogue.Release()
		c.Close()
	}
}

// Timeout implements loop.Handler.
func (s *Session) Timeout(c *loop.Conn) {
	w := s.Waits
	if !w.isForReading() && (s.dialogue.Expired(w) || w != Nothing) {
		return
	}
	if w == Nothing && s.mayRenew() { // the peer has taken the rest since the last reply
		s.Timed = false
		s.dialogue.Expect()
		return
	}
	s.edge.Stats.Timeouts.Add(1)
	if w.isForReading() || c.Taken() < s.owed {
		s.Reason = "stalled"
		c.Abort()
		return
	}
	s.Reason = "timeout"
	s.dialogue.Begin()
	s.dialogue.TimeOut()
	s.dialogue.CarryOut()
	s.Closing = true
	s.finish()
}

// shutdown implements ender: it ends the session at the next point where nothing is lost
// by it, now or when the machine has come to the end of what it is at.
func (s *Session) shutdown() {
	if s.Closing {
		return
	}
	s.dialogue.Begin()
	s.dialogue.ShutDown()
	s.dialogue.CarryOut()
	s.finish()
}

// secured goes on after the handshake: with the greeting where TLS comes first, else with
// what the client says now. All that it said before is forgotten.
func (s *Session) secured() {
	s.Waits = Nothing
	s.dialogue.Secure()
	if s.Port.TLS != nil {
		s.greet()
		return
	}
	s.dialogue.Begin()
	s.finish()
}

// Closed implements loop.Handler.
func (s *Session) Closed(_ *loop.Conn, err error) {
	s.dialogue.Ended(err)
	s.close()
}
