package agent

import (
	"strings"
	"testing"
	"time"
)

// old is a domain whose host offers no SMTPUTF8, under two names.
var old = []string{
	"old.test. 300 IN A 127.0.0.2", "xn--bcher-kva.test. 300 IN A 127.0.0.2", "xn--mgba3a4f16a.test. 300 IN A 127.0.0.2",
}

// RFC 6531 section 3.2: a path or a header beyond ASCII needs SMTPUTF8. SMTPUTF8 in the
// client's MAIL command is not enough. sendTo sets it for texts that contain the word.
func TestUTF8_ByNeed(t *testing.T) {
	for name, c := range map[string]struct {
		text, to, path string // path: in the RCPT command; "": returned
	}{
		"ascii":        {"Subject: SMTPUTF8\r\n\r\nx\r\n", "ann@old.test", "ann@old.test"},
		"body":         {"Subject: SMTPUTF8\r\nContent-Type: text/plain; charset=utf-8\r\n\r\ngrüße\r\n", "ann@old.test", "ann@old.test"},
		"long-header":  {"Subject: SMTPUTF8\r\n" + strings.Repeat("X-Pad: "+strings.Repeat("x", 70)+"\r\n", 3000) + "\r\nü\r\n", "ann@old.test", "ann@old.test"},
		"header":       {"Subject: grüße, SMTPUTF8\r\n\r\nx\r\n", "ann@old.test", ""},
		"late-header":  {"Subject: SMTPUTF8\r\n" + strings.Repeat("X-Pad: "+strings.Repeat("x", 70)+"\r\n", 3000) + "From: jürg\r\n\r\nx\r\n", "ann@old.test", ""},
		"unflagged":    {"Subject: grüße\r\n\r\nx\r\n", "ann@old.test", "ann@old.test"},
		"domain":       {"Subject: x\r\n\r\nx\r\n", "Ann.B@bücher.test", "Ann.B@xn--bcher-kva.test"},
		"domain-rtl":   {"Subject: SMTPUTF8\r\n\r\nx\r\n", "ann@ایران.test", "ann@xn--mgba3a4f16a.test"},
		"quoted-local": {"Subject: x\r\n\r\nx\r\n", `"a@b"@bücher.test`, `"a@b"@xn--bcher-kva.test`},
		"local":        {"Subject: x\r\n\r\nx\r\n", "jürg@old.test", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t, nil, 0, noRetry, old...)
			h := startScripted(t, b.at(2), nil)
			b.sendTo(time.Now(), c.text, c.to)
			b.empty()
			n, text := h.taken()
			if c.path == "" {
				if n != 0 {
					t.Errorf("%d messages: %s", n, text)
				}
				b.until("the log has the bounce", func() bool { return strings.Contains(b.log.String(), "dsn=5.6.7, status=bounced") })
				return
			}
			if n != 1 || !strings.Contains(text, "RCPT TO:<"+c.path+">\n") || strings.Contains(h.commands(), "UTF8") {
				t.Errorf("%d messages:\n%s", n, h.commands())
			}
		})
	}
}

// MAIL has SMTPUTF8 only where a message needs it and the host offers it. Such a host gets
// the addresses unchanged.
func TestUTF8_Offered(t *testing.T) {
	for name, c := range map[string]struct{ text, to, want string }{
		"ascii":  {"Subject: SMTPUTF8\r\n\r\nx\r\n", "ann@old.test", "MAIL FROM:<joe@client.test>\nRCPT TO:<ann@old.test>"},
		"header": {"Subject: ü SMTPUTF8\r\n\r\nx\r\n", "ann@old.test", "MAIL FROM:<joe@client.test> SMTPUTF8\nRCPT TO:<ann@old.test>"},
		"domain": {"Subject: x\r\n\r\nx\r\n", "ann@bücher.test", "MAIL FROM:<joe@client.test> SMTPUTF8\nRCPT TO:<ann@bücher.test>"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t, nil, 0, noRetry, old...)
			h := startScripted(t, b.at(2), map[string]string{"EHLO": "250-mx\r\n250 SMTPUTF8"})
			b.sendTo(time.Now(), c.text, c.to)
			b.empty()
			if _, text := h.taken(); !strings.HasPrefix(text, c.want+"\n") {
				t.Errorf("got %s", text)
			}
		})
	}
}

// The report of a failure goes to a sender whose host offers no SMTPUTF8, though the
// client said it, and the refusal that the report quotes is not ASCII.
func TestUTF8_Report(t *testing.T) {
	t.Parallel()
	b := newBed(t, nil, 0, func(set *Settings) {
		noRetry(set)
		set.Hostname = "other.test"
	}, append(old, "client.test. 300 IN A 127.0.0.3")...)
	startScripted(t, b.at(2), map[string]string{"RCPT": "550 5.1.1 Unbekannter Empfänger"})
	home := startScripted(t, b.at(3), nil)
	b.sendTo(time.Now(), "Subject: SMTPUTF8\r\n\r\nx\r\n", "ann@old.test")
	b.empty()
	if n, text := home.taken(); n != 1 || !strings.Contains(text, "Unbekannter Empfänger") || strings.Contains(home.commands(), "SMTPUTF8") {
		t.Errorf("%d reports: %s", n, text)
	}
}

// headerScan gives the same result however the message is cut.
func TestHeaderScan(t *testing.T) {
	f := func(text string, want bool) {
		t.Helper()
		for size := 1; size <= len(text); size++ {
			var h headerScan
			for rest := text; rest != ""; {
				n := min(size, len(rest))
				if h.scan([]byte(rest[:n])) {
					break
				}
				rest = rest[n:]
			}
			if h.wide != want {
				t.Errorf("%q cut every %d: %t", text, size, h.wide)
			}
		}
	}
	f("A: b\r\n c\r\n\r\nü", false)
	f("A: b\r\nC: ü\r\n\r\n", true)
	f("A: b\n\nü", false)
	f("ü", true)
	f("\r\nü", false)
	f("A: b\r\n \r\nB: ü\r\n", true)
}
