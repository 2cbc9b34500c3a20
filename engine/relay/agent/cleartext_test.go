package agent

import (
	"net/netip"
	"testing"
	"time"

	"postrider/engine/protocol/smtpclient"
)

const anHour = time.Hour

// waiting sends a message that arrived an hour before its first attempt.
func (b *bed) waiting(to string) { b.sendTo(time.Now().Add(-anHour), "Subject: x\r\n\r\nx\r\n", to) }

func isClear(b *bed) bool {
	return b.rules().security.clear.has(netip.MustParseAddrPort(b.at(2)), time.Now())
}

// Mail that has waited arrives in clear text, whatever breaks TLS, and the next message
// does not try TLS. The first attempt sends nothing in clear text.
func TestFallback(t *testing.T) {
	for mode, asks := range map[string]int{
		"no-tls": 0, "refuse": 2, "garbage": 2, "hangup": 2, "hangup-later": 2, "old": 2, "wants-certificate": 2,
		"silent": 2, "leave": 2, "nonsense": 2,
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			b := newBed(t, nil, 0, func(set *Settings) {
				set.MessagesPerConnection = 1
				set.Command = time.Second
			}, zone...)
			h := startMX(t, b.at(2), mode, newAuthority(t).issue(time.Time{}, "mx.b.test"))
			if mode != "no-tls" && mode != "refuse" {
				wantText(t, b.deferred("bob@b.test"), "host mx.b.test[127.0.0.2]: ")
				if got := h.got(); got != "" || isClear(b) {
					t.Errorf("after one attempt: %q, remembered: %t", got, isClear(b))
				}
			} else {
				b.submit("bob@b.test")
			}
			b.empty()
			if got, broken := isClear(b), mode != "no-tls" && mode != "refuse"; got != broken {
				t.Errorf("remembered as clear: %t", got)
			}
			b.send("bob@b.test")
			if got := h.got(); got != "tls=false name= auth=\ntls=false name= auth=" {
				t.Error(got)
			}
			if n := h.asked(); n != asks {
				t.Errorf("TLS was asked for %d times", n)
			}
		})
	}
}

// A handshake that breaks once delays one message, and the rest goes under TLS.
func TestFallback_Hiccup(t *testing.T) {
	t.Parallel()
	b := newBed(t, nil, 0, nil, zone...)
	h := startMX(t, b.at(2), "hiccup", newAuthority(t).issue(time.Time{}, "mx.b.test"))
	h.refuseInClear("MAIL", "530 5.7.0 Must issue a STARTTLS command first")
	b.waiting("bob@b.test") // falls back at once, and gets 530
	b.empty()
	b.send("bob@b.test")
	if got := h.got(); got != "tls=true name=mx.b.test auth=\ntls=true name=mx.b.test auth=" {
		t.Error(got)
	}
}

// Hosts refuse clear text with many codes. No such refusal bounces mail that was in clear
// text because TLS was broken, and each removes the host from clearHosts.
func TestFallback_Refused(t *testing.T) {
	for name, c := range map[string]struct {
		verb, reply, want string
		fails             bool // it is about the address: returned
	}{
		"mail-530":   {"MAIL", "530 5.7.0 Must issue a STARTTLS command first", "4.7.0", false},
		"mail-554":   {"MAIL", "554 Session encryption is required", "4.0.0", false},
		"mail-451":   {"MAIL", "451 5.7.3 STARTTLS is required to send mail", "4.0.0", false},
		"mail-503":   {"MAIL", "503 5.5.1 STARTTLS first", "4.5.1", false},
		"rcpt-550":   {"RCPT", "550-5.7.1 TLS please\r\n550 5.7.1 see our page", "4.7.1", false},
		"rcpt-523":   {"RCPT", "523 5.7.10 Encryption Needed", "4.7.10", false},
		"data-550":   {"DATA", "550 not like this", "4.0.0", false},
		"end-530":    {".", "530 5.7.30 REQUIRETLS", "4.7.30", false},
		"end-spam":   {".", "550 5.7.1 spam", "", true},
		"rcpt-users": {"RCPT", "550 5.1.1 no such user", "", true},
		"rcpt-shut":  {"RCPT", "550 5.2.1 disabled", "", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t, nil, 0, func(set *Settings) {
				noRetry(set)
				set.MessagesPerConnection = 1
			}, zone...)
			h := startMX(t, b.at(2), "hangup", newAuthority(t).issue(time.Time{}, "mx.b.test"))
			b.sendTo(time.Now().Add(-3*anHour), "Subject: x\r\n\r\nx\r\n", "bob@b.test")
			b.empty()
			if !isClear(b) {
				t.Fatal("clear text worked, and is not remembered")
			}
			h.refuseInClear(c.verb, c.reply)
			b.sendTo(time.Now().Add(-3*anHour), "Subject: y\r\n\r\ny\r\n", "eve@b.test")
			if c.fails {
				b.empty()
				if !isClear(b) {
					t.Error("a refusal of an address ends the memory")
				}
				return
			}
			why := ""
			b.until("it is deferred", func() bool {
				left, attempts := b.queued()
				why = left["eve@b.test"]
				return attempts > 0
			})
			wantText(t, why, c.want+" host mx.b.test[127.0.0.2] said: ")
			if isClear(b) {
				t.Error("the host is still remembered")
			}
		})
	}
}

// A host that refuses STARTTLS for now, and mail in clear text, gets it later.
func TestFallback_Declined(t *testing.T) {
	t.Parallel()
	b := newBed(t, nil, 0, nil, zone...)
	h := startMX(t, b.at(2), "refuse", newAuthority(t).issue(time.Time{}, "mx.b.test"))
	h.refuseInClear("RCPT", "550 5.7.1 Encryption required")
	wantText(t, b.deferred("bob@b.test"), "4.7.1 host mx.b.test[127.0.0.2] said: 550 5.7.1 Encryption required (in reply to RCPT TO command); TLS failed before")
	h.become("")
	b.empty()
	if got := h.got(); got != "tls=true name=mx.b.test auth=" {
		t.Error(got)
	}
}

// A host that offers no TLS can bounce mail with a 530.
func TestFallback_NotOffered(t *testing.T) {
	t.Parallel()
	b := newBed(t, nil, 0, noRetry, zone...)
	h := startMX(t, b.at(2), "no-tls", newAuthority(t).issue(time.Time{}, "mx.b.test"))
	h.refuseInClear("MAIL", "530 5.7.0 Authentication required")
	b.send("bob@b.test")
	b.wantLog("status=bounced (host mx.b.test[127.0.0.2] said: 530")
}

// clearHosts does not keep a host longer because of the mail that it allowed.
func TestClearTextWorks(t *testing.T) {
	var c clearHosts
	addr := netip.MustParseAddrPort("192.0.2.1:25")
	p := &peer{plain: true}
	p.host.Addr = addr
	p.clearTextWorks(&c)
	if !c.has(addr, time.Now()) {
		t.Error("not remembered")
	}
	c.remove(addr)
	p.clearTextWorks(&c)
	if c.has(addr, time.Now()) {
		t.Error("remembered again by the same connection")
	}
	under := new(peer)
	under.host.Addr = addr
	under.clearTextWorks(&c)
	if c.has(addr, time.Now()) || under.blamesClearText(&smtpclient.Result{Code: 530, Verb: "MAIL FROM", Status: "5.7.0", Verdict: smtpclient.Permanent}) {
		t.Error("a connection that did not fall back counts")
	}
}
