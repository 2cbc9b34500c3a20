package conn

import (
	"net/netip"
	"testing"
)

// addresses are 65,536 addresses, a quarter of them IPv6.
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

func admitAndLeave(e *Edge, ip netip.Addr) bool {
	if !e.Admit(ip, MailService, false) {
		return false
	}
	e.Leave(ip, MailService, false)
	return true
}

func mailEdge() *Edge {
	return &Edge{Clients: NewClients(1000, 10, Offered{MailService: true})}
}

func TestAdmissionAllocatesNothing(t *testing.T) {
	e, all, i := mailEdge(), addresses(), 0
	if n := testing.AllocsPerRun(1000, func() {
		i++
		if !admitAndLeave(e, all[i%len(all)]) {
			t.Error("a client is refused")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAdmit(b *testing.B) {
	e, all := mailEdge(), addresses()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		admitAndLeave(e, all[i%len(all)])
	}
}
