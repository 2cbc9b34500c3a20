package e2e

import (
	"net/textproto"
	"strings"
	"testing"
	"time"

	"postrider/engine/edge/dns/dnstest"
)

const original = "From: <writer@localhost>\r\nTo: <all@far.test>\r\nSubject: to be returned\r\nMessage-ID: <returned@localhost>\r\n\r\n" +
	"First line.\r\n..leading dot\r\nLast line.\r\n"

// startNoticeRelay starts a server where mail is late after 3 s and too old after
// 8, and three hosts: plain.test takes mail, dsn.test takes it and offers DSN,
// no.test refuses recipients by their names.
func startNoticeRelay(t *testing.T, aliases ...string) (s *server, plain, able, no *peer) {
	t.Helper()
	port, hosts := startPeers(t, "127.0.0.2", "127.0.0.3", "127.0.0.4")
	plain, able, no = hosts[0], hosts[1], hosts[2]
	able.behave(manners{offers: append([]string{"DSN"}, usual...)})
	no.behave(manners{refuse: func(to string, try int, age time.Duration) string {
		if strings.HasPrefix(to, "late") {
			return "450 4.2.2 the maildrop is full"
		}
		return refuseByName(to, try, age)
	}})
	names := dnstest.Start(t, "plain.test. 300 IN A 127.0.0.2", "dsn.test. 300 IN A 127.0.0.3", "no.test. 300 IN A 127.0.0.4")
	s = newServer(t, "writer", "postmaster")
	if len(aliases) > 0 {
		s = newServer(t, "writer")
		s.run(append([]string{"alias", "add"}, aliases...)...)
	}
	s.configure(relayConfig(names, port, "warn_after = \"3s\"\nlifetime = \"10s\""))
	s.start()
	return s, plain, able, no
}

// fieldsAre wants these fields in one group of a notification.
func fieldsAre(t *testing.T, got textproto.MIMEHeader, want map[string]string) {
	t.Helper()
	for name, value := range want {
		if got.Get(name) != value {
			t.Errorf("%s is %q, want %q, in %v", name, got.Get(name), value, got)
		}
	}
}

// The warning, then the returned mail, and senders that get neither (RFC 3461 section 4.1).
func TestRelayWarnsAndReturns(t *testing.T) {
	t.Parallel()
	s, _, _, no := startNoticeRelay(t)
	s.submit(submission{
		from: "writer@localhost> RET=HDRS ENVID=QQ+2B314159",
		to: []string{
			"late1@no.test> ORCPT=rfc822;Bob+2BTag@original.test", "late2@no.test> NOTIFY=FAILURE",
			"late3@no.test> NOTIFY=NEVER", "late4@no.test> NOTIFY=DELAY",
		}, text: original,
	})
	warning, about := s.notice("writer", "late1@no.test", "delayed")
	fieldsAre(t, warning.message, map[string]string{"Original-Envelope-Id": "QQ+314159"})
	fieldsAre(t, about, map[string]string{
		"Original-Recipient": "rfc822; Bob+Tag@original.test", "Status": "4.2.2", "Remote-Mta": "dns; no.test",
		"Diagnostic-Code": "smtp; 450 4.2.2 the maildrop is full",
	})
	if about.Get("Will-Retry-Until") == "" || warning.header.Get("Subject") != "Delayed Mail (still being retried)" {
		t.Errorf("the warning is\n%s", warning.raw)
	}
	if len(warning.recipients) != 2 {
		t.Errorf("the warning is about %d recipients, want late1 and late4:\n%s", len(warning.recipients), warning.raw)
	}

	bounce, about := s.notice("writer", "late1@no.test", "failed")
	fieldsAre(t, bounce.message, map[string]string{"Original-Envelope-Id": "QQ+314159"})
	fieldsAre(t, about, map[string]string{"Original-Recipient": "rfc822; Bob+Tag@original.test", "Diagnostic-Code": "smtp; 450 4.2.2 the maildrop is full"})
	if len(bounce.recipients) != 2 {
		t.Errorf("the bounce is about %d recipients, want late1 and late2:\n%s", len(bounce.recipients), bounce.raw)
	}
	if bounce.kind != "text/rfc822-headers" || !strings.Contains(bounce.returned, "Message-ID: <returned@localhost>\r\n") || strings.Contains(bounce.returned, "First line") {
		t.Errorf("RET=HDRS returned %s:\n%s", bounce.kind, bounce.returned)
	}
	s.emptied()
	if n := len(s.fetch("writer", false)); n != 2 {
		t.Errorf("%d notifications, want a warning and a bounce", n)
	}
	if n := no.tried("late3@no.test"); n < 2 {
		t.Errorf("in its lifetime the message was tried %d times", n)
	}
	if n := len(s.fetch("postmaster", false)); n != 0 {
		t.Errorf("the postmaster got %d messages", n)
	}
	s.check()
}

