package mx

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

// mxs are MX records of example.org: mxN with preference N, from the worst to the best.
func mxs(n int) (records []string) {
	for i := n - 1; i >= 0; i-- {
		records = append(records, fmt.Sprintf("example.org. 300 IN MX %d mx%d.example.org.", i, i))
	}
	return records
}

// The MX records with the best preference are kept, wherever they are in the answer.
func TestTooManyMX(t *testing.T) {
	f := func(n int, addressOf, want string) {
		t.Helper()
		b := start(t, nil, append(mxs(n), addressOf+".example.org. 300 IN A 192.0.2.1")...)
		if got := b.hosts("example.org"); got != want {
			t.Errorf("of %d, %s has an address: %s", n, addressOf, got)
		}
	}
	f(151, "mx0", "0 mx0.example.org 192.0.2.1:25")
	f(300, "mx3", "3 mx3.example.org 192.0.2.1:25")
	f(101, "mx99", "99 mx99.example.org 192.0.2.1:25")
	f(140, "mx120", "4.4.3 Host or domain name not found. Name service error for name=example.org type=MX: "+tooMany)
	f(100, "none", "5.4.4 Host or domain name not found. Name service error for name=mx0.example.org type=A: Host not found")
}

// The next mail hosts are used if the best ones have no address.
func TestExchangersInTurn(t *testing.T) {
	f := func(n int, records []string, want ...string) {
		t.Helper()
		b := start(t, nil, append(mxs(n), records...)...)
		b.want("example.org", want...)
	}
	f(21, []string{"mx20.example.org. 300 IN A 192.0.2.20"}, "20 mx20.example.org 192.0.2.20:25")
	f(60, []string{"mx47.example.org. 300 IN A 192.0.2.47", "mx41.example.org. 300 IN A 192.0.2.41", "mx59.example.org. 300 IN A 192.0.2.59"},
		"41 mx41.example.org 192.0.2.41:25", "47 mx47.example.org 192.0.2.47:25", "59 mx59.example.org 192.0.2.59:25")
	f(45, []string{"mx40.example.org. 300 IN TXT x"}, "5.4.4 Host or domain name not found. Name service error for name=mx0.example.org type=A: Host not found")
}

// If this host is among the later mail hosts, the list ends before it.
func TestExchangersInTurn_Ourselves(t *testing.T) {
	us := func(o *settings) {
		o.Own = func(a netip.AddrPort) bool { return a.Addr() == netip.MustParseAddr("192.0.2.30") }
	}
	b := start(t, us, append(mxs(50), "mx30.example.org. 300 IN A 192.0.2.30", "mx31.example.org. 300 IN A 192.0.2.31")...)
	if got := b.hosts("example.org"); !strings.HasPrefix(got, "5.4.4 ") {
		t.Errorf("better hosts have no address: %s", got)
	}
	b = start(t, us, append(mxs(50), "mx30.example.org. 300 IN A 192.0.2.30", "mx25.example.org. 300 IN A 192.0.2.25")...)
	b.want("example.org", "25 mx25.example.org 192.0.2.25:25")
}
