package server

import (
	"strings"
	"testing"

	"postrider/codec/sasl"
	"postrider/engine/admit/password"
	"postrider/engine/config"
	"postrider/storage"
)

// offered is what a new client is offered: AUTH of SMTP, SASL of POP3, and the greeting of
// POP3 up to its timestamp.
func (f *fixture) offered(t *testing.T) (auth, capa string, apop bool) {
	t.Helper()
	p := f.dialSMTP(t)
	p.expect("220 ")
	p.send("EHLO client.test\r\n")
	for {
		l := p.line()
		if words, ok := strings.CutPrefix(l[4:], "AUTH "); ok {
			auth = words
		}
		if l[3] == ' ' {
			break
		}
	}
	p.Close()
	p = f.dialPOP3(t)
	apop = strings.Contains(p.expect("+OK"), "<")
	p.say("CAPA", "+OK")
	for l := range strings.Lines(p.listing()) {
		if words, ok := strings.CutPrefix(strings.TrimSpace(l), "SASL "); ok {
			capa = words
		}
	}
	if reply := p.say("APOP mbrain 00000000000000000000000000000000", "-ERR"); strings.Contains(reply, "[AUTH]") != apop {
		t.Errorf("the greeting has a timestamp: %v, and APOP is answered with %q", apop, reply)
	}
	p.Close()
	return auth, capa, apop
}

// A mechanism that no account could use is not offered: clients would try it first and give
// up. What "account add", "account passwd" and "account remove" change counts for the next
// connection.
func TestMechanismsAreOfferedToThoseTheyCanServe(t *testing.T) {
	f := start(t, func(c *config.Config) {
		now(c)
		c.POP3.APOP, c.Auth.OfferSCRAM = true, config.OfferToSome
		c.Auth.Mechanisms = sasl.SetOf(sasl.ScramSHA256, sasl.CramMD5, sasl.Plain, sasl.Login)
	}, nil)
	expect := func(when, want string, apop bool) {
		t.Helper()
		auth, capa, stamp := f.offered(t)
		if auth != want || capa != want || stamp != apop {
			t.Errorf("%s: SMTP offers %q, POP3 %q and APOP %v; want %q and %v", when, auth, capa, stamp, want, apop)
		}
	}
	set := func(name, hash, secret string) {
		t.Helper()
		a, err := f.router.Login([]byte(name))
		if err == nil {
			err = f.store.SetPassword(a.ID, hash, secret)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	cost := f.config().HashCost()
	both, err := password.Hash([]byte("word"), cost)
	if err != nil {
		t.Fatal(err)
	}
	hash, _, _ := strings.Cut(both, " ")
	expect("all have both", "SCRAM-SHA-256 CRAM-MD5 PLAIN LOGIN", true)
	for _, name := range []string{"mbrain", "jsmith", "postmaster"} {
		set(name, hash, "")
	}
	expect("imported hashes", "PLAIN LOGIN", false)
	set("jsmith", hash, "word")
	expect("a secret", "CRAM-MD5 PLAIN LOGIN", true)
	set("jsmith", both, "")
	expect("a verifier", "SCRAM-SHA-256 PLAIN LOGIN", false)
	id, err := f.store.AddAccount(storage.NewAccount{Name: "new", Domain: "localhost", Hash: both, Secret: "word"})
	if err != nil {
		t.Fatal(err)
	}
	set("jsmith", "", "")
	expect("a new account with both", "SCRAM-SHA-256 CRAM-MD5 PLAIN LOGIN", true)
	p := f.hello(t)
	if got := prove(t, p, "334 ", "nobody", "word"); !strings.HasPrefix(got, "535 ") {
		t.Errorf("an unknown name: %s", got)
	}
	if err := f.store.RemoveAccount(id); err != nil {
		t.Fatal(err)
	}
	expect("was removed", "PLAIN LOGIN", false)
	if got := p.say("AUTH SCRAM-SHA-256", "334 "); got != "334 " {
		t.Errorf("the offer of an open session ended: %s", got)
	}
	q := f.hello(t)
	q.say("AUTH SCRAM-SHA-256", "504 5.5.4")
	q.say("AUTH CRAM-MD5", "504 5.5.4")
	q.say(plain("mbrain", "word"), "235 ")
}