// A refusal for good: what comes back, and how much of it.
func TestRelayReturnsTheMessage(t *testing.T) {
	t.Parallel()
	s, _, _, _ := startNoticeRelay(t)
	large := original + strings.Repeat("a line of a large message, 40 octets.\r\n", 2000)
	f := func(rcpt, args, text string, whole bool) {
		t.Helper()
		s.submit(submission{from: "writer@localhost" + args, to: []string{rcpt}, text: text})
		n, about := s.notice("writer", rcpt, "failed")
		fieldsAre(t, about, map[string]string{"Status": "5.1.1", "Diagnostic-Code": "smtp; 550 5.1.1 no such user", "Original-Recipient": ""})
		if n.header.Get("Subject") != "Undelivered Mail Returned to Sender" || !strings.Contains(n.words, "<"+rcpt+">:") || !strings.Contains(n.words, "said: 550 5.1.1 no such user") {
			t.Errorf("the words for %s are\n%s", rcpt, n.raw)
		}
		if !strings.HasPrefix(string(n.raw), "Return-Path: <>\r\n") || n.header.Get("In-Reply-To") != "<returned@localhost>" {
			t.Errorf("the header is %v", n.header)
		}
		name, rest := cutField([]byte(n.returned))
		plain := strings.ReplaceAll(text, "\r\n..", "\r\n.")
		switch {
		case whole && (n.kind != "message/rfc822" || name != "received" || strings.TrimSuffix(string(rest), "\r\n") != strings.TrimSuffix(plain, "\r\n")):
			t.Errorf("%s: not returned whole, as %s after %s:\n%.600s", rcpt, n.kind, name, n.returned)
		case !whole && (n.kind != "text/rfc822-headers" || strings.Contains(n.returned, "First line")):
			t.Errorf("%s: more than the header was returned, as %s:\n%.600s", rcpt, n.kind, n.returned)
		}
	}
	f("550-a@no.test", "", original, true)
	f("550-b@no.test", "> RET=FULL", original, true)
	f("550-c@no.test", "> RET=HDRS", original, false)
	f("550-d@no.test", "", large, false) // over relay.return_size
	f("550-e@no.test", "> RET=FULL", large, false)

	s.submit(submission{from: "writer@localhost", to: []string{"550-quiet@no.test> NOTIFY=NEVER", "550-late@no.test> NOTIFY=DELAY", "550-yes@no.test> NOTIFY=SUCCESS"}})
	s.emptied()
	if n := len(s.fetch("writer", false)); n != 5 {
		t.Errorf("%d notifications; three more recipients did not want one of failure", n)
	}
}

