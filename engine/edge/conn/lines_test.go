package conn

import (
	"bytes"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"postrider/engine/edge/limit"
)

// Each client has its own number of lines. What is left out is told, the most first, and
// for more clients than are named as a sum.
func TestLines(t *testing.T) {
	rate, err := limit.ParseRate("10/1h")
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	l := NewLines(rate, slog.New(slog.NewTextHandler(&b, nil)))
	written := 0
	for i := range 8 {
		for range 20 + i {
			if l.May(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})) {
				written++
			}
		}
	}
	if written != 80 {
		t.Errorf("%d lines are written, want 80", written)
	}
	l.report.Stop()
	l.tell()
	got := b.String()
	for _, want := range []string{"17 lines about unknown[192.0.2.7] left out", "13 lines about unknown[192.0.2.3] left out", "33 lines about other clients left out"} {
		if !strings.Contains(got, want) {
			t.Errorf("the report lacks %q:\n%s", want, got)
		}
	}
	if n := strings.Count(got, "\n"); n != 6 {
		t.Errorf("%d lines of report", n)
	}
	b.Reset()
	l.tell()
	if b.Len() != 0 {
		t.Errorf("told twice: %s", b.String())
	}
	for i := range 2 * linesClients { // more clients than are remembered
		for range 20 {
			l.May(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}))
		}
	}
	if len(l.left) > linesClients {
		t.Errorf("%d clients are remembered", len(l.left))
	}
	l.report.Stop()
	if !(*Lines)(nil).May(netip.Addr{}) || !NewLines(limit.Rate{}, nil).May(netip.Addr{}) {
		t.Error("without a limit a line is left out")
	}
}

// Another rate counts at once, and what a client has had written stays counted.
func TestLines_Configure(t *testing.T) {
	l := NewLines(limit.Rate{Count: 10, Per: time.Hour}, slog.New(slog.DiscardHandler))
	client := netip.MustParseAddr("192.0.2.1")
	may := func() (n int) {
		for range 100 {
			if l.May(client) {
				n++
			}
		}
		return n
	}
	if n := may(); n != 10 {
		t.Errorf("%d lines, want 10", n)
	}
	l.Configure(limit.Rate{Count: 30, Per: time.Hour})
	if n := may(); n != 20 || l.Rate().Count != 30 {
		t.Errorf("%d lines more, want 20 of the new rate", n)
	}
	l.Configure(limit.Rate{})
	if n := may(); n != 100 {
		t.Errorf("%d lines without a limit", n)
	}
	l.report.Stop()
}
