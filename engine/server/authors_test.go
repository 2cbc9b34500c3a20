package server

import (
	"strings"
	"testing"

	"postrider/engine/config"
	"postrider/storage"
)

// said sends a message from mbrain to jsmith and returns the reply to its end.
func (p *peer) said(text string) string {
	p.t.Helper()
	p.say("MAIL FROM:<mbrain@localhost>", "250 ")
	p.say("RCPT TO:<jsmith@localhost>", "250 ")
	p.say("DATA", "354 ")
	p.send(text + ".\r\n")
	return p.line()
}

// The rows of each test: a header, and whether all that it says of its author is mbrain's.
var authorships = map[string]bool{
	"From: mbrain@localhost":                                           true,
	"From: MBrain <MBrain@LOCALHOST>":                                  true,
	"From: mbrain+tag@localhost":                                       true,
	"From: info@localhost":                                             true, // an alias that leads there
	"From: mbrain":                                                     true, // gets its domain here
	"From: mbrain@localhost, info@localhost":                           true,
	"From: \"jsmith@localhost\" <mbrain@localhost>":                    true, // a name
	"Subject: no From":                                                 true, // it is added
	"From:":                                                            true,
	"From: mbrain@localhost\r\nSender: info@localhost":                 true,
	"From: mbrain@localhost\r\nSender:":                                true,
	"From: mbrain@localhost\r\nReply-To: jsmith@localhost":             true,
	"Subject: x\r\n..From: jsmith@localhost":                           true, // no From field: the line has a dot
	"Subject: x\r\n.From: jsmith@localhost":                            false,
	"From: jsmith@localhost":                                           false,
	"From: jsmith":                                                     false,
	"From: nobody@localhost":                                           false,
	"From: ceo@bank.test":                                              false,
	"From: mbrain@localhost, jsmith@localhost":                         false,
	"From: mbrain@localhost,\r\n jsmith@localhost":                     false,
	"From: team: mbrain@localhost, jsmith@localhost;":                  false,
	"From: jsmith@localhost <mbrain@localhost>":                        false,
	"From: =?x?q?<jsmith@localhost>?= mbrain@localhost":                false,
	"From: <mbrain@localhost><jsmith@localhost>":                       false,
	"From : jsmith@localhost":                                          false,
	"fRoM: jsmith@localhost":                                           false,
	"From: Foo Bar":                                                    false,
	"From: mbrain@localhost\r\nFrom: mbrain@localhost":                 false,
	"From: mbrain@localhost\r\nfrom: jsmith@localhost":                 false,
	"From: mbrain@localhost\r\nSender: jsmith@localhost":               false,
	"Sender: Boss <jsmith@localhost>":                                  false,
	"From: mbrain@localhost\r\nX: y\r\nSender: ceo@bank.test":          false,
	"From: " + strings.Repeat("mbrain@localhost,\r\n ", 60) + "info":   true, // each once
	"From: \"" + strings.Repeat("n\r\n ", 3000) + "\"mbrain@localhost": false,
}

// An account writes under its own addresses: with any other in From or Sender, or with two
// From fields, a message is refused at its end, and the session goes on.
func TestAuthorsAreTheAccounts(t *testing.T) {
	f := submitting(t, func(cfg *config.Config) { cfg.SMTP.MaxErrors = 1000 })
	p := f.loggedIn(t)
	taken := int64(0)
	for header, own := range authorships {
		for _, body := range []string{"\r\nx\r\n", "\r\nfrom: jsmith@localhost\r\n" + strings.Repeat("a line of a body that is large\r\n", 20_000), ""} {
			reply := p.said(header + "\r\n" + body)
			switch {
			case own && !strings.HasPrefix(reply, "250 2.0.0 "):
				t.Errorf("%.200q: %s", header, reply)
			case own:
				taken++
			case !strings.HasPrefix(reply, "553 5.7.1 ") && !strings.HasPrefix(reply, "554 5.6.0 "):
				t.Errorf("%.200q: %s", header, reply)
			}
		}
	}
	if n, _, err := f.store.Usage(2); n != taken || err != nil {
		t.Errorf("%d messages came of %d, %v", n, taken, err)
	}
	for header, want := range map[string]string{
		"From: jsmith@localhost": "553 5.7.1 <jsmith@localhost>: From address rejected: not owned by user mbrain@localhost",
		"Sender: jsmith":         "553 5.7.1 <jsmith@localhost>: Sender address rejected: not owned by user mbrain@localhost",
		"From: a@b.c\r\nFrom: d": "553 5.7.1 <a@b.c>: From address rejected",
		"From: mbrain\r\nFrom: ": "250 ",
	} {
		if got := p.said(header + "\r\n\r\nx\r\n"); !strings.HasPrefix(got, want) {
			t.Errorf("%q: %s", header, got)
		}
	}
}