// A sender that asked for SUCCESS is notified by us if the next host does not notify
// (RFC 3461 section 5.2.2), and otherwise by that host, which gets all parameters.
func TestRelayTellsOfSuccess(t *testing.T) {
	t.Parallel()
	s, plain, able, _ := startNoticeRelay(t)
	from := "writer@localhost> RET=FULL ENVID=env+2B1"
	s.submit(submission{from: from, to: []string{"a@plain.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;first@plain.test", "b@plain.test> NOTIFY=FAILURE", "c@plain.test"}})
	s.submit(submission{from: from, to: []string{"a@dsn.test> NOTIFY=SUCCESS ORCPT=rfc822;first@dsn.test", "b@dsn.test> NOTIFY=NEVER"}})
	n, about := s.notice("writer", "a@plain.test", "relayed")
	fieldsAre(t, n.message, map[string]string{"Original-Envelope-Id": "env+1"})
	fieldsAre(t, about, map[string]string{"Original-Recipient": "rfc822; first@plain.test", "Remote-Mta": "dns; plain.test"})
	if !strings.HasPrefix(about.Get("Status"), "2.") || len(n.recipients) != 1 || n.kind != "text/rfc822-headers" {
		t.Errorf("the notification is\n%s", n.raw)
	}
	s.emptied()
	if n := len(s.fetch("writer", false)); n != 1 {
		t.Errorf("%d notifications; only one recipient wanted one, from us", n)
	}
	ms := able.messagesFor("a@dsn.test")
	if len(ms) != 1 || !strings.Contains(ms[0].from, " RET=FULL") || !strings.Contains(ms[0].from, " ENVID=env+2B1") ||
		strings.Join(ms[0].to, " ") != "<a@dsn.test> NOTIFY=SUCCESS ORCPT=rfc822;first@dsn.test <b@dsn.test> NOTIFY=NEVER" {
		t.Errorf("a host that offers DSN was told %+v", ms)
	}
	for _, m := range plain.messages() {
		if all := m.from + strings.Join(m.to, ""); strings.Contains(all, "NOTIFY") || strings.Contains(all, "ENVID") || strings.Contains(all, "RET=") {
			t.Errorf("a host that does not offer DSN was told %+v", m)
		}
	}
}

// A notification to another host leaves as any mail, with the null reverse-path. One
// that is refused goes to the postmaster, once.
func TestRelayNoticesLeave(t *testing.T) {
	t.Parallel()
	s, plain, _, no := startNoticeRelay(t)
	s.submit(submission{from: "someone@plain.test", to: []string{"550-x@no.test"}, text: original})
	s.submit(submission{from: "550-forged@no.test", to: []string{"550-y@no.test"}, text: original})
	s.submit(submission{from: "", to: []string{"550-z@no.test"}, text: original})
	s.submit(submission{from: "nobody-here@localhost", to: []string{"550-w@no.test"}, text: original})
	eventually(t, "the notification is at the sender's host", func() bool { return plain.got("someone@plain.test") == 1 })
	out := plain.messagesFor("someone@plain.test")[0]
	if !strings.HasPrefix(out.from, "<>") {
		t.Errorf("its reverse-path is %s", out.from)
	}
	n := parseNotice(t, out.text)
	fieldsAre(t, n.recipients[0], map[string]string{"Final-Recipient": "rfc822; 550-x@no.test", "Action": "failed", "Status": "5.1.1"})

	s.emptied()
	for _, rcpt := range []string{"550-forged@no.test", "550-z@no.test", "550-w@no.test"} {
		if ns := s.notices("postmaster", rcpt); len(ns) != 1 || ns[0].header.Get("Subject") != "Postmaster Copy: Undelivered Mail" {
			t.Errorf("the postmaster has %d notifications about %s", len(ns), rcpt)
		}
	}
	if n := len(s.fetch("postmaster", false)); n != 3 {
		t.Errorf("the postmaster has %d messages, want 3", n)
	}
	if n := no.tried("550-forged@no.test"); n != 1 {
		t.Errorf("the notification was tried %d times at the host that refuses it", n)
	}
}

// Even refused mail to the postmaster makes no loop.
func TestRelayNoticesNeverLoop(t *testing.T) {
	t.Parallel()
	s, _, _, no := startNoticeRelay(t, "postmaster", "550-postmaster@no.test")
	s.submit(submission{from: "", to: []string{"550-x@no.test"}})
	s.submit(submission{from: "550-y@no.test", to: []string{"550-z@no.test"}})
	eventually(t, "the postmaster was told twice", func() bool { return no.tried("550-postmaster@no.test") == 2 })
	s.emptied()
	if n := no.tried("550-postmaster@no.test"); n != 2 {
		t.Errorf("%d notifications went to the postmaster, of 2 messages", n)
	}
	if n := strings.Count(s.log.String(), "could not be delivered and is dropped"); n != 2 {
		t.Errorf("the log has %d notifications that were dropped, want 2", n)
	}
	if n := len(s.fetch("writer", false)); n != 0 {
		t.Errorf("somebody who sent nothing got %d notifications", n)
	}
}
