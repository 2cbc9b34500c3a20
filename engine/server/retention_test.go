package server

import (
	"strings"
	"testing"
	"time"

	"postrider/engine/config"
	"postrider/engine/front/web"
	"postrider/storage"
)

// keepsMail has deleted mail and removed accounts kept.
func keepsMail(c *config.Config) {
	c.Storage.KeepDeleted, c.Storage.KeepRemoved = 7*24*time.Hour, 7*24*time.Hour
}

// uidls is what a client sees of its maildrop.
func (f *fixture) uidls(t *testing.T, user string) string {
	t.Helper()
	p := f.login(t, user)
	p.say("UIDL", "+OK")
	all := p.listing()
	p.say("QUIT", "+OK")
	return all
}

// What clients delete comes back as it was: for a client that deletes nothing happened. A
// deletion without QUIT deletes nothing, and so keeps nothing.
func TestWhatClientsDeleteComesBack(t *testing.T) {
	f := start(t, keepsMail, nil)
	for _, text := range []string{"one\r\n", "two\r\n", "..three\r\n"} {
		f.deliver(t, "mbrain@localhost", text)
	}
	a := f.mbrain(t)
	before, second := f.uidls(t, "mbrain"), f.message(t, "mbrain", 2)
	p := f.login(t, "mbrain")
	p.say("DELE 1", "+OK")
	p.say("DELE 2", "+OK")
	p.say("QUIT", "+OK")
	q := f.login(t, "mbrain")
	q.say("DELE 1", "+OK")
	q.Close()
	f.maildropIsFree(t, a.ID)
	b := web.Mailbox{Store: f.store, Account: a.ID}
	list, err := b.Page(t.Context(), 0)
	if err != nil || len(list.Rows) != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	if err := b.Delete(t.Context(), []storage.MessageID{list.Rows[0].ID}); err != nil {
		t.Fatal(err)
	}
	if got := f.uidls(t, "mbrain"); got != "" || f.store.Kept().Deleted.Messages != 3 {
		t.Errorf("%q is left, %+v is kept", got, f.store.Kept())
	}
	var ids []storage.MessageID
	if err := f.store.Deleted(a.ID, func(d storage.DeletedMessage) bool { ids = append(ids, d.ID); return true }); err != nil {
		t.Fatal(err)
	}
	open := f.login(t, "mbrain") // a session sees them after its next login
	if _, err := f.store.Undelete(a.ID, ids); err != nil {
		t.Fatal(err)
	}
	open.say("STAT", "+OK 0 0")
	open.say("QUIT", "+OK")
	if got := f.uidls(t, "mbrain"); got != before {
		t.Errorf("%q, was %q", got, before)
	}
	if got := f.message(t, "mbrain", 2); got != second {
		t.Errorf("%q, was %q", got, second)
	}
}

// A removed account's sessions end, mail for it is refused, and it comes back with both.
func TestARemovedAccountComesBack(t *testing.T) {
	f := start(t, keepsMail, nil)
	f.deliver(t, "mbrain@localhost", "kept\r\n")
	a := f.mbrain(t)
	before := f.uidls(t, "mbrain")
	p := f.login(t, "mbrain")
	p.say("DELE 1", "+OK")
	if err := f.store.RemoveAccount(a.ID); err != nil {
		t.Fatal(err)
	}
	p.say("QUIT", "-ERR [AUTH]")
	c := f.dialSMTP(t)
	c.expect("220")
	c.say("HELO here.test", "250")
	c.say("MAIL FROM:<>", "250")
	c.say("RCPT TO:<mbrain@localhost>", "550 5.1.1")
	if err := f.store.RestoreAccount(a.ID, a.Name, a.Domain); err != nil {
		t.Fatal(err)
	}
	c.say("RCPT TO:<mbrain@localhost>", "250")
	if got := f.uidls(t, "mbrain"); got != before {
		t.Errorf("%q, was %q", got, before)
	}
}

// RFC 2449 section 6.7: what is announced is what is carried out, after a reload too.
func TestExpireIsAnnounced(t *testing.T) {
	f := start(t, nil, nil)
	announced := func(p *peer) string {
		t.Helper()
		p.say("CAPA", "+OK")
		for line := range strings.SplitSeq(p.listing(), "\n") {
			if strings.HasPrefix(line, "EXPIRE") {
				return strings.TrimSpace(line)
			}
		}
		return ""
	}
	want := func(before, after string) {
		t.Helper()
		p := f.dialPOP3(t)
		p.expect("+OK")
		if got := announced(p); got != before {
			t.Errorf("before the login: %q, want %q", got, before)
		}
		p.say("USER mbrain", "+OK")
		p.say("PASS secret", "+OK")
		if got := announced(p); got != after {
			t.Errorf("after the login: %q, want %q", got, after)
		}
		p.say("QUIT", "+OK")
	}
	expire := func(d time.Duration) { t.Helper(); f.change(t, "mbrain", storage.AccountChange{Expire: &d}) }
	reload := func(d time.Duration) {
		t.Helper()
		next := f.config().Clone()
		next.POP3.Expire = d
		if err := f.Reload(next); err != nil {
			t.Fatal(err)
		}
	}
	const day = 24 * time.Hour
	want("EXPIRE NEVER", "EXPIRE NEVER")
	reload(36 * time.Hour)
	want("EXPIRE 1", "EXPIRE 1")
	expire(90 * day)
	want("EXPIRE 1 USER", "EXPIRE 90")
	expire(storage.NeverExpire)
	want("EXPIRE 1 USER", "EXPIRE NEVER")
	reload(0)
	want("EXPIRE NEVER", "EXPIRE NEVER")
	expire(7 * day)
	want("EXPIRE 7 USER", "EXPIRE 7")
}
