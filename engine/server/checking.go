package server

import (
	"log/slog"
	"strings"

	"postrider/codec/smtp"
	"postrider/engine/admit/policy"
	"postrider/engine/admit/screen"
	"postrider/engine/config"
	"postrider/engine/host/maillog"
	"postrider/engine/protocol/smtpd"
)

// The message of a stranger is checked while it comes in: each run goes to a
// vetting.Check as well as to the draft, and at the end of data the session waits
// until the check has a verdict; only then the message goes to the store, with
// the verdict in its trace fields.

// maxChecksReached says that no more messages can be checked now.
func (s *smtpConn) maxChecksReached() bool {
	g := s.srv.guard
	return s.isStrange() && g.cfg.Verify &&
		(g.checks.Load() >= int64(g.cfg.Verifications) || s.srv.budget.OfStrangers().Tight() || g.open.isFull(s.IP))
}

// beginCheck is called when a message begins.
func (s *smtpConn) beginCheck() {
	g := s.srv.guard
	if !s.isStrange() || !g.cfg.Verify {
		return
	}
	st := s.stranger
	g.checks.Add(1)
	st.sift = screen.Sift{Host: g.host}
	if st.counted = g.open.begin(s.IP); !st.counted {
		st.check = g.vet.Busy()
		return
	}
	st.checkedIP = s.IP
	st.check = g.vet.Begin(screen.Envelope{IP: s.IP, Helo: string(s.m.Helo()), Sender: string(s.tx.Reverse)})
}

// checked shows a run of the message to its check and returns what is to be stored
// of it, which is borrowed until the next call on this loop.
func (s *smtpConn) checked(run []byte) []byte {
	st := s.stranger
	if st == nil || st.check == nil {
		return run
	}
	st.check.Write(run)
	if st.sift.Done() {
		return run
	}
	s.shard.scratch = st.sift.Append(s.shard.scratch[:0], run)
	return s.shard.scratch
}

// checkIsBehind says whether the client has to wait for its message to be looked at.
// It goes on by itself.
func (s *smtpConn) checkIsBehind() bool {
	st := s.stranger
	if st == nil || st.check == nil {
		return false
	}
	return st.check.Full(s.writerHasTaken)
}

// dropCheck gives up the check of a message that is not stored.
func (s *smtpConn) dropCheck() {
	if s.stranger != nil && s.stranger.check != nil {
		s.stranger.check.Abort()
		s.endCheck()
	}
}

func (s *smtpConn) endCheck() {
	st, g := s.stranger, s.srv.guard
	questions := 0
	st.check, questions = nil, st.check.Questions()
	g.checks.Add(-1)
	if st.counted {
		st.counted = false
		g.open.end(st.checkedIP)
		g.asked(st.checkedIP, questions)
	}
}

// finishCheck asks for the verdict about the whole message: false when there is none
// to wait for.
func (s *smtpConn) finishCheck() bool {
	st := s.stranger
	if st == nil || st.check == nil {
		return false
	}
	st.check.Finish(s.srv.guard.cfg.VerifyTimeout, func() { s.shard.loop.Post((*checkDone)(s)) })
	return true
}

// checkDone is the task that goes on when the verdict is there.
type checkDone smtpConn

// Run implements loop.Task.
func (d *checkDone) Run() {
	s := (*smtpConn)(d)
	st, g := s.stranger, s.srv.guard
	if !s.Conn.Alive() || st == nil || st.check == nil {
		return // the session ended meanwhile, and the draft with it
	}
	v := st.check.Verdict()
	s.endCheck()
	if v.Busy {
		s.srv.stats.overBudget.Add(1)
		s.resume(smtpd.Answer{Verdict: smtpd.Busy})
		return
	}
	g.stats.checked.Add(1)
	s.logVerdict(v)
	if r := g.fails(v); r != nil {
		s.resume(refusal(r))
		return
	}
	if tail := st.sift.End(s.shard.scratch[:0]); len(tail) > 0 {
		s.tx.Append(tail)
	}
	s.tx.Removed(st.sift.Removed)
	s.tx.Results = screen.AppendResults(s.tx.Results[:0], g.host, s.IP, &st.facts, v)
	s.decideSuccess(v)
}

// fails says why a message is refused for what was found; nil: it is not.
func (g *guard) fails(v *screen.Verdict) *smtp.Reply {
	if v.DMARC.Disposition != policy.Reject {
		return nil
	}
	g.stats.dmarcFailed.Add(1)
	if g.cfg.DMARC != config.DMARCReject {
		return nil
	}
	g.stats.dmarcRefused.Add(1)
	if v.DMARC.TooManyAuthors {
		return &smtp.Reply{Code: 550, Enhanced: "5.7.1", Text: "The From field names too many domains or is too long: the DMARC policies of its authors can't be looked at"}
	}
	return &smtp.Reply{Code: 550, Enhanced: "5.7.1", Text: "Unauthenticated mail from " + v.DMARC.From +
		" is not taken: its DMARC policy says reject (SPF " + string(v.SPF.Result) + ", DKIM " + v.Signed() + ")"}
}

// logVerdict is a line about each message that was checked.
func (s *smtpConn) logVerdict(v *screen.Verdict) {
	if !s.srv.log.On() {
		return
	}
	s.srv.log.Info("checked mail of "+s.Client()+": spf="+string(v.SPF.Result)+" dkim="+v.Signed()+
		" dmarc="+string(v.DMARC.Result)+" disposition="+v.DMARC.Disposition.String(), maillog.SMTPD,
		slog.String("id", s.tx.ID().String()), slog.String("from", strings.ToLower(v.DMARC.From)))
}
