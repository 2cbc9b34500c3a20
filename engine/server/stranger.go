package server

import (
	"context"
	"net/netip"

	"postrider/codec/smtp"
	"postrider/engine/admit/screen"
	"postrider/engine/config"
	"postrider/engine/edge/conn"
	"postrider/engine/host/maillog"
	"postrider/engine/mail/router"
	"postrider/engine/protocol/smtpd"
)

// stranger is what a session has beside the rest when its client is on none of the
// networks that are trusted. It belongs to the loop, but facts while they are looked up.
type stranger struct {
	conn *smtpConn
	then func(refused *smtp.Reply) // goes on when nothing is waited for; nil: nothing is

	delayed   bool // the time to speak too early is not over
	lookingUp bool
	early     bool // spoke before the greeting
	noted     bool // it was logged that the client speaks out of turn

	facts     screen.Client
	check     *screen.Check // of the message that comes in; nil: none
	counted   bool          // it is one of guard.open, for
	checkedIP netip.Addr    // this client
	sift      screen.Sift   // of its header
}

// isKnown says whether the client is on a network that [policy] does not concern.
func (s *smtpConn) isKnown() bool { return s.Trusted || s.mayRelay }

// overRate says why the client is not served now; nil: it is.
func (s *smtpConn) overRate() *smtp.Reply {
	if s.isKnown() {
		return nil
	}
	return s.srv.guard.mayConnect(s.IP)
}

// receive finds out about a client what is to be known before the greeting. When that
// takes time, the session waits and known is false: then is called at the end.
func (s *smtpConn) receive(then func(refused *smtp.Reply)) (known bool) {
	s.stranger = nil
	if s.isKnown() {
		return true
	}
	st := &stranger{conn: s}
	s.stranger = st
	g := s.srv.guard
	if g.cfg.GreetDelay == 0 && !g.mayLookUp() {
		return true
	}
	st.then = then
	s.WaitFor(conn.ForGreeting, g.cfg.GreetDelay)
	if g.cfg.GreetDelay > 0 {
		st.delayed = true
		if !g.mayLookUp() {
			return false
		}
	}
	st.lookingUp = true
	go st.lookUp(g, s.IP)
	return false
}

// lookUp runs on a goroutine of its own.
func (st *stranger) lookUp(g *guard, ip netip.Addr) {
	defer st.conn.shard.loop.Post((*lookedUp)(st))
	defer g.lookups.Add(-1)
	ctx, cancel := context.WithTimeout(context.Background(), g.cfg.LookupTimeout)
	defer cancel()
	st.facts = g.vet.Client(ctx, ip, g.cfg.ReverseDNS)
}

// lookedUp is the task that brings the facts back to the loop.
type lookedUp stranger

// Run implements loop.Task.
func (l *lookedUp) Run() {
	st := (*stranger)(l)
	st.lookingUp = false
	st.goOn()
}

// goOn decides about the client when nothing is waited for any more.
func (st *stranger) goOn() {
	s := st.conn
	if st.delayed || st.lookingUp || st.then == nil || !s.Conn.Alive() || s.stranger != st {
		return
	}
	then := st.then
	st.then = nil
	s.Waits = conn.Nothing
	if st.facts.Name != "" {
		s.Name = st.facts.Name
		s.m.Introduce(s.Name)
	}
	then(st.verdict())
}

// verdict says why the client is turned away; nil: it is welcome.
func (st *stranger) verdict() *smtp.Reply {
	s, g := st.conn, st.conn.srv.guard
	if st.early {
		g.stats.earlySeen.Add(1)
		s.srv.log.Info("early talker: "+s.Client()+" spoke before the greeting", maillog.SMTPD)
		if g.cfg.EarlyTalkers == config.MannersRefuse {
			g.stats.early.Add(1)
			return &smtp.Reply{Code: 554, Enhanced: "5.5.1", Text: "You spoke before the greeting"}
		}
	}
	return g.turnedAway(s.IP, &st.facts)
}

// Spoke notes that the client sent something before its greeting.
func (s *smtpConn) Spoke() {
	if s.Waits == conn.ForGreeting && s.m.Asking() == smtpd.AskNothing {
		s.stranger.early = true
	}
}

