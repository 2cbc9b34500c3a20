package conn

import (
	"time"

	"postrider/engine/edge/loop"
)

// Wait is what a session waits for, one thing at a time. The dialogue gets no input
// meanwhile.
type Wait uint8

// The values of Wait.
const (
	Nothing      Wait = iota
	ForAnswer         // another goroutine answers a question; no deadline, since the peer is not late
	ForTurn           // the login's name had too many wrong passwords: the login is judged later
	ForPenalty        // the delay after a failed login
	ForGreeting       // the client is looked up, or has to be silent before the greeting
	ForHandshake      // the TLS handshake
	ForReplies        // the peer has to read the replies before the next command
	ForListing        // the peer has to read a part of LIST or UIDL before the next part
	ForPiece          // the peer has to read a piece of a message before the next piece
)

// isForReading reports whether the session waits until the peer has read what was sent.
func (w Wait) isForReading() bool { return w >= ForReplies }

// Dialogue is the half of a session that knows the protocol: a machine, and the answers to
// the machine's questions. The session calls it on the loop's goroutine.
//
// All sessions of a loop share the machine's effects, so Begin empties them before each call
// of the machine. CarryOut carries out the effects, except for the replies: it may set
// Session.Closing, or Session.Waits when a question can't be answered at once.
type Dialogue interface {
	Begin()             // empties the effects
	Greet()             // calls the machine's Greet, or waits for what comes before it
	Feed(in []byte) int // feeds the machine, carries out the effects, returns what was consumed
	TimeOut()           // calls the machine's TimeOut
	ShutDown()          // calls the machine's Shutdown
	Secure()            // calls the machine's Secured
	CarryOut()          // carries out the effects, answers questions that need no wait
	Say()               // writes the replies
	Left() bool         // reports whether the peer has ended the session with QUIT

	Expect()                     // sets the read limit and the deadline for the peer's next input
	Spoke()                      // is called when the peer sends something during a wait
	Taken(w Wait)                // is called after the wait ForListing or ForPiece
	Expired(w Wait) (again bool) // is called at any other wait's deadline; again: there is a new one
	Release()                    // releases what a session does not need at its end
	Describe(f *Facts)           // sets what the protocol knows of Facts
	Ended(err error)             // is the last call
}

// Start greets the peer, after the handshake where TLS comes first. It returns the first
// handler for the connection.
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
		c.Pause() // until the wait is over
		return 0
	}
	traced, state := s.tapped(), ""
	if traced != nil {
		state, traced.feeding = s.facts().State, true
	}
	s.dialogue.Begin()
	n := s.dialogue.Feed(in)
	s.Unread = len(in) - n
	s.got += int64(n)
	if traced != nil {
		traced.fed(in[:n], state)
	}
	s.finish()
	return n
}

// Write writes octets for the peer.
func (s *Session) Write(b []byte) {
	s.said = true
	if traced := s.tapped(); traced != nil {
		traced.server(b)
	}
	s.Conn.Write(b)
}

// Send writes the replies. When too many replies are unread, the session waits before the
// next command, or they would fill the memory.
func (s *Session) Send() {
	s.dialogue.Say()
	if s.Waits == Nothing && !s.Closing && s.Conn.Pending() > MaxUnsent {
		s.Await(ForReplies)
	}
}

// finish sends the replies and tells the loop what is next.
func (s *Session) finish() {
	if s.Closing {
		s.dialogue.Release() // before the reply to QUIT: after it the client may log in again
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

// EndWait ends a wait that needs no answer, and resumes.
func (s *Session) EndWait() {
	s.Waits = Nothing
	s.dialogue.Begin()
	s.Resumed()
}

// Resumed continues after a wait. The loop feeds unread input to the session again. A peer
// that has sent FIN still gets the replies to its input.
func (s *Session) Resumed() {
	eof := s.eof
	s.eof = eof && s.Conn.Kept() == 0
	s.finish()
	s.eof = eof
	if !s.Closing && s.Waits == Nothing {
		s.Conn.Resume()
	}
}

// Park waits for another goroutine's answer. Reading is paused only when the peer sends
// something meanwhile. Few peers do, and this saves two system calls a message.
func (s *Session) Park() { s.WaitFor(ForAnswer, 0) }

// WaitFor waits for w with a deadline; 0: none.
func (s *Session) WaitFor(w Wait, limit time.Duration) {
	s.Waits, s.Timed = w, false
	s.Conn.SetReadLimit(CommandRead)
	s.Conn.SetDeadline(limit)
}

// ExpectCommand sets the deadline for the next command, from the last reply on, and reports
// whether the deadline is a new one. Octets of a command don't renew it, or a peer that sends
// one now and then would keep its session for ever. A reply renews it when the peer has read
// all that was written before. So a session also ends if its peer sends commands and reads
// the replies octet by octet.
func (s *Session) ExpectCommand(limit time.Duration) (renewed bool) {
	s.Conn.SetReadLimit(CommandRead)
	if s.Timed && !s.mayRenew() {
		return false
	}
	s.Allow(limit)
	return true
}

// mayRenew reports whether there was a reply since the deadline was set, and the peer has
// read all that was written before.
func (s *Session) mayRenew() bool {
	said, owed := s.Renewal()
	return said && s.Conn.Taken() >= owed
}

// Renewal returns what mayRenew depends on: whether something was written since the deadline
// was set, and Conn.Taken once the peer has read all that was written before.
func (s *Session) Renewal() (said bool, owed int64) { return s.said, s.owed }

// Allow sets the deadline for the peer's next input.
func (s *Session) Allow(limit time.Duration) {
	s.Timed, s.said = true, false
	s.owed = s.Conn.Taken() + int64(s.Conn.Pending())
	s.Conn.SetDeadline(limit)
}

// MaxUnsent is how many octets of replies may be unread before the session waits ForReplies.
const MaxUnsent = 64 << 10

// Await waits until the peer has read all that was sent to it. A peer that does not read in
// time is cut off.
func (s *Session) Await(w Wait) {
	s.WaitFor(w, s.Port.Timeout)
	s.Conn.WantDrained()
}

// Drained implements loop.Handler: the peer has read what was sent.
func (s *Session) Drained(*loop.Conn) {
	switch w := s.Waits; w {
	case ForReplies:
		s.EndWait()
	case ForListing, ForPiece:
		s.dialogue.Taken(w)
	}
}

// EOF implements loop.Handler. A half-closed peer still gets its replies. The FIN does not
// count as a QUIT.
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
	if w == Nothing && s.mayRenew() { // the peer has read the rest since the last reply
		s.Timed = false
		s.dialogue.Expect()
		return
	}
	s.Port.Edge.Stats.Timeouts.Add(1)
	s.Tally().Timeouts.Add(1)
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

// shutdown implements ender. The machine ends the session now, or after the command or
// message that it is at.
func (s *Session) shutdown() {
	if s.Closing {
		return
	}
	s.dialogue.Begin()
	s.dialogue.ShutDown()
	s.dialogue.CarryOut()
	s.finish()
}

// secured continues after the handshake: with the greeting where TLS comes first, else with
// the client's next command. The machine forgets all earlier commands.
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
	s.untrace(err)
	s.close()
}
