package dns

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"postrider/engine/edge/dns/dnstest"
)

// LookupTXT finds an SPF or DKIM record among many other texts, and fails where it may be
// missing.
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