// With submission.foreign_from = "unsigned" such a message is taken, and is not signed; one
// of the account's own is.
func TestForeignAuthorsAreNotSigned(t *testing.T) {
	f := submitting(t, func(cfg *config.Config) { cfg.Submission.ForeignFrom = config.ForeignFromUnsigned })
	p := f.loggedIn(t)
	n := 0
	for header, own := range authorships {
		if got := p.said(header + "\r\n\r\nx\r\n"); !strings.HasPrefix(got, "250 2.0.0 ") {
			t.Fatalf("%.200q: %s", header, got)
		}
		n++
		text := f.bodies(t, "jsmith")[n-1]
		if signed := strings.Contains(text, "DKIM-Signature:"); signed != own || own && !f.holds(t, text) {
			t.Errorf("%.200q: signed: %v\n%.2000s", header, signed, text)
		}
	}
}

// With submission.any_sender = true the operator lets accounts write under any address.
func TestAnySenderWritesUnderAnyAddress(t *testing.T) {
	f := submitting(t, func(cfg *config.Config) { cfg.Submission.AnySender = true })
	p := f.loggedIn(t)
	for _, header := range []string{"From: jsmith@localhost", "From: mbrain@localhost\r\nSender: jsmith@localhost"} {
		if got := p.said(header + "\r\n\r\nx\r\n"); !strings.HasPrefix(got, "250 2.0.0 ") {
			t.Errorf("%q: %s", header, got)
		}
	}
}

// A header that would have to be completed and is not kept refuses the message: Bcc never
// leaves. It does not matter where in the header the field is, nor how the header came.
func TestBccOfALargeHeader(t *testing.T) {
	fold := "X: " + strings.Repeat(strings.Repeat("x", 900)+"\r\n ", 80) + "\r\n"
	for _, c := range []struct {
		name   string
		login  bool
		header string
		want   string
	}{
		{"after a login, at its front", true, "Bcc: secret@far.test\r\n" + fold, "552 5.3.4 "},
		{"after a login, at its end", true, fold + "Bcc: secret@far.test\r\n", "552 5.3.4 "},
		{"after a login, of another server", true, "Received: from a by b; Mon, 23 Nov 2026 12:00:00 +0000\r\n" + fold + "Bcc: secret@far.test\r\n", "552 5.3.4 "},
		{"a program", false, fold + "Bcc: secret@far.test\r\n", "552 5.3.4 "},
		{"another server", false, "Received: from a by b; Mon, 23 Nov 2026 12:00:00 +0000\r\n" + fold, "250 2.0.0 "},
		{"after a login, just small enough", true, fold[:60_000] + "\r\nBcc: secret@far.test\r\n", "250 2.0.0 "},
	} {
		for _, body := range []string{"\r\nx\r\n", ""} {
			t.Run(c.name, func(t *testing.T) {
				f := submitting(t, func(cfg *config.Config) { cfg.Relay.Networks = cfg.SMTP.TrustedNetworks })
				p := f.dialSMTP(t)
				if c.login {
					p = f.loggedIn(t)
				} else {
					p.expect("220 ")
					p.say("EHLO client.test", "250 ")
				}
				p.say("MAIL FROM:<mbrain@localhost>", "250 ")
				p.say("RCPT TO:<x@elsewhere.test>", "250 ")
				p.say("RCPT TO:<jsmith@localhost>", "250 ")
				p.say("DATA", "354 ")
				p.send(c.header + body + ".\r\n")
				p.expect(c.want)
				for _, text := range f.bodies(t, "jsmith") {
					if strings.Contains(text, "secret@far.test") {
						t.Errorf("Bcc is in\n%.500s", text)
					}
				}
				n := 0
				if err := f.store.Queued(storage.QueueFilter{}, func(*storage.QueueEntry) bool { n++; return true }); err != nil || n > 0 && !strings.HasPrefix(c.want, "250") {
					t.Errorf("%d entries are queued, %v", n, err)
				}
				p.say("MAIL FROM:<mbrain@localhost>", "250 ")
			})
		}
	}
}
