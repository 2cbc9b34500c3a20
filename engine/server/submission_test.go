package server

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	msgauth "github.com/emersion/go-msgauth/dkim"

	"postrider/engine/config"
	"postrider/engine/mail/dkim"
	"postrider/storage"
)

// submitting adds the addresses of submission, and a DKIM key for localhost.
func submitting(t *testing.T, more func(*config.Config)) *fixture {
	t.Helper()
	f := start(t, func(cfg *config.Config) {
		cfg.Submission.Listen = []string{"127.0.0.1:0"}
		cfg.Submission.ListenTLS = []string{"127.0.0.1:0"}
		if err := os.Chmod(cfg.Server.Data, 0o700); err != nil {
			t.Fatal(err)
		}
		if _, err := dkim.Create(cfg.DKIMDir(), "localhost", "e1", 0); err != nil {
			t.Fatal(err)
		}
		if more != nil {
			more(cfg)
		}
	}, nil)
	if err := f.store.SetAliases([]storage.Alias{{Name: "info", Domain: "localhost", Targets: []string{"mbrain@localhost", "jsmith@localhost"}}}); err != nil {
		t.Fatal(err)
	}
	return f
}

// loggedIn is a session of mbrain within TLS.
func (f *fixture) loggedIn(t *testing.T) *peer {
	t.Helper()
	p := dialTLS(t, f.SubmissionsAddrs()[0], modern)
	p.expect("220 ")
	p.say("EHLO client.test", "250 ")
	p.say("AUTH PLAIN "+base64.StdEncoding.EncodeToString([]byte("\x00mbrain\x00secret")), "235 ")
	return p
}

// mail sends a message from mbrain to jsmith.
func (p *peer) mail(text string) {
	p.t.Helper()
	p.say("MAIL FROM:<mbrain@localhost>", "250 ")
	p.say("RCPT TO:<jsmith@localhost>", "250 ")
	p.say("DATA", "354 ")
	p.send(text + ".\r\n")
	p.expect("250 2.0.0 ")
}

// got is the message of that number in jsmith's maildrop, in plain form.
func (f *fixture) got(t *testing.T, number string) string {
	t.Helper()
	q := f.login(t, "jsmith")
	q.say("RETR "+number, "+OK")
	text := q.listing()
	q.say("QUIT", "+OK")
	q.end()
	return text
}

