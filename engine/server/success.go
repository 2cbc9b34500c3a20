package server

import (
	"net/netip"
	"time"

	"postrider/engine/admit/screen"
	"postrider/engine/edge/limit"
	"postrider/engine/mail/router"
)

// A notification of success goes to the reverse-path, which a stranger may have forged.
// So NOTIFY=SUCCESS counts for logins, for relay.networks, and for a stranger whose mail
// passes SPF: then the owner of the domain answers for it. policy.client_notifications
// bounds what one client gets. From others it is taken and passed over, as RFC 3461
// section 4.1 lets a server that would otherwise offer no DSN at all: their mail is not
// refused. Nothing of a stranger's message is returned with it.

// decideSuccess comes when all is known of a message, and hands it to the store. verdict
// is that of its check; nil: it was not checked.
func (s *smtpConn) decideSuccess(verdict *screen.Verdict) {
	t, g := s.tx, s.srv.guard
	if !t.Places.WantsSuccess() {
		t.deliver(s.m.Transaction())
		return
	}
	passes := verdict != nil && verdict.SPF.Result == screen.Pass && !verdict.SPF.Helo
	if !passes || !g.mayNotify(s.IP) {
		g.stats.successPassed.Add(1)
		t.deliver(s.m.Transaction())
		return
	}
	s.placeAgain(func(p *router.Placement) { p.NoSuccess = false }, func(int) {
		n := t.Places.Successes()
		g.stats.successTold.Add(int64(n))
		g.notifies(s.IP, n)
		t.deliver(s.m.Transaction())
	})
}

// mayNotify says whether a client's mail may have one more notification of success sent.
func (g *guard) mayNotify(ip netip.Addr) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.notifying.Has(limit.Client(ip), time.Now())
}

// notifies books notifications that will be sent because of a client's mail.
func (g *guard) notifies(ip netip.Addr, n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.notifying.Owe(limit.Client(ip), n, time.Now())
}
