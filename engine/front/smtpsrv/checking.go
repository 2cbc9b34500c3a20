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

// checking is the check of a transaction's message. The zero value is for a message that is
// not checked.
type checking struct {
	guard *screen.Guard
	check *screen.Check // nil: none
	sift  screen.Sift   // takes fields out of the header
}

// isOn reports whether the message is checked.
func (c *checking) isOn() bool { return c.check != nil }

// pass shows a run of the message to the check. It returns what is to be stored of the run:
// all of it, or what it has put into scratch.
func (c *checking) pass(run []byte, scratch *[]byte) []byte {
	if c.check == nil {
		return run
	}
	c.check.Write(run)
	if c.sift.Done() {
		return run
	}
	*scratch = c.sift.Append((*scratch)[:0], run)
	return *scratch
}

// drop gives up the check of a message that is not stored.
func (c *checking) drop() {
	if c.check != nil {
		c.check.Abort()
		c.end()
	}
}

// end counts the check out. Its verdict stays valid.
func (c *checking) end() {
	c.guard.End(c.check)
	c.check = nil
}

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
	g := s.service.guard
	s.tx.checking = checking{
		guard: g, sift: screen.Sift{Host: s.service.set.Machine.Hostname},
		check: g.Begin(screen.Envelope{IP: s.IP, Helo: string(s.m.Helo()), Sender: string(s.tx.Reverse)}),
	}
}

// checkDone is the task that goes on when the verdict is there.
type checkDone session

// Run implements loop.Task.
func (d *checkDone) Run() {
	s := (*session)(d)
	t, c := s.tx, &s.tx.checking
	if !s.Conn.Alive() || !c.isOn() {
		return // the session ended meanwhile, and the draft with it
	}
	v := c.check.Verdict()
	c.end()
	if v.Busy {
		s.resume(smtpd.Answer{Verdict: s.busy()})
		return
	}
	s.logVerdict(v)
	if r := c.guard.Refuses(v); r != nil {
		s.resume(refusal(r))
		return
	}
	if tail := c.sift.End(s.state.scratch[:0]); len(tail) > 0 {
		t.Append(tail)
	}
	t.Removed(c.sift.Removed)
	t.Results = screen.AppendResults(t.Results[:0], s.service.set.Machine.Hostname, s.IP, &s.untrusted.facts, v)
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
