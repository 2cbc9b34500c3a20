package server

import (
	"net/netip"
	"testing"

	"postrider/engine/config"
	"postrider/engine/edge/conn"
	"postrider/engine/edge/dns"
	"postrider/engine/host/maillog"
)

// The paths of a connection and of a message of an untrusted client that are in conn.Clients
// and guard. They allocate nothing.

func addresses() []netip.Addr {
	all := make([]netip.Addr, 1<<16)
	for i := range all {
		all[i] = netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
		if i%4 == 0 {
			all[i] = netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 0, 0, byte(i >> 8), byte(i), 0, 0, 0, 0, 0, 0, 0, 1})
		}
	}
	return all
}

func admitAndLeave(e *conn.Edge, ip netip.Addr) bool {
	if !e.Admit(ip, conn.MailService, false) {
		return false
	}
	e.Leave(ip, conn.MailService, false)
	return true
}

func mailEdge() *conn.Edge {
	return &conn.Edge{Clients: conn.NewClients(1000, 10, conn.Offered{conn.MailService: true})}
}

func strangers(t testing.TB) *guard {
	cfg := config.Default()
	cfg.Policy.ClientMessages, cfg.Policy.NetworkMessages = "1000000000/1h", "1000000000/1h"
	return newGuard(cfg, dns.New(dns.Options{}), nil, maillog.Log{})
}

func TestAdmissionAllocatesNothing(t *testing.T) {
	c, g, all, i := mailEdge(), strangers(t), addresses(), 0
	for _, ip := range all {
		g.mayMail(ip)
	}
	if n := testing.AllocsPerRun(1000, func() {
		i++
		if !admitAndLeave(c, all[i%len(all)]) || g.mayMail(all[i%len(all)]) != nil {
			t.Error("a client is refused")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAdmit(b *testing.B) {
	c, all := mailEdge(), addresses()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		admitAndLeave(c, all[i%len(all)])
	}
}

func BenchmarkMayMail(b *testing.B) {
	g, all := strangers(b), addresses()
	for _, ip := range all {
		g.mayMail(ip)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		g.mayMail(all[i%len(all)])
	}
}