// holds reports whether the signature in text is good.
func (f *fixture) holds(t *testing.T, text string) bool {
	t.Helper()
	keys, err := dkim.List(f.config().DKIMDir())
	if err != nil {
		t.Fatal(err)
	}
	vs, err := msgauth.VerifyWithOptions(strings.NewReader(text), &msgauth.VerifyOptions{LookupTXT: func(name string) ([]string, error) {
		for _, k := range keys {
			if k.Name() == name {
				return []string{k.Value()}, nil
			}
		}
		return nil, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range vs {
		if v.Err != nil {
			t.Log(v.Err)
			return false
		}
	}
	return len(vs) > 0
}

func TestSubmissionNeedsALogin(t *testing.T) {
	f := submitting(t, nil)
	p := dial(t, f.SubmissionAddrs()[0].String())
	p.expect("220 ")
	p.say("EHLO client.test", "250 ")
	p.say("MAIL FROM:<mbrain@localhost>", "530 5.7.0 ")
	p.say("VRFY mbrain", "530 5.7.0 ")
	p.say("STARTTLS", "220 ")
	q := p.secure(modern)
	q.say("EHLO client.test", "250 ")
	q.say("MAIL FROM:<mbrain@localhost>", "530 5.7.0 ")
	q.say("AUTH PLAIN "+base64.StdEncoding.EncodeToString([]byte("\x00mbrain\x00secret")), "235 ")
	q.mail("Subject: x\r\n\r\nx\r\n")
}

func TestSenderIsTheAccounts(t *testing.T) {
	f := submitting(t, nil)
	p := f.loggedIn(t)
	for from, want := range map[string]string{
		"mbrain@localhost": "250 ", "MBrain+tag@LOCALHOST": "250 ", "info@localhost": "250 ", "": "250 ",
		"jsmith@localhost":      "553 5.7.1 <jsmith@localhost>: Sender address rejected: not owned by user mbrain@localhost",
		"mbrain@elsewhere.test": "553 5.7.1 ", "nobody@localhost": "553 5.7.1 ",
	} {
		p.say("MAIL FROM:<"+from+">", want)
		p.say("RSET", "250 ")
	}
	free := submitting(t, func(cfg *config.Config) { cfg.Submission.AnySender = true }).loggedIn(t)
	free.say("MAIL FROM:<jsmith@localhost>", "250 ")
}

func TestMissingFieldsAndSignature(t *testing.T) {
	f := submitting(t, nil)
	p := f.loggedIn(t)
	p.mail("Subject: bare\r\n\r\n..dot\r\n")
	text := f.got(t, "1")
	for _, want := range []string{"\r\nMessage-ID: <", "\r\nDate: ", "\r\nFrom: <mbrain@localhost>\r\n", "\r\n\r\n.dot\r\n", " with ESMTPSA id ", "Return-Path: <mbrain@localhost>\r\nDKIM-Signature:"} {
		if strings.Count(text, want) != 1 {
			t.Errorf("%q is not once in\n%s", want, text)
		}
	}
	if !f.holds(t, text) {
		t.Errorf("the signature does not hold:\n%s", text)
	}
	whole := "From: MBrain <mbrain@localhost>\r\nDate: Mon, 23 Nov 2026 12:00:00 +0000\r\nMessage-Id: <own@localhost>\r\nSubject: whole\r\n\r\n"
	p.mail(whole + strings.Repeat("a line of a large message, so that it fills windows.\r\n", 40_000))
	text = f.got(t, "2")
	if strings.Count(strings.ToLower(text), "\r\nmessage-id:") != 1 || strings.Count(text, "\r\nDate:") != 1 || strings.Count(text, "\r\nFrom:") != 1 {
		t.Errorf("fields were added to\n%.2000s", text)
	}
	if !f.holds(t, text) {
		t.Errorf("the signature does not hold:\n%.2000s", text)
	}
	p.mail("Subject: nothing but a header\r\n")
	if text = f.got(t, "3"); !strings.Contains(text, "\r\nDate: ") || strings.Contains(text, "DKIM-Signature:") {
		t.Errorf("got\n%s", text)
	}
	p.say("MAIL FROM:<mbrain@localhost>", "250 ")
	p.say("RCPT TO:<jsmith@localhost>", "250 ")
	p.send("BDAT 1000\r\nSubject: cut off in its body\r\n\r\nx")
	p.Close()
}

func TestStrangersAreLeftAlone(t *testing.T) {
	f := submitting(t, func(cfg *config.Config) { cfg.Relay.Networks = nil })
	p := f.dialSMTP(t)
	p.expect("220 ")
	p.say("EHLO client.test", "250 ")
	p.mail("Subject: bare\r\n\r\nx\r\n")
	text := f.got(t, "1")
	if strings.Contains(text, "DKIM") || strings.Contains(text, "Message-ID") {
		t.Errorf("got\n%s", text)
	}
}

func TestRelayNetworksAreSigned(t *testing.T) {
	f := submitting(t, func(cfg *config.Config) { cfg.Relay.Networks = cfg.SMTP.TrustedNetworks })
	p := f.dialSMTP(t)
	p.expect("220 ")
	p.say("EHLO client.test", "250 ")
	p.say("MAIL FROM:<mbrain@localhost>", "250 ")
	p.say("RCPT TO:<x@elsewhere.test>", "250 ")
	p.say("RCPT TO:<jsmith@localhost>", "250 ")
	p.say("DATA", "354 ")
	p.send("From: anybody@sub.localhost\r\nDate: Mon, 23 Nov 2026 12:00:00 +0000\r\n\r\nx\r\n.\r\n")
	p.expect("250 2.0.0 ")
	if text := f.got(t, "1"); !strings.Contains(text, "Message-ID: ") || !f.holds(t, text) {
		t.Errorf("got\n%s", text)
	}
	err := f.store.Queued(storage.QueueFilter{}, func(e *storage.QueueEntry) bool {
		m, err := f.store.OpenQueued(e)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		var text []byte
		for piece, err := m.Next(); err == nil; piece, err = m.Next() {
			text = append(text, piece...)
		}
		if !f.holds(t, string(text)) {
			t.Errorf("in the queue:\n%s", text)
		}
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAllowanceOfAnAccount(t *testing.T) {
	f := submitting(t, func(cfg *config.Config) {
		cfg.Submission.MessagesPerHour, cfg.Submission.RecipientsPerHour, cfg.Submission.HideClient = 2, 3, true
	})
	p := f.loggedIn(t)
	for range 5 { // what was not sent does not count
		p.say("MAIL FROM:<mbrain@localhost>", "250 ")
		p.say("RCPT TO:<jsmith@localhost>", "250 ")
		p.say("RCPT TO:<nobody@localhost>", "550 ")
		p.say("RSET", "250 ")
	}
	p.mail("Subject: 1\r\n\r\n1\r\n")
	if text := f.got(t, "1"); strings.Contains(text, "127.0.0.1") || strings.Contains(text, "client.test") {
		t.Errorf("the client shows:\n%s", text)
	}
	p.say("MAIL FROM:<mbrain@localhost>", "250 ")
	p.say("RCPT TO:<jsmith@localhost>", "250 ")
	p.say("RCPT TO:<mbrain@localhost>", "250 ")
	p.say("RCPT TO:<postmaster@localhost>", "450 4.7.1 mbrain@localhost has sent to its limit of 3 recipients an hour, try again after ")
	p.say("DATA", "354 ")
	p.send("Subject: 2\r\n\r\n2\r\n.\r\n")
	p.expect("250 2.0.0 ")
	p.say("MAIL FROM:<mbrain@localhost>", "450 4.7.1 mbrain@localhost has sent to its limit of 2 messages an hour, try again after ")
}

func TestKeyThatOthersCanRead(t *testing.T) {
	cfg := config.Default()
	cfg.Server.Data = t.TempDir()
	k, err := dkim.Create(cfg.DKIMDir(), "localhost", "e1", 0)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(cfg.DKIMDir(), k.Name()+".pem")
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := New(cfg, nil, nil); err == nil || !strings.Contains(err.Error(), "chmod 600 "+path) {
		t.Errorf("New: %v", err)
	}
}

// What another host gets, and the notification of what it refused, are signed.
func TestRelayedMailIsSigned(t *testing.T) {
	from, to, _ := pair(t, func(cfg *config.Config) {
		if err := os.Chmod(cfg.Server.Data, 0o700); err != nil {
			t.Fatal(err)
		}
		for _, domain := range []string{"localhost", "mx.test"} {
			if _, err := dkim.Create(cfg.DKIMDir(), domain, "r1", 1024); err != nil {
				t.Fatal(err)
			}
		}
	})
	p := from.dialSMTP(t)
	p.expect("220 ")
	p.say("EHLO client.test", "250 ")
	p.say("MAIL FROM:<mbrain@localhost> RET=FULL", "250 ")
	p.say("RCPT TO:<bob@b.test>", "250 ")
	p.say("RCPT TO:<nobody@b.test>", "250 ")
	p.say("DATA", "354 ")
	p.send("From: mbrain@localhost\r\nSubject: both\r\n\r\n..dot\r\n" + strings.Repeat("a line of a message that has some chunks in the store.\r\n", 4_000) + ".\r\n")
	p.expect("250 2.0.0 ")
	from.drained(t)
	if got := to.bodies(t, "mbrain"); len(got) != 1 || !from.holds(t, got[0]) {
		t.Errorf("%d messages arrived:\n%.1500s", len(got), got)
	}
	notices := from.bodies(t, "mbrain")
	if len(notices) != 1 || !strings.Contains(notices[0], " d=mx.test;") || !from.holds(t, notices[0]) {
		t.Fatalf("%d notifications:\n%.1500s", len(notices), notices)
	}
	if strings.Count(notices[0], "DKIM-Signature:") != 2 {
		t.Error("the message that comes back lacks its signature")
	}
}

// Addresses without a domain get ours, and Bcc goes: after a login, and for programs on
// relay.networks whose mail goes to other hosts. What stays here, what another server has
// had, and what the operator leaves alone is kept octet for octet.
func TestHeadersAreCompleted(t *testing.T) {
	const header = "From: backup (Nightly run)\r\nTo: jsmith,\r\n \"Ops, all\" <ops>\r\nReply-To: noreply@far.test\r\nBcc: secret@far.test\r\nMessage-ID: <>\r\nResent-Bcc: boss\r\n"
	complete := func(text string) bool {
		for _, want := range []string{"From: backup@localhost (Nightly run)\r\n", "jsmith@localhost", "<ops@localhost>", "Reply-To: noreply@far.test\r\n", "\r\nDate: ", "@mx.test>\r\n", "\r\n\r\nx\r\n"} {
			if !strings.Contains(text, want) {
				return false
			}
		}
		return !strings.Contains(text, "secret") && !strings.Contains(text, "boss") && !strings.Contains(text, "Message-ID: <>")
	}
	for _, c := range []struct {
		name                  string
		off, login, elsewhere bool
		before                string // fields before the header
		want                  bool
	}{
		{name: "after a login", login: true, want: true},
		{name: "after a login, elsewhere", login: true, elsewhere: true, want: true},
		{name: "after a login, though the key is off", off: true, login: true, want: true},
		{name: "a program, elsewhere", elsewhere: true, want: true},
		{name: "a program, here"},
		{name: "another server, elsewhere", elsewhere: true, before: "Received: from a by b; Mon, 23 Nov 2026 12:00:00 +0000\r\n"},
		{name: "the key is off", off: true, elsewhere: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := submitting(t, func(cfg *config.Config) {
				cfg.Relay.Networks, cfg.Relay.CompleteHeader = cfg.SMTP.TrustedNetworks, !c.off
			})
			if err := f.store.SetAliases([]storage.Alias{{Name: "backup", Domain: "localhost", Targets: []string{"mbrain@localhost"}}}); err != nil {
				t.Fatal(err)
			}
			p := f.dialSMTP(t)
			if c.login {
				p = f.loggedIn(t)
			} else {
				p.expect("220 ")
				p.say("EHLO client.test", "250 ")
			}
			p.say("MAIL FROM:<mbrain@localhost>", "250 ")
			p.say("RCPT TO:<jsmith@localhost>", "250 ")
			if c.elsewhere {
				p.say("RCPT TO:<x@elsewhere.test>", "250 ")
			}
			p.say("DATA", "354 ")
			p.send(c.before + header + "\r\nx\r\n.\r\n")
			p.expect("250 2.0.0 ")
			text := f.got(t, "1")
			if complete(text) != c.want || !c.want && !strings.Contains(text, c.before+header+"\r\nx\r\n") || c.want && !f.holds(t, text) {
				t.Errorf("got\n%s", text)
			}
		})
	}
}
