package server

import (
	"testing"
	"time"
)

// A client that has just connected to an address with TLS is greeted within TLS, and told that
// the server ends. One that says nothing holds the end up for a moment only.
func TestDrainLetsAHandshakeEnd(t *testing.T) {
	t.Parallel()
	f := start(t, withTLS, nil)
	smtp, pop3, silent := dial(t, f.SMTPSAddrs()[0].String()), dial(t, f.POP3SAddrs()[0].String()), dial(t, f.SMTPSAddrs()[0].String())
	until(t, "all have been accepted", func() bool { return f.group.Conns() == 3 })
	done := f.drain()
	p := smtp.secure(modern)
	p.expect("220")
	p.expect("421 4.3.2")
	p = pop3.secure(modern)
	p.expect("+OK")
	p.expect("-ERR [SYS/TEMP]")
	silent.end()
	ended(t, done)
}

// EndSessions ends sessions that are open, after what they are at, while others are served.
func TestEndSessions(t *testing.T) {
	t.Parallel()
	f := start(t, nil, nil)
	busy, idle := f.hello(t), f.dialPOP3(t)
	idle.expect("+OK")
	busy.say("MAIL FROM:<a@b.example>", "250")
	busy.say("RCPT TO:<mbrain@localhost>", "250")
	busy.say("DATA", "354")
	told := make(chan int)
	go func() { told <- f.EndSessions(t.Context(), hang) }()
	idle.expect("-ERR [SYS/TEMP]")
	idle.end()
	late := f.hello(t)
	late.say("NOOP", "250")
	busy.send("x\r\n.\r\n")
	busy.expect("250")
	busy.expect("421 4.3.2")
	if n := <-told; n != 2 {
		t.Errorf("%d sessions were told to end, want 2", n)
	}
	late.say("MAIL FROM:<a@b.example>", "250")
	late.say("QUIT", "221")
	p := f.hello(t)
	p.say("MAIL FROM:<a@b.example>", "250")
	// A session that does not end is waited for as long as is allowed.
	if n := f.EndSessions(t.Context(), time.Millisecond); n != 1 {
		t.Errorf("%d sessions were told to end, want 1", n)
	}
}