// delayOver is called when the time to speak too early is over.
func (st *stranger) delayOver() {
	st.delayed = false
	st.goOn()
}

// welcome greets the client, or turns it away.
func (s *smtpConn) welcome(refused *smtp.Reply) {
	s.Begin()
	if refused != nil {
		s.srv.stats.refused.Add(1)
		reject(s.srv.log, &s.Session, "CONNECT", refused.AppendTo(nil), nil, false)
		s.turnAway(refused)
	} else {
		s.m.Greet(&s.shard.smtp)
	}
	s.CarryOut()
	s.Resumed()
}

// turnAway says no in the place of the greeting. Before the handshake of TLS nothing
// that can be said would be understood.
func (s *smtpConn) turnAway(r *smtp.Reply) {
	e := &s.shard.smtp
	s.m.TurnAway(r, e)
	if s.Port.TLS != nil && s.TLS == nil {
		e.Reply = e.Reply[:0]
	}
}

// refusal is the answer with a reply of policy.
func refusal(r *smtp.Reply) smtpd.Answer { return smtpd.Answer{Verdict: smtpd.Refused, Reply: r} }

// isStrange says whether [policy] concerns the mail of this session.
func (s *smtpConn) isStrange() bool { return s.stranger != nil && s.m.Account() == "" }

// refusesMail says why policy refuses a transaction; nil: it does not.
func (s *smtpConn) refusesMail() *smtp.Reply {
	if !s.isStrange() {
		return nil
	}
	if r := s.outOfTurn(); r != nil {
		return r
	}
	return s.srv.guard.mayMail(s.IP)
}

// outOfTurn notes that the client sends commands without waiting for replies, and
// says whether it is refused for that.
func (s *smtpConn) outOfTurn() *smtp.Reply {
	if !s.isStrange() || !s.m.Eager() {
		return nil
	}
	g := s.srv.guard
	if !s.stranger.noted {
		s.stranger.noted = true
		g.stats.eagerSeen.Add(1)
		s.srv.log.Info("improper pipelining by "+s.Client()+" helo=<"+harmless(s.m.Helo())+">", maillog.SMTPD)
	}
	if g.cfg.Pipelining != config.MannersRefuse {
		return nil
	}
	g.stats.eager.Add(1)
	return &smtp.Reply{Code: 503, Enhanced: "5.5.0", Text: "Improper pipelining: wait for the reply to EHLO and DATA"}
}

// speakFor answers XCLIENT: the session is the other client's from now on.
func (s *smtpConn) speakFor(c smtp.Client) (a smtpd.Answer, known bool) {
	if c.Addr.IsValid() {
		if !s.Move(c.Addr) {
			return refusal(&smtp.Reply{Code: 421, Enhanced: "4.7.0", Text: s.srv.cfg.Server.Hostname + " Too many connections, come back later"}), true
		}
		s.mayRelay = s.srv.cfg.MayRelay(c.Addr)
	}
	if c.Name != "" {
		s.Name = c.Name
	}
	s.srv.log.Info("XCLIENT: the session goes on for "+s.Client(), maillog.SMTPD)
	if r := s.overRate(); r != nil {
		return refusal(r), true
	}
	known = s.receive(func(refused *smtp.Reply) {
		a := smtpd.Answer{Verdict: smtpd.Yes}
		if refused != nil {
			a = refusal(refused)
		}
		s.resume(a)
	})
	return smtpd.Answer{Verdict: smtpd.Yes}, known
}

// greylists says that the recipient has to wait; nil: not. Those that are not there
// hear so at once: their triplets would only fill the memory.
func (s *smtpConn) greylists() *smtp.Reply {
	if !s.isStrange() || !s.srv.guard.cfg.Greylist {
		return nil
	}
	to := s.m.ForwardPath()
	var places [4]router.Target
	if _, outcome := s.srv.router.Route(to.Local(), to.Domain(), places[:0]); outcome != router.Local {
		return nil
	}
	return s.srv.guard.greylisted(s.IP, string(s.tx.Reverse), to.String())
}
