package dns

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"postrider/engine/dns/dnstest"
)

// mxs are MX records of example.org: mxN with preference N, from the worst to the best.
func mxs(n int) (records []string) {
	for i := n - 1; i >= 0; i-- {
		records = append(records, fmt.Sprintf("example.org. 300 IN MX %d mx%d.example.org.", i, i))
	}
	return records
}

// Of more MX records than are kept, those with the best preference are, wherever they
// are in the answer.
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

// The mail hosts after the best ones are used when those have no address.
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

// This host among the later ones ends the list where it is.
func TestExchangersInTurn_Ourselves(t *testing.T) {
	us := func(o *Options) {
		o.Own = func(a netip.AddrPort) bool { return a.Addr() == netip.MustParseAddr("192.0.2.30") }
	}
	b := start(t, us, append(mxs(50), "mx30.example.org. 300 IN A 192.0.2.30", "mx31.example.org. 300 IN A 192.0.2.31")...)
	if got := b.hosts("example.org"); !strings.HasPrefix(got, "5.4.4 ") {
		t.Errorf("better hosts have no address: %s", got)
	}
	b = start(t, us, append(mxs(50), "mx30.example.org. 300 IN A 192.0.2.30", "mx25.example.org. 300 IN A 192.0.2.25")...)
	b.want("example.org", "25 mx25.example.org 192.0.2.25:25")
}

// The text that programs read is found among the others; where it may be
// missing the answer is none.
func TestTooManyTexts(t *testing.T) {
	filler := func(n, size int, start string) (records []string) {
		for i := range n {
			text := start + fmt.Sprintf("%d-", i) + strings.Repeat("x", size)
			var words []string
			for piece := range slices.Chunk([]byte(text), 250) {
				words = append(words, `"`+string(piece)+`"`)
			}
			records = append(records, "example.org. 60 IN TXT "+strings.Join(words, " "))
		}
		return records
	}
	const spf = `example.org. 60 IN TXT "V=SPF1 -all"`
	f := func(name string, records []string, ok bool) {
		t.Helper()
		server := dnstest.Start(t, records...)
		r := New(Options{Servers: []string{server.Addr()}, Timeout: 5 * time.Second, Attempts: 1})
		got, err := r.LookupTXT(t.Context(), "example.org")
		if !ok {
			if e, is := err.(*net.DNSError); !is || !e.IsTemporary {
				t.Errorf("%s: %d texts, %v", name, len(got), err)
			}
			return
		}
		if err != nil || !slices.Contains(got, "V=SPF1 -all") || len(got) > maxRecords {
			t.Errorf("%s: %d texts, %v", name, len(got), err)
		}
	}
	f("120 short", append(filler(120, 10, "token="), spf), true)
	f("9 long", append(filler(9, 3000, "token="), spf), true)
	f("two records of SPF", append(filler(120, 10, "token="), spf, `example.org. 60 IN TXT "v=spf1 +all"`), true)
	f("120 with a version", append(filler(120, 10, "v=x"), spf), false)
	f("one that is too long", filler(1, maxText, "v=spf1 "), false)
	f("no version", filler(110, 10, "token="), false)
}
