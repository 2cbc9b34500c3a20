package server

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"postrider/codec/sasl"
	"postrider/engine/config"
	"postrider/storage"
)

func (f *fixture) change(t *testing.T, user string, c storage.AccountChange) {
	t.Helper()
	a, err := f.router.Login([]byte(user))
	if err == nil {
		err = f.store.ChangeAccount(a.ID, c)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// message is a message of an account's maildrop.
func (f *fixture) message(t *testing.T, user string, n int) string {
	t.Helper()
	p := f.login(t, user)
	p.say(fmt.Sprint("RETR ", n), "+OK")
	text := p.listing()
	p.say("QUIT", "+OK")
	return text
}

// An account with an imported hash logs in by PLAIN, and can use SCRAM from then on: it is
// offered when the last account has its verifier.
func TestAnImportedAccountGetsSCRAMByItsFirstLogin(t *testing.T) {
	f := start(t, func(c *config.Config) { now(c); c.Auth.Mechanisms = sasl.SetOf(sasl.ScramSHA256, sasl.Plain) }, nil)
	a := f.mbrain(t)
	if err := f.store.SetPassword(a.ID, storage.PasswordOf(a.Hash), ""); err != nil {
		t.Fatal(err)
	}
	if auth, _, _ := f.offered(t); auth != "PLAIN" {
		t.Errorf("offered before: %s", auth)
	}
	p := f.hello(t)
	p.say(plain("mbrain", "secret"), "235 ")
	for until := time.Now().Add(hang); f.store.Proofs().Without > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("no verifier was made")
		}
	}
	p.say("MAIL FROM:<mbrain@localhost>", "250 ") // the session goes on
	if auth, _, _ := f.offered(t); auth != "SCRAM-SHA-256 PLAIN" {
		t.Errorf("offered after: %s", auth)
	}
	if got := prove(t, f.hello(t), "334 ", "mbrain", "secret"); !strings.HasPrefix(got, "235 ") {
		t.Errorf("SCRAM: %s", got)
	}
	if now := f.mbrain(t); now.LastLogin.IsZero() {
		t.Error("the login was not kept")
	}
}

// A disabled account can't log in. Its mail is taken, or refused with 550 5.2.1.
func TestADisabledAccount(t *testing.T) {
	f := start(t, now, nil)
	noLogin, noMail, full := storage.NoLogin, storage.NoMail, storage.FullAccess
	f.change(t, "mbrain", storage.AccountChange{Access: &noLogin})
	f.hello(t).say(plain("mbrain", "secret"), "535 5.7.8")
	p := f.dialPOP3(t)
	p.expect("+OK")
	p.say("USER mbrain", "+OK")
	p.say("PASS secret", "-ERR [AUTH]")
	f.deliver(t, "mbrain@localhost", "Subject: x\r\n\r\nkept\r\n")

	f.change(t, "mbrain", storage.AccountChange{Access: &noMail})
	f.aliases(t, "team: mbrain jsmith")
	s := f.hello(t)
	s.say("MAIL FROM:<a@client.test>", "250 ")
	s.say("RCPT TO:<mbrain@localhost>", "550 5.2.1 mbrain... Mailbox disabled")
	s.say("RCPT TO:<mbrain+tag@localhost> NOTIFY=SUCCESS", "550 5.2.1 ")
	s.say("RCPT TO:<jsmith@localhost>", "250 ")
	f.deliver(t, "team@localhost", "Subject: y\r\n\r\nto the others\r\n")
	f.login(t, "jsmith").say("STAT", "+OK 1 ")

	f.change(t, "mbrain", storage.AccountChange{Access: &full})
	f.login(t, "mbrain").say("STAT", "+OK 1 ")
	f.deliver(t, "mbrain@localhost", "Subject: z\r\n\r\nagain\r\n")
}

