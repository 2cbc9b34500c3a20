package agent

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"postrider/codec/smtp"
	"postrider/engine/mail/router"
	"postrider/engine/relay/mx"
	"postrider/engine/relay/queue"
	"postrider/storage"
)

// A host's reply is in the reason of a deferral, also when its lines are malformed.
func TestHostsWords(t *testing.T) {
	for name, c := range map[string]struct{ verb, reply, want string }{
		"greeting":      {"GREETING", "220-Hello\r\n450 4.3.2 Too many of you", "4.3.2 host one.solo.test[127.0.0.2] said: 220-Hello 450 4.3.2 Too many of you"},
		"greeting-http": {"GREETING", "<html>Not here</html>", `4.5.0 host one.solo.test[127.0.0.2]: the host does not speak SMTP: it sent "<html>Not here</html>"`},
		"ehlo":          {"EHLO", "250-mx\r\n\r\n421 4.3.2 Maintenance", "4.3.2 host one.solo.test[127.0.0.2] said: 250-mx 421 4.3.2 Maintenance"},
		"rcpt":          {"RCPT", "550-5.2.2 Full\r\n  since Monday\r\n452 4.2.2 Try later", "4.2.2 host one.solo.test[127.0.0.2] said: 550-5.2.2 Full since Monday 452 4.2.2 Try later (in reply to RCPT TO command)"},
		"end":           {".", "\r\n451-4.7.1 Scanner\r\nupdates its rules\r\n451 4.7.1 soon", "4.7.1 host one.solo.test[127.0.0.2] said: 451-4.7.1 Scanner updates its rules 451 4.7.1 soon (in reply to end of DATA command)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t, nil, 0, noRetry, "solo.test. 300 IN MX 5 one.solo.test.", "one.solo.test. 300 IN A 127.0.0.2")
			startScripted(t, b.at(2), map[string]string{c.verb: c.reply})
			wantText(t, b.deferred("ann@solo.test"), c.want)
		})
	}
}

// The report has all lines of a refusal, also when their codes differ.
func TestHostsWords_Report(t *testing.T) {
	for name, c := range map[string]struct{ verb, reply string }{
		"rcpt": {"RCPT", "450-4.1.1 Wait\r\n550 5.1.1 No such user"},
		"end":  {".", "250-2.0.0 Read\r\n\r\nHello\r\n554 5.6.0 Refused"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t, nil, 0, func(set *Settings) {
				noRetry(set)
				set.Hostname = "other.test"
			}, "solo.test. 300 IN A 127.0.0.2", "client.test. 300 IN A 127.0.0.3")
			startScripted(t, b.at(2), map[string]string{c.verb: c.reply})
			home := startScripted(t, b.at(3), nil)
			b.send("ann@solo.test")
			_, text := home.taken()
			text = strings.Join(strings.Fields(text), " ")
			wantText(t, text, "Diagnostic-Code: smtp; "+strings.Join(strings.Fields(c.reply), " "))
		})
	}
}

// This host reports the success of the recipients at a host without DSN. A host with DSN
// sends its own reports.
func TestNextHost_Success(t *testing.T) {
	t.Parallel()
	b := newBed(t, nil, 0, func(set *Settings) {
		noRetry(set)
		set.Hostname = "other.test"
	}, append(pair, "client.test. 300 IN A 127.0.0.4")...)
	startScripted(t, b.at(2), map[string]string{"EHLO": "250-mx\r\n250 DSN", "RCPT later": "451 4.3.0 no"})
	startScripted(t, b.at(3), nil)
	home := startScripted(t, b.at(4), nil)
	var places router.Placement
	for _, path := range []string{"now@pair.test", "later@pair.test"} {
		rcpt, refused := smtp.ParseRcpt([]byte("TO:<"+path+"> NOTIFY=SUCCESS"), smtp.ExtDSN, true)
		if refused != nil {
			t.Fatal(refused)
		}
		places.Add(b.router, &rcpt, true)
	}
	places.Seal(storage.Envelope{ReversePath: "joe@client.test"})
	if err := b.deliver(&storage.Delivery{Arrival: time.Now(), Relayed: places.Relayed}, []byte("Subject: x\r\n\r\nx\r\n")); err != nil {
		t.Fatal(err)
	}
	b.empty()
	n, text := home.taken()
	if n != 1 || !strings.Contains(text, "later@pair.test") || strings.Contains(text, "now@pair.test") {
		t.Errorf("%d reports: %s", n, text)
	}
}

// recordOf does not list a kept connection that broke while it was idle, to a host that is
// not in DNS any more.
func TestRecordOf_StalePeer(t *testing.T) {
	one := &attempt{entry: &storage.QueueEntry{Recipients: make([]storage.QueuedRecipient, 1)}, outcome: &queue.Attempt{Peer: "old.test[192.0.2.1]:25", Results: make([]queue.Result, 1)}}
	one.tried = []triedHost{{host: mx.Host{Name: "new.test", Addr: netip.MustParseAddrPort("192.0.2.2:25")}, said: "connection refused"}}
	wantText(t, one.recordOf(), "attempt 1, old.test[192.0.2.1]:25\ndeferred ")
}
