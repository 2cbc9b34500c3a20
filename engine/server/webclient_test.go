package server

import (
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"postrider/engine/admit/login"
	"postrider/engine/config"
	"postrider/engine/front/web"
	"postrider/engine/mail/incoming"
	"postrider/storage"
)

var (
	here      = netip.MustParseAddr("127.0.0.1")
	elsewhere = netip.MustParseAddr("192.0.2.7")
)

func TestWebLoginsAreThoseOfTheProtocols(t *testing.T) {
	f := start(t, func(cfg *config.Config) {
		cfg.Auth.NetworkFailures, cfg.Auth.FailureWindow, cfg.Auth.FailureDelay = 3, time.Hour, 0
	}, nil)
	try := func(user, password string, from netip.Addr, want error) {
		t.Helper()
		a, err := f.door.SignIn(t.Context(), user, []byte(password), from)
		if !errors.Is(err, want) || (err == nil) != (a.ID != 0 && a.Name == "mbrain") {
			t.Errorf("%s from %s: %+v, %v", user, from, a, err)
		}
	}
	try("mbrain", "secret", here, nil)
	try("MBrain@localhost", "secret", here, nil)
	try("mbrain", "wrong", here, login.ErrDenied)
	try("nobody", "wrong", here, login.ErrDenied)
	try("", "", here, login.ErrDenied)
	try("jsmith", "secret!", here, login.ErrThrottled)
	try("mbrain", "secret", here, nil) // remembered: a right password is not shut out
	try("mbrain", "secret", elsewhere, nil)
	p := f.dialPOP3(t) // the count is one for all protocols
	p.expect("+OK")
	p.say("USER jsmith", "+OK")
	p.say("PASS wrong", "-ERR [SYS/TEMP] too many failed")
	if f.door.Stats.Denied.Load() != 3 || f.door.Stats.Throttled.Load() != 2 {
		t.Errorf("%d denied, %d throttled", f.door.Stats.Denied.Load(), f.door.Stats.Throttled.Load())
	}
}

// letterOf is a message of an account, ready to be sent.
func letterOf(sender string, to ...string) incoming.Mail {
	return incoming.Mail{Sender: sender, Recipients: to, Text: strings.NewReader("From: <" + sender + ">\nSubject: x\n\ny\n"), At: time.Now()}
}

func TestWebSubmissionKeepsTheRules(t *testing.T) {
	f := submitting(t, func(cfg *config.Config) { cfg.Submission.MessagesPerHour, cfg.Submission.RecipientsPerHour = 4, 6 })
	account, err := f.router.Login([]byte("mbrain"))
	if err != nil {
		t.Fatal(err)
	}
	send := func(m incoming.Mail, want error, refused int) {
		t.Helper()
		r, err := f.webSubmit(t.Context(), account, m)
		if !errors.Is(err, want) || len(r.Refused) != refused || (r.Receipt.ID() != 0) != (err == nil && refused < len(m.Recipients)) {
			t.Errorf("%s to %v: %+v, %v", m.Sender, m.Recipients, r, err)
		}
	}
	for _, foreign := range []string{"jsmith@localhost", "mbrain@example.com", "postmaster@localhost", "", "x"} {
		send(letterOf(foreign, "jsmith@localhost"), web.ErrRefused, 0)
	}
	send(letterOf("mbrain@localhost", "nobody@localhost"), nil, 1) // costs nothing
	send(letterOf("mbrain@localhost", "b@@c"), storage.ErrInvalid, 0)
	send(letterOf("mbrain@localhost", "jsmith@localhost", "nobody@localhost"), nil, 1)
	send(letterOf("info@localhost", "jsmith@localhost"), nil, 0)
	send(letterOf("mbrain@localhost", "jsmith@localhost", "a@example.com", "b@example.com", "c@example.com", "d@example.com"), web.ErrRefused, 0)
	send(letterOf("mbrain@localhost", "jsmith@localhost", "a@example.com", "b@example.com", "c@example.com"), nil, 0)
	send(letterOf("mbrain@localhost", "jsmith@localhost"), web.ErrRefused, 0)
	if n, _ := f.store.QueueTotal(); n != 1 {
		t.Errorf("%d entries are queued", n)
	}
	text := f.got(t, "1")
	if !strings.Contains(text, "\r\nMessage-ID: <") || !strings.Contains(text, "\r\nDate: ") || !f.holds(t, text) {
		t.Errorf("not completed, or not signed:\n%s", text)
	}
	if got := f.addressesOf(account); !slices.Equal(got, []string{"mbrain@localhost", "info@localhost"}) {
		t.Errorf("addresses %v", got)
	}
}

// An open POP3 session and a deletion by the web client never meet.
func TestWebDeletionAndPOP3(t *testing.T) {
	f := start(t, nil, nil)
	account, err := f.router.Login([]byte("jsmith"))
	if err != nil {
		t.Fatal(err)
	}
	mbrain, err := f.router.Login([]byte("mbrain"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := f.webSubmit(t.Context(), mbrain, letterOf("mbrain@localhost", "jsmith@localhost"))
	if err != nil {
		t.Fatal(err)
	}
	ids := []storage.MessageID{r.Receipt.ID()}
	box := web.Mailbox{Store: f.store, Account: account.ID}
	p := f.login(t, "jsmith")
	if err := box.Delete(t.Context(), ids); !errors.Is(err, storage.ErrInUse) {
		t.Errorf("deleted under a session: %v", err)
	}
	p.say("RETR 1", "+OK")
	p.listing()
	deleted := make(chan error)
	go func() { deleted <- box.Delete(t.Context(), ids) }()
	p.say("QUIT", "+OK")
	if err := <-deleted; err != nil {
		t.Errorf("not deleted behind the session: %v", err)
	}
	q := f.login(t, "jsmith")
	q.say("STAT", "+OK 0 0")
	q.say("QUIT", "+OK")
	if l, err := box.Page(t.Context(), 0); err != nil || len(l.Rows) != 0 {
		t.Errorf("%+v, %v", l, err)
	}
}

func TestWebClientIsMade(t *testing.T) {
	f := start(t, nil, nil)
	if h, err := f.WebClient(f.log.Logger); err != nil || h == nil || f.WebTLS() == nil || !slices.Equal(f.WebTLS().NextProtos, []string{"http/1.1"}) {
		t.Errorf("%v %v", h, err)
	}
	var _ http.Handler = f.HTTP()
}
