package smtpsrv

import (
	"net/netip"

	"postrider/codec/smtp"
	"postrider/engine/admit/screen"
	"postrider/engine/edge/conn"
	"postrider/engine/host/maillog"
	"postrider/engine/mail/router"
	"postrider/engine/protocol/smtpd"
)

// untrusted is what a session has besides the rest when its client is on none of the
// trusted networks. It belongs to the loop, except facts while they are looked up.
type untrusted struct {
	session *session
	then    func(refused *smtp.Reply) // goes on when nothing is waited for; nil: nothing is

	delayed   bool // the delay of the greeting is not over
	lookingUp bool
	early     bool // spoke before the greeting
	noted     bool // it was logged that the client does not wait for replies

	facts screen.Client
}

// isKnown reports whether the client is on a network that [policy] does not concern.
func (s *session) isKnown() bool { return s.Trusted || s.mayRelay }

// isUntrusted reports whether [policy] concerns the mail of this session.
func (s *session) isUntrusted() bool { return s.untrusted != nil && s.m.Account() == "" }

// overRate returns why the client gets no session now; nil: it gets one.
func (s *session) overRate() *smtp.Reply {
	if s.isKnown() {
		return nil
	}
	return s.service.guard.MayConnect(s.IP)
}

// receive finds out what is to be known of a client before the greeting. When that takes
// time, the session waits and known is false: then is called at the end.
func (s *session) receive(then func(refused *smtp.Reply)) (known bool) {
	s.untrusted = nil
	if s.isKnown() {
		return true
	}
	u := &untrusted{session: s}
	s.untrusted = u
	g := s.service.guard
	delay := g.GreetDelay()
	u.delayed, u.lookingUp = delay > 0, g.MayLookUp()
	if !u.delayed && !u.lookingUp {
		return true
	}
	u.then = then
	s.WaitFor(conn.ForGreeting, delay)
	if u.lookingUp {
		go u.lookUp(g, s.IP)
	}
	return false
}

// lookUp runs on a goroutine of its own.
func (u *untrusted) lookUp(g *screen.Guard, ip netip.Addr) {
	defer u.session.state.Post((*lookedUp)(u))
	u.facts = g.LookUp(ip)
}

// lookedUp is the task that brings the facts back to the loop.
type lookedUp untrusted

// Run implements loop.Task.
func (l *lookedUp) Run() {
	u := (*untrusted)(l)
	u.lookingUp = false
	u.goOn()
}

// delayOver is called when the delay of the greeting is over.
func (u *untrusted) delayOver() {
	u.delayed = false
	u.goOn()
}

// goOn decides about the client when nothing is waited for any more.
func (u *untrusted) goOn() {
	s := u.session
	if u.delayed || u.lookingUp || u.then == nil || !s.Conn.Alive() || s.untrusted != u {
		return
	}
	then := u.then
	u.then = nil
	s.Waits = conn.Nothing
	if u.facts.Name != "" {
		s.Name = u.facts.Name
		s.m.Introduce(s.Name)
	}
	then(u.verdict())
}

// verdict returns why the client is refused before the greeting; nil: it is not.
func (u *untrusted) verdict() *smtp.Reply {
	s, g := u.session, u.session.service.guard
	if u.early {
		if s.Logs() {
			s.service.log.Info("early talker: "+s.Client()+" spoke before the greeting", maillog.SMTPD)
		}
		if r := g.Early(); r != nil {
			return r
		}
	}
	return g.Blocked(s.IP, &u.facts)
}

// Spoke notes that the client sent something before its greeting.
func (s *session) Spoke() {
	if s.Waits == conn.ForGreeting && s.m.Asking() == smtpd.AskNothing {
		s.untrusted.early = true
	}
}

// welcome greets the client, or refuses it.
func (s *session) welcome(refused *smtp.Reply) {
	s.Begin()
	if refused != nil {
		s.reject("CONNECT", refused.Because(), refused.AppendTo(nil), nil, nil)
		s.turnAway(refused)
	} else {
		s.m.Greet(&s.state.effects)
	}
	s.CarryOut()
	s.Resumed()
}

// turnAway sends a refusal in the place of the greeting. Before the handshake of TLS nothing
// is sent, because the client could not read it.
func (s *session) turnAway(r *smtp.Reply) {
	e := &s.state.effects
	s.m.TurnAway(r, e)
	if s.Port.TLS != nil && s.TLS == nil {
		e.Reply, e.Said = e.Reply[:0], smtpd.Said{}
	}
}

// refusesMail returns why [policy] refuses a transaction; nil: it does not.
func (s *session) refusesMail() *smtp.Reply {
	if !s.isUntrusted() {
		return nil
	}
	if r := s.refusesPipelining(); r != nil {
		return r
	}
	return s.service.guard.MayMail(s.IP)
}

// refusesPipelining notes that the client sends commands without waiting for replies, and
// returns why it is refused for that; nil: it is not.
func (s *session) refusesPipelining() *smtp.Reply {
	if !s.isUntrusted() || !s.m.Eager() {
		return nil
	}
	first := !s.untrusted.noted
	if first {
		s.untrusted.noted = true
		if s.Logs() {
			s.service.log.Info("improper pipelining by "+s.Client()+" helo=<"+harmless(s.m.Helo())+">", maillog.SMTPD)
		}
	}
	return s.service.guard.Pipelined(first)
}

// greylists returns why the recipient has to wait; nil: it has not. A recipient that does
// not exist is refused at once: its triplet would only fill the memory.
func (s *session) greylists() *smtp.Reply {
	g := s.service.guard
	if !s.isUntrusted() || !g.HasGreylist() {
		return nil
	}
	to := s.m.ForwardPath()
	var places [4]router.Target
	if _, outcome := s.service.router.Route(to.Local(), to.Domain(), places[:0]); outcome != router.Local {
		return nil
	}
	return g.Greylisted(s.IP, string(s.tx.Reverse), to.String())
}

// speakFor answers XCLIENT: from now on the session is that of another client.
func (s *session) speakFor(c smtp.Client) (a smtpd.Answer, known bool) {
	if c.Addr.IsValid() {
		if !s.Move(c.Addr) {
			return refusal(&smtp.Reply{Code: 421, Enhanced: "4.7.0", Text: s.rules.tooMany(), Reason: smtp.TooManyConnections}), true
		}
		s.mayRelay = s.rules.MayRelay(c.Addr)
	}
	if c.Name != "" {
		s.Name = c.Name
	}
	s.service.log.Info("XCLIENT: the session goes on for "+s.Client(), maillog.SMTPD)
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
