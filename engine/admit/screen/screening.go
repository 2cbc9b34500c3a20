package screen

import (
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"

	"postrider/engine/host/maillog"
	"postrider/engine/mail/incoming"
	"postrider/storage"
)

// screening is the check of one message by the rules of a Guard. It implements
// incoming.Check.
type screening struct {
	check Check
	guard *Guard
	sift  Sift // takes fields out of the header
	// booked: the check counts in Guard.open. It is not booked when the client has too many
	// checks; then it is Busy.
	booked bool
	ended  atomic.Bool // see end

	id      storage.MessageID // set by Finish, as are the fields below
	finding *incoming.Finding
	done    func()
}

// Begin starts the check of a message. Finish or Abort has to be called. Where the settings
// turn checks off, the check is that of Unverified. When there are too many checks, of all clients or of this one,
// there is no result (incoming.ErrNoRoom).
func (g *Guard) Begin(env Envelope) incoming.Check {
	if !g.set.Load().Verify {
		return g.Unverified()
	}
	set := g.set.Load()
	room := g.checks.Add(1) <= int64(set.Verifications) // sessions that began at once have all seen room
	s := &screening{guard: g, sift: Sift{Host: set.Hostname}, booked: room && g.open.begin(env.IP)}
	if s.booked {
		s.check.begin(&g.vetter, env)
	} else {
		s.check.beginBusy(&g.vetter, env)
	}
	return s
}

// Pass implements incoming.Check. The check sees all of the message.
func (s *screening) Pass(run []byte, scratch *[]byte) []byte {
	s.check.Write(run)
	if s.sift.Done() {
		return run
	}
	*scratch = s.sift.Append((*scratch)[:0], run)
	return *scratch
}

// IsFull implements incoming.Check.
func (s *screening) IsFull() bool { return s.check.isFull() }

// WhenRoom implements incoming.Check.
func (s *screening) WhenRoom(f func()) {
	if !s.check.Full(f) {
		f()
	}
}

// Finish implements incoming.Check. The check has the time that the Settings give.
func (s *screening) Finish(id storage.MessageID, f *incoming.Finding, done func()) {
	s.id, s.finding, s.done = id, f, done
	s.check.Finish(s.guard.set.Load().VerifyTimeout, s.decide)
}

// errFault is the error for a message whose check has failed.
var errFault = fmt.Errorf("%w: the check of a message failed", storage.ErrTemporary)

// decide runs on a goroutine of the check, when its Verdict is there.
func (s *screening) decide() {
	defer s.done()
	defer s.rescue()
	f := s.finding
	if !s.end() {
		f.Err = incoming.ErrDropped
		return
	}
	v := s.check.Verdict()
	if v.Busy {
		f.Err = incoming.ErrNoRoom
		return
	}
	s.log(v)
	if f.Refusal = s.guard.refuses(v); f.Refusal != nil {
		return
	}
	f.Tail = s.sift.End(nil) // most times there is none
	f.Removed = s.sift.Removed
	f.Results = appendResults(f.Results[:0], s.guard.set.Load().Hostname, &s.check.env, v)
}

// rescue makes a panic of decide an error of this message.
func (s *screening) rescue() {
	if p := recover(); p != nil {
		s.finding.Err = errFault
		if panicked := s.guard.vetter.Panicked; panicked != nil {
			panicked(p)
		}
	}
}

// end counts the check out, with the questions that it has asked, unless that is done
// already. It reports whether this call did it.
func (s *screening) end() bool {
	if s.ended.Swap(true) {
		return false
	}
	g := s.guard
	g.checks.Add(-1)
	if s.booked {
		g.open.end(s.check.env.IP)
		g.asked(s.check.env.IP, s.check.Questions())
	}
	return true
}

// Abort implements incoming.Check. It counts the check out first, so that decide takes what a
// check finds that was broken off for no verdict.
func (s *screening) Abort() {
	s.end()
	s.check.Abort()
}

// MayNotify implements incoming.Check.
func (s *screening) MayNotify() bool { return s.guard.mayNotify(s.check.env.IP, s.check.Verdict()) }

// Notified implements incoming.Check.
func (s *screening) Notified(n int) { s.guard.notified(s.check.env.IP, n) }

// log writes a line about a message that was checked.
func (s *screening) log(v *Verdict) {
	log, env := s.guard.vetter.Log, &s.check.env
	if log.Logger == nil || !log.On() {
		return
	}
	log.Info("checked mail of "+env.Name+"["+env.Addr+"]: spf="+string(v.SPF.Result)+" dkim="+v.Signed()+
		" dmarc="+string(v.DMARC.Result)+" disposition="+v.DMARC.Disposition.String(), maillog.SMTPD,
		slog.String("id", s.id.String()), slog.String("from", strings.ToLower(v.DMARC.From)))
}

// unverified is the check of a message about which nothing is looked up. It takes the
// message as it is; its sender is not notified of success. It has no state, so all messages
// have the same one.
type unverified Guard

// Unverified returns the check of a message that is not verified, of a client that may not
// relay.
func (g *Guard) Unverified() incoming.Check { return (*unverified)(g) }

func (*unverified) Pass(run []byte, _ *[]byte) []byte { return run }
func (*unverified) IsFull() bool                      { return false }
func (*unverified) WhenRoom(f func())                 { f() }
func (*unverified) Notified(int)                      {}
func (*unverified) Abort()                            {}

// Finish implements incoming.Check.
func (*unverified) Finish(_ storage.MessageID, _ *incoming.Finding, done func()) { done() }

// MayNotify implements incoming.Check.
func (u *unverified) MayNotify() bool {
	(*Guard)(u).Stats.SuccessIgnored.Add(1)
	return false
}
