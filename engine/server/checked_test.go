package server

import (
	"context"
	"testing"
	"time"

	"postrider/engine/config"
)

// A drain whose time is over cuts off a client whose message is being checked. The message
// is not stored, and nothing stays booked.
func TestDrainCutsOffAMessageThatIsChecked(t *testing.T) {
	f := start(t, among(silent(t), func(p *config.Policy) { p.ReverseDNS, p.VerifyTimeout = false, 5*time.Minute }), nil)
	p := f.stranger(t, "192.0.2.1")
	p.say("MAIL FROM:<a@slow.test>", "250 ")
	p.say("RCPT TO:<mbrain@localhost>", "250 ")
	p.say("DATA", "354 ")
	p.send(slowLetter + ".\r\n")
	until(t, "the message is checked", func() bool { return f.guard.Checks() == 1 })
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	f.Drain(ctx)
	until(t, "the check is over", func() bool { return f.guard.Checks() == 0 && f.smtpsrv.Stats.CommitsOpen.Load() == 0 })
	if m, _, err := f.store.Usage(1); m != 0 || err != nil || f.smtpsrv.Stats.Messages.Load() != 0 {
		t.Errorf("%d messages, %v", m, err)
	}
}

// A client that leaves while its message is checked does not get it stored, and its window,
// its recipients and its check are given back. Another client's message goes on.
func TestLeavingWhileAMessageIsChecked(t *testing.T) {
	f := start(t, among(silent(t), func(p *config.Policy) { p.ReverseDNS, p.VerifyTimeout = false, 5*time.Minute }), nil)
	log := f.listenIn()
	for range 5 {
		p := f.stranger(t, "192.0.2.1")
		p.say("MAIL FROM:<a@slow.test>", "250 ")
		p.say("RCPT TO:<mbrain@localhost>", "250 ")
		p.say("DATA", "354 ")
		p.send(slowLetter + ".\r\n")
		until(t, "the message is checked", func() bool { return f.guard.Checks() == 1 })
		p.leave()
		until(t, "nothing is booked", func() bool { return f.guard.Checks() == 0 && f.budget.Used() == 0 })
	}
	f.stranger(t, "192.0.2.1").sendAs("a@bank.example", "From: a@bank.example\r\n\r\nx\r\n", "250 ")
	if m, _, err := f.store.Usage(1); m != 1 || err != nil {
		t.Errorf("%d messages, %v", m, err)
	}
	log.has(t, "checked mail of unknown[192.0.2.1]: spf=pass")
	if n := f.guard.Stats.Checked.Load(); n != 1 {
		t.Errorf("%d messages have a verdict", n)
	}
}
