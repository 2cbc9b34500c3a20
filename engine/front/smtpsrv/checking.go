package smtpsrv

import (
	"log/slog"
	"strings"

	"postrider/engine/admit/screen"
	"postrider/engine/host/maillog"
	"postrider/engine/protocol/smtpd"
)

// The message of an untrusted client is checked while it comes in: each run goes to a
// screen.Check as well as to the draft. At the end of data the session waits until the
// check has a verdict. Only then does the message go to the store, with the verdict in its
// trace fields.

// hasRoomForCheck reports whether one more message of the client can be checked now, if it
// is to be checked.
func (s *session) hasRoomForCheck() bool {
	return !s.isUntrusted() || s.service.guard.HasRoomForCheck(s.IP, s.service.memory.OfStrangers().Tight())
}

// beginCheck is called when a message begins.
func (s *session) beginCheck() {
	if !s.isUntrusted() {
		return
	}
	u := s.untrusted
	u.sift = screen.Sift{Host: s.service.set.Machine.Hostname}
	u.check = s.service.guard.Begin(screen.Envelope{IP: s.IP, Helo: string(s.m.Helo()), Sender: string(s.tx.Reverse)})
}

// checked shows a run of the message to its check. It returns what is to be stored of the
// run, which is borrowed until the next call on this loop.
func (s *session) checked(run []byte) []byte {
	u := s.untrusted
	if u == nil || u.check == nil {
		return run
	}
	u.check.Write(run)
	if u.sift.Done() {
		return run
	}
	s.state.scratch = u.sift.Append(s.state.scratch[:0], run)
	return s.state.scratch
}

// checkIsFull reports whether the client has to wait until more of its message is checked.
// The session goes on by itself then.
func (s *session) checkIsFull() bool {
	u := s.untrusted
	return u != nil && u.check != nil && u.check.Full(s.writerHasTaken)
}

// dropCheck gives up the check of a message that is not stored.
func (s *session) dropCheck() {
	if s.untrusted != nil && s.untrusted.check != nil {
		s.untrusted.check.Abort()
		s.endCheck()
	}
}

func (s *session) endCheck() {
	c := s.untrusted.check
	s.untrusted.check = nil
	s.service.guard.End(c)
}

// finishCheck asks for the verdict about the whole message. It is false when the message is
// not checked.
func (s *session) finishCheck() bool {
	u := s.untrusted
	if u == nil || u.check == nil {
		return false
	}
	s.service.guard.Finish(u.check, func() { s.state.Post((*checkDone)(s)) })
	return true
}

// checkDone is the task that goes on when the verdict is there.
type checkDone session

// Run implements loop.Task.
func (d *checkDone) Run() {
	s := (*session)(d)
	u, g := s.untrusted, s.service.guard
	if !s.Conn.Alive() || u == nil || u.check == nil {
		return // the session ended meanwhile, and the draft with it
	}
	v := u.check.Verdict()
	s.endCheck()
	if v.Busy {
		s.resume(smtpd.Answer{Verdict: s.busy()})
		return
	}
	s.logVerdict(v)
	if r := g.Refuses(v); r != nil {
		s.resume(refusal(r))
		return
	}
	if tail := u.sift.End(s.state.scratch[:0]); len(tail) > 0 {
		s.tx.Append(tail)
	}
	s.tx.Removed(u.sift.Removed)
	s.tx.Results = screen.AppendResults(s.tx.Results[:0], s.service.set.Machine.Hostname, s.IP, &u.facts, v)
	s.decideSuccess(v)
}

// logVerdict writes a line about a message that was checked.
func (s *session) logVerdict(v *screen.Verdict) {
	log := s.service.log
	if !log.On() {
		return
	}
	log.Info("checked mail of "+s.Client()+": spf="+string(v.SPF.Result)+" dkim="+v.Signed()+
		" dmarc="+string(v.DMARC.Result)+" disposition="+v.DMARC.Disposition.String(), maillog.SMTPD,
		slog.String("id", s.tx.ID().String()), slog.String("from", strings.ToLower(v.DMARC.From)))
}
