package server

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"encoding/base64"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"
	"github.com/miekg/dns"

	"postrider/engine/config"
	"postrider/engine/edge/dns/dnstest"
	"postrider/storage"
)

const forged = "Authentication-Results: mx.test; dmarc=pass header.from=bank.example\r\n"

// sendAs sends a message from an address in an open session.
func (p *peer) sendAs(from, text, want string) {
	p.t.Helper()
	p.say("MAIL FROM:<"+from+">", "250 ")
	p.say("RCPT TO:<mbrain@localhost>", "250 ")
	p.say("DATA", "354 ")
	p.send(text + ".\r\n")
	p.expect(want)
}

func (f *fixture) retrieve(t *testing.T, n string) string {
	t.Helper()
	q := f.login(t, "mbrain")
	q.say("RETR "+n, "+OK")
	got := q.listing()
	q.say("QUIT", "+OK")
	return got
}

var bank = []string{
	`bank.example. 60 IN TXT "v=spf1 ip4:192.0.2.1 -all"`,
	`_dmarc.bank.example. 60 IN TXT "v=DMARC1; p=reject"`,
	"1.2.0.192.in-addr.arpa. 60 IN PTR mx.bank.example.",
	"mx.bank.example. 60 IN A 192.0.2.1",
}

func TestResultsAreMarked(t *testing.T) {
	f := start(t, among(dnstest.Start(t, bank...), nil), nil)
	log := f.listenIn()
	const text = "From: a@bank.example\r\nSubject: x\r\n\r\n..dot\r\n"
	f.stranger(t, "192.0.2.1").sendAs("a@bank.example", text, "250 ")
	f.stranger(t, "192.0.2.9").sendAs("a@bank.example", forged+"From: a@bank.example\r\nAuthentication-Results: other.test; none\r\n"+forged+"\r\n"+forged, "250 ")
	got := f.retrieve(t, "1")
	const good = "Return-Path: <a@bank.example>\r\n" +
		"Authentication-Results: mx.test;\r\n\tiprev=pass policy.iprev=192.0.2.1;\r\n\tspf=pass smtp.mailfrom=bank.example;\r\n" +
		"\tdkim=none;\r\n\tdmarc=pass header.from=bank.example\r\nReceived: from client.test (mx.bank.example [192.0.2.1])\r\n"
	if !strings.HasPrefix(got, good) || !strings.HasSuffix(got, "From: a@bank.example\r\nSubject: x\r\n\r\n.dot\r\n") {
		t.Errorf("got\n%s", got)
	}
	got = f.retrieve(t, "2")
	if !strings.Contains(got, "iprev=permerror") || !strings.Contains(got, "dmarc=fail (p=reject) header.from=bank.example\r\nReceived: ") ||
		!strings.HasSuffix(got, "\r\nFrom: a@bank.example\r\nAuthentication-Results: other.test; none\r\n\r\n"+forged) {
		t.Errorf("got\n%s", got)
	}
	q := f.login(t, "mbrain")
	q.say("LIST 2", "+OK 2 "+strconv.Itoa(len(got)))
	log.has(t, "checked mail of unknown[192.0.2.9]: spf=fail dkim=none dmarc=fail disposition=reject")
	// The sizes are of what is stored.
	if _, err := f.store.Check(t.Context(), func(fault storage.Fault) { t.Error(fault) }); err != nil {
		t.Error(err)
	}
	if n := f.guard.Stats.Checked.Load(); n != 2 || f.guard.Checks() != 0 {
		t.Errorf("%d checked, %d open", n, f.guard.Checks())
	}
}

func TestDMARCReject(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	key := `s._domainkey.bank.example. 60 IN TXT "v=DKIM1; k=ed25519; p=` + base64.StdEncoding.EncodeToString(public) + `"`
	server := dnstest.Start(t, append(bank, key)...)
	f := start(t, among(server, func(p *config.Policy) { p.DMARC = config.DMARCReject }), nil)
	log := f.listenIn()
	const text = "From: a@bank.example\r\nSubject: x\r\n\r\nx\r\n"
	var signed bytes.Buffer
	if err := dkim.Sign(&signed, strings.NewReader(text), &dkim.SignOptions{Domain: "bank.example", Selector: "s", Signer: private, Hash: crypto.SHA256}); err != nil {
		t.Fatal(err)
	}
	p := f.stranger(t, "192.0.2.9")
	p.sendAs("a@bank.example", text, "550 5.7.1 Unauthenticated mail from bank.example is not taken: its DMARC policy says reject (SPF fail, DKIM none)")
	p.sendAs("a@bank.example", signed.String(), "250 ")
	p.sendAs("a@bank.example", strings.Replace(signed.String(), "\r\n\r\nx", "\r\n\r\ny", 1), "550 5.7.1 ")
	p.sendAs("a@else.example", "From: a@else.example\r\n\r\n", "250 ")
	server.Behave("bank.example", dns.TypeANY, dnstest.Behaviour{Rcode: dns.RcodeServerFailure})
	p.sendAs("a@else.example", "From: a@a.test, a@b.test, a@c.test, a@d.test, a@e.test, a@bank.example\r\n\r\n", "550 5.7.1 The From field names too many domains")
	if n := f.guard.Stats.DMARCRefused.Load(); n != 3 {
		t.Errorf("%d refused", n)
	}
	log.has(t, "Unauthenticated mail from bank.example")
	if got := f.retrieve(t, "1"); !strings.Contains(got, "dkim=pass header.d=bank.example") {
		t.Errorf("got\n%s", got)
	}
	p.say("QUIT", "221 ")
	p.end()
}

