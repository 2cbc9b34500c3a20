// Package signin is a login of a session on an event loop. SMTP and POP3 use the same one.
//
//	s.login = signin.New(door, judged)
//	s.login.Attempt.Claim = claim
//	v, now := s.login.Judge(&s.Session)
//
// A [Login] asks a login.Door, and has the session wait for what the outcome asks for: its
// turn, or the delay of a login that failed. The methods that return a verdict return now as
// false while there is no answer for the client: then the function judged is called on a
// goroutine of the pool, and the session calls [Login.Settle] on its loop, or the deadline of
// the session passes, and it calls [Login.Expired].
//
// The package knows no protocol: the session makes its answer of the verdict.
package signin

import (
	"postrider/engine/admit/login"
	"postrider/engine/edge/conn"
)

// Login is the login of a session: one claim after the other, until one is granted. It belongs
// to the goroutine of the session's loop.
type Login struct {
	Attempt login.Attempt // the claim, which the session sets before Judge
	Outcome login.Outcome // the outcome that the last Settle took

	door   *login.Door
	judged func(login.Outcome)
}

// New makes the login of a session. judged gets the outcomes that come from the pool.
func New(door *login.Door, judged func(login.Outcome)) Login {
	return Login{door: door, judged: judged}
}

// Judge has the claim judged.
func (l *Login) Judge(s *conn.Session) (v login.Verdict, now bool) {
	o, now := l.door.Judge(&l.Attempt, l.judged)
	if !now {
		return v, false
	}
	return l.Settle(s, o)
}

// Settle takes an outcome. The session waits where the outcome asks for it.
func (l *Login) Settle(s *conn.Session, o login.Outcome) (v login.Verdict, now bool) {
	l.Outcome = o
	switch {
	case o.Verdict == login.Turn:
		s.WaitFor(conn.ForTurn, o.Wait)
		return v, false
	case o.Wait > 0:
		s.WaitFor(conn.ForPenalty, o.Wait)
		return v, false
	}
	return o.Verdict, true
}

// Expired goes on when a wait is over: the claim is judged whose turn has come, or the verdict
// counts whose delay is over.
func (l *Login) Expired(s *conn.Session, w conn.Wait) (v login.Verdict, now bool) {
	if w == conn.ForPenalty {
		return l.Outcome.Verdict, true
	}
	s.Park()
	return l.Judge(s)
}

// Abandon gives up a claim that waits for its turn, and reports whether there was one.
func (l *Login) Abandon() bool { return l.door.Abandon(&l.Attempt) }
