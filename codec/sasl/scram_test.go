package sasl

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"

	xdg "github.com/xdg-go/scram"
	"pgregory.net/rapid"
)

func verifier(t testing.TB, password string) Verifier {
	t.Helper()
	salt, err := base64.StdEncoding.DecodeString("W22ZaJ0SNY7soEsUEjb6gQ==")
	if err != nil {
		t.Fatal(err)
	}
	v, err := NewVerifier(password, salt, 4096)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

const (
	serverNonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
	first       = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
	final       = "c=biws,r=rOprNGfwEbeRWgbNEkqO" + serverNonce + ",p="
	proof       = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
)

// The example of RFC 7677 section 3.
func TestScramExampleOfTheRFC(t *testing.T) {
	var x Exchange
	v := verifier(t, "pencil")
	if s := x.Start(context(serverNonce), ScramSHA256, []byte(first), true); s != Credentials || x.Claim().User != "user" {
		t.Fatalf("step %d, %+v", s, x.Claim())
	}
	f := func(s Step, want string) {
		t.Helper()
		if s != Challenge || string(x.Challenge()) != want {
			t.Fatalf("step %d, challenge %q, want %q", s, x.Challenge(), want)
		}
	}
	f(x.Use(v), "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")
	f(x.Next([]byte(final+proof)), "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
	if s := x.Next(nil); s != Judge || x.Claim().Need != NeedConsent || !x.Claim().Proven {
		t.Errorf("step %d, %+v", s, x.Claim())
	}
}

func TestScram_Refused(t *testing.T) {
	f := func(why string, m Mechanism, ctx Context, v Verifier, dialogue ...string) {
		t.Helper()
		var x Exchange
		if s := play(&x, ctx, m, v, dialogue...); s != Judge || x.Claim().Need != NeedConsent || x.Claim().Proven {
			t.Errorf("%s: step %d, %+v", why, s, x.Claim())
		}
	}
	v, ctx := verifier(t, "pencil"), context(serverNonce)
	f("another proof", ScramSHA256, ctx, v, first, final+"AAAAZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
	f("another password", ScramSHA256, ctx, verifier(t, "Pencil"), first, final+proof)
	f("an unknown user", ScramSHA256, ctx, Decoy([]byte("k"), "user", 4096), first, final+proof)
	told := ctx
	told.OfferedPlus = true
	f("somebody took -PLUS off the list", ScramSHA256, told, v, "y,,n=user,r=rOprNGfwEbeRWgbNEkqO", strings.Replace(final, "biws", "eSws", 1)+proof)
	f("there is no TLS to bind to", ScramSHA256Plus, ctx, v, "p=tls-exporter,,n=user,r=rOprNGfwEbeRWgbNEkqO", final+proof)
}

func TestScram_Malformed(t *testing.T) {
	f := func(m Mechanism, dialogue ...string) {
		t.Helper()
		var x Exchange
		if s := play(&x, context("servernonce"), m, Verifier{Iterations: 1}, dialogue...); s != Malformed {
			t.Errorf("%q: step %d, challenge %q, %+v", dialogue, s, x.Challenge(), x.Claim())
		}
	}
	f(ScramSHA256, "")
	f(ScramSHA256, "n,n=user,r=abc")
	f(ScramSHA256, "x,,n=user,r=abc")
	f(ScramSHA256, "p=tls-exporter,,n=user,r=abc")
	f(ScramSHA256Plus, "n,,n=user,r=abc")
	f(ScramSHA256Plus, "y,,n=user,r=abc")
	f(ScramSHA256, "n,user,n=user,r=abc")
	f(ScramSHA256, "n,,m=x,n=user,r=abc")
	f(ScramSHA256, "n,,n=,r=abc")
	f(ScramSHA256, "n,,n=us=er,r=abc")
	f(ScramSHA256, "n,,n=us=2cer,r=abc")
	f(ScramSHA256, "n,,n=us\x00er,r=abc")
	f(ScramSHA256, "n,,n=us\xffer,r=abc")
	f(ScramSHA256, "n,,n=user,r=")
	f(ScramSHA256, "n,,n=user,r=ab c")
	f(ScramSHA256, "n,,n=user,r="+strings.Repeat("x", maxNonce+1))
	f(ScramSHA256, "n,,n=user,r=abc", "")
	f(ScramSHA256, "n,,n=user,r=abc", "c=biws,r=abcservernonce")
	f(ScramSHA256, "n,,n=user,r=abc", "c=biws,r=abcservernonce,p=AAAA")
	f(ScramSHA256, "n,,n=user,r=abc", "r=abcservernonce,p="+proof)
	f(ScramSHA256, "n,,n=user,r=abc", "c=biws,x=1,r=abcservernonce,p="+proof)
	var x Exchange
	if s := play(&x, context(serverNonce), ScramSHA256, verifier(t, "pencil"), first, final+proof, "more"); s != Malformed {
		t.Errorf("text after our signature: step %d", s)
	}
	if s := x.Use(Verifier{}); s != Malformed {
		t.Errorf("an unexpected verifier: step %d", s)
	}
}

// A decoy says nothing: the same for the same name, different for others, and of
// the shape of a real one.
func TestDecoy(t *testing.T) {
	a, b := Decoy([]byte("k"), "a", 4096), Decoy([]byte("k"), "b", 4096)
	again, other := Decoy([]byte("k"), "a", 4096), Decoy([]byte("l"), "a", 4096)
	if !bytes.Equal(a.Salt, again.Salt) || !a.Equal(&again) || len(a.Salt) != SaltLen {
		t.Errorf("not the same: %+v %+v", a, again)
	}
	if bytes.Equal(a.Salt, b.Salt) || a.Equal(&b) || bytes.Equal(a.Salt, other.Salt) || a.Equal(&other) {
		t.Error("not different")
	}
}

// against plays our server against the client of xdg-go/scram, which shares no
// code with it.
func against(t testing.TB, c *xdg.ClientConversation, ctx Context, m Mechanism, v Verifier) (x Exchange, done bool) {
	t.Helper()
	message, err := c.Step("")
	if err != nil {
		t.Fatal(err)
	}
	s := x.Start(ctx, m, []byte(message), true)
	for {
		switch s {
		case Credentials:
			s = x.Use(v)
			continue
		case Challenge:
			if message, err = c.Step(string(x.Challenge())); err != nil {
				t.Fatalf("the client says: %v", err)
			}
			s = x.Next([]byte(message))
			continue
		}
		return x, s == Judge && x.Claim().Proven && c.Valid()
	}
}

func TestScramAgainstAnotherImplementation(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		user := rapid.StringMatching(`[ -~äß€😀]{1,40}`).Draw(r, "user")
		word := rapid.StringMatching(`[!-~]{1,40}`).Draw(r, "password")
		typed := word
		if rapid.Bool().Draw(r, "wrong") {
			typed += "x"
		}
		authzid := rapid.SampledFrom([]string{"", "=boss,"}).Draw(r, "authzid")
		v, err := NewVerifier(word, []byte("0123456789abcdef"), rapid.IntRange(1, 50).Draw(r, "iterations"))
		if err != nil {
			t.Fatal(err)
		}
		client, err := xdg.SHA256.NewClient(user, typed, authzid)
		if err != nil {
			r.Skip("the client doesn't take the name")
		}
		client.WithMinIterations(1)
		x, done := against(t, client.NewConversation(), context("Server+Nonce"), ScramSHA256, v)
		if done != (typed == word) || x.Claim().Authzid != authzid {
			r.Fatalf("done %v, %+v", done, x.Claim())
		}
	})
}

func TestScramPlusAgainstAnotherImplementation(t *testing.T) {
	f := func(theirs xdg.ChannelBinding, want bool) {
		t.Helper()
		client, err := xdg.SHA256.NewClient("user", "pencil", "")
		if err != nil {
			t.Fatal(err)
		}
		ctx := context("Server+Nonce")
		ctx.OfferedPlus = true
		ctx.Binding = func(kind string) []byte {
			return map[string][]byte{TLSExporter: []byte("exported"), TLSServerEndPoint: []byte("certificate")}[kind]
		}
		_, done := against(t, client.NewConversationWithChannelBinding(theirs), ctx, ScramSHA256Plus, verifier(t, "pencil"))
		if done != want {
			t.Errorf("%+v: %v", theirs, done)
		}
	}
	f(xdg.ChannelBinding{Type: xdg.ChannelBindingTLSExporter, Data: []byte("exported")}, true)
	f(xdg.ChannelBinding{Type: xdg.ChannelBindingTLSServerEndpoint, Data: []byte("certificate")}, true)
	f(xdg.ChannelBinding{Type: xdg.ChannelBindingTLSExporter, Data: []byte("of another session")}, false)
	f(xdg.ChannelBinding{Type: xdg.ChannelBindingTLSServerEndpoint, Data: []byte("exported")}, false)
	f(xdg.ChannelBinding{Type: xdg.ChannelBindingTLSUnique, Data: []byte("exported")}, false)
}

// FuzzExchange: whatever a peer says, it is not proven unless it knows the
// password, what is claimed is fit for a log, and an exchange comes to an end.
func FuzzExchange(f *testing.F) {
	f.Add(uint8(Plain), "\x00tim\x00secret", "", "")
	f.Add(uint8(Login), "-", "tim", "secret")
	f.Add(uint8(CramMD5), "-", "tim b913a602c7eda7a495b4e6e7334d3890", "")
	f.Add(uint8(ScramSHA256), first, final+proof, "")
	f.Add(uint8(ScramSHA256), "y,a=b,n=a=2Cb,r=abc", final+proof, "")
	f.Add(uint8(ScramSHA256Plus), "p=tls-exporter,,n=user,r=abc", "c=,r=,p="+proof, "")
	f.Fuzz(func(t *testing.T, m uint8, a, b, c string) {
		var x Exchange
		s := play(&x, context(serverNonce), Mechanism(m), Decoy([]byte("k"), "user", 1), a, b, c, "", "", "")
		if claim := x.Claim(); claim.Proven || s == Credentials || s == Challenge ||
			claim.User != "" && !isName([]byte(claim.User)) || claim.Authzid != "" && !isName([]byte(claim.Authzid)) {
			t.Errorf("step %d, %+v", s, claim)
		}
	})
}