// A name server that is silent costs time, and never a message.
func TestSilentDNS(t *testing.T) {
	server := dnstest.Start(t, bank...)
	for _, name := range []string{"bank.example", "_dmarc.bank.example", "9.2.0.192.in-addr.arpa"} {
		server.Behave(name, dns.TypeANY, dnstest.Behaviour{Silent: true})
	}
	f := start(t, among(server, func(p *config.Policy) {
		p.DMARC, p.LookupTimeout, p.VerifyTimeout = config.DMARCReject, 100*time.Millisecond, 100*time.Millisecond
	}), nil)
	f.stranger(t, "192.0.2.9").sendAs("a@bank.example", "From: a@bank.example\r\n\r\n", "250 ")
	if got := f.retrieve(t, "1"); !strings.Contains(got, "iprev=temperror") || !strings.Contains(got, "spf=temperror") || !strings.Contains(got, "dmarc=temperror") {
		t.Errorf("got\n%s", got)
	}
}

// A large message with a signature whose key is slow to come has to wait on the wire,
// and one that is given up, or too large, leaves no check open.
func TestLargeAndLostMessagesAreChecked(t *testing.T) {
	server := dnstest.Start(t)
	server.Behave("s._domainkey.bank.example", dns.TypeTXT, dnstest.Behaviour{Delay: 300 * time.Millisecond})
	f := start(t, func(cfg *config.Config) {
		among(server, nil)(cfg)
		cfg.SMTP.MaxSize = 4 << 20
	}, nil)
	head := "DKIM-Signature: v=1; a=rsa-sha256; d=bank.example; s=s; h=from; bh=AAAA; b=AAAA\r\nFrom: a@bank.example\r\n\r\n"
	line := strings.Repeat("x", 70) + "\r\n"
	p := f.stranger(t, "192.0.2.9")
	p.sendAs("a@bank.example", head+strings.Repeat(line, 40_000), "250 ")
	p.sendAs("a@bank.example", head+strings.Repeat(line, 60_000), "552 ")
	p.sendAs("a@bank.example", head, "250 ")
	if got := f.retrieve(t, "1"); !strings.Contains(got, "dkim=") || len(got) < 40_000*len(line) {
		t.Errorf("%d octets", len(got))
	}
	for range 3 {
		q := f.stranger(t, "192.0.2.8")
		q.say("MAIL FROM:<a@bank.example>", "250 ")
		q.say("RCPT TO:<mbrain@localhost>", "250 ")
		q.say("DATA", "354 ")
		q.send(head + line)
		q.Close()
	}
	for f.smtpsrv.Stats.Sessions.Load() > 1 {
		time.Sleep(time.Millisecond)
	}
	if n := f.guard.Checks(); n != 0 {
		t.Errorf("%d checks are open", n)
	}
}

func TestTooManyChecks(t *testing.T) {
	f := start(t, among(dnstest.Start(t), func(p *config.Policy) { p.Verifications = 1 }), nil)
	p := f.stranger(t, "192.0.2.9")
	p.say("MAIL FROM:<a@bank.example>", "250 ")
	p.say("RCPT TO:<mbrain@localhost>", "250 ")
	p.say("DATA", "354 ")
	p.send("From: a@bank.example\r\n")
	for f.guard.Checks() == 0 {
		time.Sleep(time.Millisecond)
	}
	q := f.stranger(t, "192.0.2.8")
	q.say("MAIL FROM:<a@bank.example>", "452 4.3.1")
	p.send("\r\n.\r\n")
	p.expect("250 ")
	q.sendAs("a@bank.example", "From: a@bank.example\r\n\r\n", "250 ")
}
