package mx

import (
	"net/netip"
	"testing"

	"postrider/codec/growth"
	"postrider/engine/edge/dns"
)

// Hosts with many addresses are ordered in one pass, and the notes about them are bounded.
func TestHosts_Growth(t *testing.T) {
	const records = 100 // records that package dns keeps of each type
	growth.Linear(t, "hosts", 20, func(n int) func() {
		s := &search{rules: &rules{shuffle: func(int, func(i, j int)) {}}, port: 25}
		var all []candidate
		for i := range n {
			c := candidate{Exchange: dns.Exchange{Name: "m"}}
			for j := range 2 * records {
				c.addrs = append(c.addrs, netip.AddrFrom4([4]byte{10, byte(i), byte(j >> 8), byte(j)}))
			}
			all = append(all, c)
		}
		return func() {
			if got := len(s.order(all)); got != 2*records*n {
				t.Errorf("%d hosts", got)
			}
			for i := range 100 * n {
				s.note("note %d", i)
			}
			if len(s.answer.Notes) > maxNotes {
				t.Errorf("%d notes", len(s.answer.Notes))
			}
		}
	})
}
