package screen

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"postrider/engine/edge/dns/dnstest"
	"postrider/engine/edge/limit"
	"postrider/engine/host/maillog"
	"postrider/engine/mail/incoming"
	"postrider/storage"
)

// screened is a Guard over name servers that know bank.example, whose mail comes from
// 192.0.2.1 alone.
func screened(t *testing.T, log slog.Handler) (*Guard, *dnstest.Server) {
	server := dnstest.Start(t, `bank.example. 60 IN TXT "v=spf1 ip4:192.0.2.1 -all"`, `_dmarc.bank.example. 60 IN TXT "v=DMARC1; p=reject"`)
	v := vetterOf(server)
	v.Log = maillog.Log{Logger: slog.New(log)}
	return NewGuard(Settings{
		Hostname: "mx.test", Verify: true, RefuseDMARC: true, VerifyTimeout: hang, Verifications: 10, RateEntries: 10,
		Notifications: limit.Rate{Count: 10, Per: 1 << 40},
	}, *v), server
}

func (g *Guard) of(ip string) incoming.Check {
	return g.Begin(Envelope{IP: netip.MustParseAddr(ip), Helo: "x", Sender: "a@bank.example", Name: "mx.bank.example", Addr: ip, Client: &Client{Rev: Pass}})
}

// pass gives text to a check in runs of n octets, and returns what is to be stored.
func pass(c incoming.Check, text string, n int) (kept string) {
	var scratch []byte
	for ; len(text) > 0; text = text[min(n, len(text)):] {
		kept += string(c.Pass([]byte(text[:min(n, len(text))]), &scratch))
	}
	return kept
}

// A check finds what is stored of the message, the field in front of it, and whether the
// message is refused. The log has a line.
func TestWhatAScreeningFinds(t *testing.T) {
	const forged = "Authentication-Results: mx.test; dmarc=pass\r\n"
	var lines bytes.Buffer
	g, _ := screened(t, slog.NewTextHandler(&lines, nil))
	for n := 1; n < 100; n += 7 {
		c := g.of("192.0.2.1")
		kept := pass(c, "From: a@bank.example\r\n"+forged+"\r\nx\r\n", n)
		f := finish(c)
		if kept += string(f.Tail); kept != "From: a@bank.example\r\n\r\nx\r\n" || f.Removed != int64(len(forged)) || f.Err != nil || f.Refusal != nil {
			t.Fatalf("in runs of %d: %q and %+v", n, kept, f)
		}
		const want = "Authentication-Results: mx.test;\r\n\tiprev=pass policy.iprev=192.0.2.1;\r\n\tspf=pass smtp.mailfrom=bank.example;\r\n" +
			"\tdkim=none;\r\n\tdmarc=pass header.from=bank.example\r\n"
		if string(f.Results) != want {
			t.Fatalf("%q", f.Results)
		}
		if !c.MayNotify() {
			t.Error("the sender of a message whose SPF passes gets no notification")
		}
		c.Abort() // after its end
	}
	if line := lines.String(); !strings.Contains(line, `"checked mail of mx.bank.example[192.0.2.1]: spf=pass dkim=none dmarc=pass disposition=none" daemon=smtpd id=000000000001A from=bank.example`) {
		t.Errorf("the log is %s", line)
	}
	c := g.of("192.0.2.9")
	pass(c, "From: a@bank.example\r\n\r\n", 100)
	if f := finish(c); f.Refusal == nil || f.Refusal.Code != 550 || f.Err != nil || len(f.Results) > 0 {
		t.Errorf("%+v", f)
	}
	held := g.of("192.0.2.1")
	if kept := pass(held, "Authentication-Results: other.test; none", 100); kept != "" {
		t.Errorf("%q is passed before the field is whole", kept)
	}
	if f := finish(held); string(f.Tail) != "Authentication-Results: other.test; none" || f.Removed != 0 {
		t.Errorf("%+v", f)
	}
	if g.Checks() != 0 || len(g.open.of) != 0 {
		t.Errorf("%d checks are open", g.Checks())
	}
}