// smtp.over_quota decides the reply; the owner gets one mail at 80 %.
func TestQuotasAreToldAndKept(t *testing.T) {
	for reply, want := range map[config.OverQuota]string{config.OverQuotaWait: "452 4.2.2", config.OverQuotaFinal: "552 5.2.2"} {
		f := start(t, func(c *config.Config) { now(c); c.SMTP.OverQuota = reply }, nil)
		six := int64(6)
		f.change(t, "mbrain", storage.AccountChange{MaxMessages: &six})
		for range 5 { // 5 of 6 are 83 %; the warning is the sixth
			f.deliver(t, "mbrain@localhost", "Subject: x\r\n\r\nx\r\n")
		}
		a := f.mbrain(t)
		for until := time.Now().Add(hang); ; time.Sleep(time.Millisecond) {
			if n, _, err := f.store.Usage(a.ID); err != nil || n == 6 {
				break
			}
			if time.Now().After(until) {
				t.Fatal("no warning came")
			}
		}
		p := f.hello(t)
		p.say("MAIL FROM:<a@client.test>", "250 ")
		p.say("RCPT TO:<mbrain@localhost>", "250 ")
		p.say("DATA", "354 ")
		p.say("Subject: x\r\n\r\nx\r\n.", want)
		// From now on RCPT tells, so that the others get their mail; an alias waits.
		p = f.hello(t)
		p.say("MAIL FROM:<a@client.test>", "250 ")
		p.say("RCPT TO:<mbrain@localhost>", want)
		p.say("RCPT TO:<jsmith@localhost>", "250 ")
		f.aliases(t, "team: mbrain jsmith")
		f.deliver(t, "team@localhost", "Subject: x\r\n\r\nto the others\r\n")
		f.login(t, "jsmith").say("STAT", "+OK 1 ")
		got := f.message(t, "mbrain", 6)
		for _, text := range []string{"Subject: Your mailbox mbrain@localhost is almost full", "To: <mbrain@localhost>", "5 of 6 messages (83 %)", "Auto-Submitted: auto-generated"} {
			if !strings.Contains(got, text) {
				t.Errorf("no %q in the warning:\n%s", text, got)
			}
		}
	}
}

// The postmaster of a domain is told of its quota.
func TestAQuotaOfADomainIsTold(t *testing.T) {
	f := start(t, now, nil)
	if err := f.store.SetDomainQuota("localhost", storage.Quota{Octets: 10_000}); err != nil {
		t.Fatal(err)
	}
	text := "Subject: x\r\n\r\n" + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 40)
	for range 2 {
		f.deliver(t, "mbrain@localhost", text)
	}
	f.deliver(t, "jsmith@localhost", text)
	a, err := f.router.Login([]byte("postmaster"))
	if err != nil {
		t.Fatal(err)
	}
	for until := time.Now().Add(hang); ; time.Sleep(time.Millisecond) {
		if n, _, err := f.store.Usage(a.ID); err != nil || n == 1 {
			break
		}
		if time.Now().After(until) {
			t.Fatal("no warning came")
		}
	}
	if got := f.message(t, "postmaster", 1); !strings.Contains(got, "The mailboxes of the domain localhost are almost full") || !strings.Contains(got, "of 10000 octets") {
		t.Error(got)
	}
}

// A domain alias counts for mail, for logins and for senders.
func TestADomainAlias(t *testing.T) {
	f := start(t, func(c *config.Config) { now(c); c.Submission.AnySender = false }, nil)
	if err := f.store.AddDomainAlias("old.example", "localhost"); err != nil {
		t.Fatal(err)
	}
	f.deliver(t, "MBrain+tag@Old.Example", "Subject: x\r\n\r\nx\r\n")
	f.login(t, "mbrain@old.example").say("STAT", "+OK 1 ")
	p := f.hello(t)
	p.say("MAIL FROM:<a@client.test>", "250 ")
	p.say("RCPT TO:<nobody@old.example>", "550 5.1.1")
	if !f.router.Owns(f.mbrain(t).ID, "mbrain@old.example") || f.router.Owns(f.mbrain(t).ID, "jsmith@old.example") {
		t.Error("the alias is not the account's")
	}
}

// Mails about quotas that wait are bounded; what finds no room is logged.
func TestQuotaWarningsAreBounded(t *testing.T) {
	f := start(t, now, nil)
	w := newQuotaWarnings(f.Server) // nothing takes from it
	near := make([]storage.NearQuota, maxWarnings+10)
	for i := range near {
		near[i].Domain = fmt.Sprintf("d%d.example", i)
	}
	logged := f.listenIn()
	w.add(near)
	if len(w.queue) != maxWarnings {
		t.Errorf("%d wait", len(w.queue))
	}
	if n := strings.Count(logged.text(), "a mail about a quota was not written"); n != 10 {
		t.Errorf("%d are logged", n)
	}
}
