package server

import (
	"strings"
	"testing"

	"postrider/engine/config"
	"postrider/engine/edge/dns/dnstest"
	"postrider/storage"
)

// answering is a server among strangers whose senders at here.test have an SPF record that
// permits 192.0.2.1, and read their mail as mbrain.
func answering(t *testing.T, set func(*config.Config)) *fixture {
	t.Helper()
	names := dnstest.Start(t, `here.test. 300 IN TXT "v=spf1 ip4:192.0.2.1 -all"`, `soft.test. 300 IN TXT "v=spf1 ~all"`, `client.test. 300 IN TXT "v=spf1 +all"`)
	f := start(t, func(c *config.Config) {
		among(names, func(p *config.Policy) { p.ReverseDNS = false })(c)
		if set != nil {
			set(c)
		}
	}, nil)
	for _, d := range []string{"here.test", "soft.test", "bare.test"} {
		if err := f.store.AddDomain(d); err != nil {
			t.Fatal(err)
		}
		if err := f.store.SetAliases([]storage.Alias{{Name: "mbrain", Domain: d, Targets: []string{"mbrain@localhost"}}}); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// wish sends a message with NOTIFY=SUCCESS.
func (p *peer) wish(from string, to ...string) {
	p.t.Helper()
	p.say("MAIL FROM:<"+from+"> RET=FULL ENVID=e1", "250 ")
	for _, r := range to {
		p.say("RCPT TO:"+r, "250 ")
	}
	p.say("DATA", "354 ")
	p.say("Subject: BUY PILLS\r\nMessage-ID: <pills@spam.test>\r\n\r\nspam.test\r\n.", "250 ")
}

// Success is reported only where a login, a network of ours or SPF vouches for the reverse-path.
func TestSuccessOfStrangers(t *testing.T) {
	const wished = "<jsmith@localhost> NOTIFY=SUCCESS ORCPT=rfc822;js@old.test"
	f := answering(t, nil)
	for i, from := range []struct{ client, path string }{
		{"192.0.2.9", "mbrain@here.test"}, // fail
		{"192.0.2.9", "mbrain@soft.test"}, // softfail
		{"192.0.2.9", "mbrain@bare.test"}, // none
		{"192.0.2.9", ""},                 // pass, but of the name in EHLO
	} {
		f.stranger(t, from.client).wish(from.path, wished, "<postmaster@localhost> NOTIFY=SUCCESS,FAILURE")
		f.drained(t)
		if n := len(f.bodies(t, "mbrain")); n != 0 {
			t.Errorf("%v: %d notifications", from, n)
		}
		if n := len(f.bodies(t, "jsmith")); n != i+1 {
			t.Errorf("%v: jsmith has %d messages", from, n)
		}
	}
	if passed, told := f.guard.Stats.SuccessIgnored.Load(), f.guard.Stats.SuccessSent.Load(); passed != 4 || told != 0 {
		t.Errorf("%d passed over and %d told of", passed, told)
	}

	f.stranger(t, "192.0.2.1").wish("mbrain@here.test", wished, "<postmaster@localhost>")
	f.drained(t)
	got := f.bodies(t, "mbrain")
	if len(got) != 1 {
		t.Fatalf("%d notifications where SPF passes", len(got))
	}
	for _, want := range []string{"Action: delivered\r\n", "Final-Recipient: rfc822; jsmith@localhost\r\n", "Original-Recipient: rfc822; js@old.test\r\n", "Original-Envelope-Id: e1\r\n"} {
		if !strings.Contains(got[0], want) {
			t.Errorf("the notification lacks %q:\n%s", want, got[0])
		}
	}
	if strings.Contains(got[0], "PILLS") || strings.Contains(got[0], "spam.test") {
		t.Errorf("the notification returns a stranger's message:\n%s", got[0])
	}
	if n := len(f.bodies(t, "jsmith")); n != 5 {
		t.Errorf("jsmith has %d messages", n)
	}
	if told := f.guard.Stats.SuccessSent.Load(); told != 1 {
		t.Errorf("%d told of", told)
	}
}

// Notifications of failures go to the same senders as before.
func TestFailureForStrangersWhoAskedForSuccess(t *testing.T) {
	f := answering(t, func(c *config.Config) { c.Relay.Transports = []string{"far.test=error:no such host"} })
	f.aliases(t, "one: x@far.test", "two: y@far.test")
	f.stranger(t, "192.0.2.9").wish("mbrain@bare.test", "<one@localhost> NOTIFY=SUCCESS")
	f.stranger(t, "192.0.2.9").wish("mbrain@bare.test", "<two@localhost> NOTIFY=SUCCESS,FAILURE")
	f.drained(t)
	got := f.bodies(t, "mbrain")
	if len(got) != 1 || !strings.Contains(got[0], "Final-Recipient: rfc822; y@far.test\r\n") || !strings.Contains(got[0], "Action: failed") {
		t.Errorf("%d notifications: %q", len(got), got)
	}
}

func TestSuccessOfStrangersIsBounded(t *testing.T) {
	f := answering(t, func(c *config.Config) { c.Policy.Notifications = "3/24h" })
	if err := f.store.SetAliases([]storage.Alias{{Name: "too", Domain: "here.test", Targets: []string{"jsmith@localhost"}}}); err != nil {
		t.Fatal(err)
	}
	for range 4 { // two notifications each: one for each domain
		f.stranger(t, "192.0.2.1").wish("mbrain@here.test", "<jsmith@localhost> NOTIFY=SUCCESS", "<too@here.test> NOTIFY=SUCCESS")
	}
	f.drained(t)
	if n := len(f.bodies(t, "mbrain")); n != 4 {
		t.Errorf("%d notifications", n)
	}
	if passed, told := f.guard.Stats.SuccessIgnored.Load(), f.guard.Stats.SuccessSent.Load(); passed != 2 || told != 4 {
		t.Errorf("%d passed over and %d told of", passed, told)
	}
}

// Our own people hear of success as ever, with the header.
func TestSuccessOfOurOwn(t *testing.T) {
	f := answering(t, func(c *config.Config) { c.Policy.Verify = false })
	p := f.stranger(t, "192.0.2.1")
	p.wish("mbrain@here.test", "<jsmith@localhost> NOTIFY=SUCCESS") // without a check nothing is known
	f.drained(t)
	if n := len(f.bodies(t, "mbrain")); n != 0 {
		t.Errorf("%d notifications without a check", n)
	}
	p = f.dialSMTP(t) // loopback, where a password may go in clear text
	p.expect("220 ")
	p.say("EHLO client.test", "250 ")
	p.say("AUTH PLAIN AG1icmFpbkBsb2NhbGhvc3QAc2VjcmV0", "235 ")
	p.wish("mbrain@localhost", "<jsmith@localhost> NOTIFY=SUCCESS")
	f.drained(t)
	got := f.bodies(t, "mbrain")
	if len(got) != 1 || !strings.Contains(got[0], "Subject: BUY PILLS") || !strings.Contains(got[0], "Action: delivered") {
		t.Errorf("%d notifications: %q", len(got), got)
	}
}