// A check that is aborted ends at once, before Finish and after it. done is called all the
// same, and nothing is counted or logged as a result.
func TestAScreeningIsAborted(t *testing.T) {
	var lines bytes.Buffer
	g, server := screened(t, slog.NewTextHandler(&lines, nil))
	server.Behave("bank.example", dns.TypeANY, dnstest.Behaviour{Silent: true})
	for _, first := range []bool{true, false} {
		c := g.of("192.0.2.1")
		pass(c, "From: a@bank.example\r\n\r\n", 5)
		var f incoming.Finding
		done := make(chan struct{}, 2)
		if first {
			c.Abort()
		}
		c.Finish(42, &f, func() { done <- struct{}{} })
		c.Abort()
		if g.Checks() != 0 || len(g.open.of) != 0 {
			t.Errorf("%d checks are open after Abort", g.Checks())
		}
		<-done
		if !errors.Is(f.Err, incoming.ErrDropped) || len(done) > 0 {
			t.Errorf("%+v", f)
		}
	}
	if n := g.Stats.Checked.Load(); n != 0 || lines.Len() > 0 {
		t.Errorf("%d checked, and the log has %s", n, &lines)
	}
}

// breaking is a log whose lines panic.
type breaking struct{ slog.Handler }

func (breaking) Handle(context.Context, slog.Record) error { panic("no line") }

// A panic at the end of a check fails this message for now, and no other one.
func TestAScreeningThatPanics(t *testing.T) {
	g, _ := screened(t, breaking{slog.NewTextHandler(new(bytes.Buffer), nil)})
	var panics []any
	g.vetter.Panicked = func(p any) { panics = append(panics, p) }
	c := g.of("192.0.2.1")
	pass(c, "From: a@bank.example\r\n\r\n", 5)
	if f := finish(c); !errors.Is(f.Err, storage.ErrTemporary) || g.Checks() != 0 || len(panics) != 1 {
		t.Errorf("%+v, %d checks, panics %v", f, g.Checks(), panics)
	}
}

// Where much waits to be looked at, more octets have to wait, until there is room or the
// check is aborted.
func TestAScreeningIsFull(t *testing.T) {
	g, _ := screened(t, slog.DiscardHandler)
	called := 0
	room := func() { called++ }
	begin := func() *screening { // without its goroutine: the test reads
		s := &screening{guard: g}
		s.check.init(&g.vetter, Envelope{})
		s.check.cancel = func() {}
		g.checks.Add(1)
		return s
	}
	c := begin()
	if c.WhenRoom(room); c.IsFull() || called != 1 {
		t.Errorf("an empty check is full, or %d calls", called)
	}
	pass(c, "\r\n"+strings.Repeat("xy\r\n", maxBacklog/4), 1000)
	if c.WhenRoom(room); !c.IsFull() || called != 1 {
		t.Errorf("a check with %d octets is not full, or %d calls", maxBacklog, called)
	}
	if n, err := c.check.stream.Read(make([]byte, maxBacklog)); n < maxBacklog/2 || err != nil || c.IsFull() || called != 2 {
		t.Errorf("%d octets were read, %v, %d calls", n, err, called)
	}
	c.Abort()
	c = begin()
	pass(c, "\r\n"+strings.Repeat("xy\r\n", maxBacklog/4), 1000)
	c.WhenRoom(room)
	if c.Abort(); c.IsFull() || called != 3 || g.Checks() != 0 {
		t.Errorf("after Abort: full %v, %d calls, %d checks", c.IsFull(), called, g.Checks())
	}
}

// Sessions that began their messages while there was room may begin more checks together than
// policy.verifications: those over it are not made, and their messages hear 452.
func TestVerificationsAreBounded(t *testing.T) {
	g, _ := screened(t, slog.DiscardHandler)
	var all []incoming.Check
	for i := range 12 {
		all = append(all, g.of(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}).String()))
	}
	for i, c := range all {
		pass(c, "From: a@bank.example\r\n\r\nx\r\n", 100)
		if f := finish(c); errors.Is(f.Err, incoming.ErrNoRoom) != (i >= 10) {
			t.Errorf("check %d: %v", i, f.Err)
		}
	}
	if n := g.checks.Load(); n != 0 {
		t.Errorf("%d checks are counted at the end", n)
	}
}
