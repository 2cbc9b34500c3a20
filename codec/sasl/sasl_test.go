package sasl

import (
	"strings"
	"testing"
)

func context(nonce string) Context {
	return Context{Hostname: "mx.example", Nonce: func() string { return nonce }}
}

// play gives an exchange its responses and returns the last step. A first
// response of "-" is no initial response.
func play(x *Exchange, ctx Context, m Mechanism, v Verifier, responses ...string) (s Step) {
	for i, r := range responses {
		switch {
		case i > 0:
			s = x.Next([]byte(r))
		case r == "-":
			s = x.Start(ctx, m, nil, false)
		default:
			s = x.Start(ctx, m, []byte(r), true)
		}
		if s == Credentials {
			s = x.Use(v)
		}
	}
	return s
}

// RFC 4616 section 4 has the examples.
func TestPlain(t *testing.T) {
	f := func(response, authzid, user, word string) {
		t.Helper()
		for _, dialogue := range [][]string{{response}, {"-", response}} {
			var x Exchange
			if s := play(&x, context(""), Plain, Verifier{}, dialogue...); s != Judge {
				t.Errorf("%q: step %d", response, s)
			}
			c := x.Claim()
			if c.Need != NeedPassword || c.Authzid != authzid || c.User != user || string(c.Password) != word {
				t.Errorf("%q: %+v", response, c)
			}
			if s := x.Next([]byte(response)); s != Malformed {
				t.Errorf("%q: goes on after its end with %d", response, s)
			}
		}
	}
	f("\x00tim\x00tanstaaftanstaaf", "", "tim", "tanstaaftanstaaf")
	f("Ursel\x00Kurt\x00xipj3plmq", "Ursel", "Kurt", "xipj3plmq")
	f("\x00jörg@example.org\x00 a b \xff", "", "jörg@example.org", " a b \xff")
}

func TestPlain_Failure(t *testing.T) {
	f := func(response string) {
		t.Helper()
		var x Exchange
		if s := play(&x, context(""), Plain, Verifier{}, response); s != Malformed {
			t.Errorf("%q: step %d, claim %+v", response, s, x.Claim())
		}
	}
	f("")
	f("tim")
	f("\x00tim")
	f("\x00tim\x00")
	f("\x00\x00secret")
	f("\x00tim\x00sec\x00ret")
	f("\x00ti\nm\x00secret")
	f("\x00ti\xffm\x00secret")
	f("a\x7f\x00tim\x00secret")
	f("\x00" + strings.Repeat("a", MaxName+1) + "\x00secret")
}

func TestLogin(t *testing.T) {
	for _, dialogue := range [][]string{{"-", "tim", "secret"}, {"tim", "secret"}} {
		var x Exchange
		if s := play(&x, context(""), Login, Verifier{}, dialogue...); s != Judge {
			t.Errorf("%q: step %d", dialogue, s)
		}
		if c := x.Claim(); c.Need != NeedPassword || c.User != "tim" || string(c.Password) != "secret" {
			t.Errorf("%q: %+v", dialogue, c)
		}
	}
	var x Exchange
	if s := play(&x, context(""), Login, Verifier{}, "-"); s != Challenge || string(x.Challenge()) != "Username:" {
		t.Errorf("step %d, challenge %q", s, x.Challenge())
	}
	if s := x.Next([]byte("tim")); s != Challenge || string(x.Challenge()) != "Password:" {
		t.Errorf("step %d, challenge %q", s, x.Challenge())
	}
	for _, dialogue := range [][]string{{"-", ""}, {""}, {"-", "a\x00b"}, {"-", "tim", ""}, {"-", "tim", "a\x00b"}} {
		if s := play(&x, context(""), Login, Verifier{}, dialogue...); s != Malformed {
			t.Errorf("%q: step %d", dialogue, s)
		}
	}
}

func TestForgetOverwritesThePassword(t *testing.T) {
	var x Exchange
	play(&x, context(""), Plain, Verifier{}, "\x00tim\x00secret")
	word := x.Claim().Password
	x.Forget()
	if string(word) != "\x00\x00\x00\x00\x00\x00" || x.Claim().Need != NeedNothing {
		t.Errorf("left over: %q %+v", word, x.Claim())
	}
}

// The example of RFC 2195 section 2.
func TestCramMD5(t *testing.T) {
	ctx := Context{Hostname: "postoffice.reston.mci.net", Nonce: func() string { return "1896.697170952" }}
	var x Exchange
	if s := play(&x, ctx, CramMD5, Verifier{}, "-", "tim B913A602C7EDA7A495B4E6E7334D3890"); s != Judge {
		t.Fatalf("step %d", s)
	}
	c := x.Claim()
	if c.User != "tim" || !c.DigestFits("tanstaaftanstaaf") || c.DigestFits("tanstaaftanstaaF") || c.DigestFits("") {
		t.Errorf("%+v", c)
	}
	for _, dialogue := range [][]string{
		{"tim b913a602c7eda7a495b4e6e7334d3890"}, {""}, {"-", "tim"}, {"-", ""}, {"-", " b913a602c7eda7a495b4e6e7334d3890"},
		{"-", "tim b913a602c7eda7a495b4e6e7334d389"}, {"-", "tim b913a602c7eda7a495b4e6e7334d389g"},
	} {
		if s := play(&x, ctx, CramMD5, Verifier{}, dialogue...); s != Malformed {
			t.Errorf("%q: step %d", dialogue, s)
		}
	}
}

func TestMechanisms(t *testing.T) {
	all := SetOf(None, Login, Plain, CramMD5, ScramSHA256, ScramSHA256Plus)
	if got := string(all.AppendTo(nil)); got != " SCRAM-SHA-256-PLUS SCRAM-SHA-256 CRAM-MD5 PLAIN LOGIN" {
		t.Errorf("%q", got)
	}
	if s := all.Without(SetOf(Plain, Login)); s.Has(Plain) || !s.Has(CramMD5) || s.Has(None) {
		t.Errorf("%b", s)
	}
	for name, want := range map[string]Mechanism{"plain": Plain, "Scram-Sha-256": ScramSHA256, "": None, "PLAIN ": None, "GSSAPI": None} {
		if got := ParseMechanism([]byte(name)); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}

// RFC 4648 section 3: what is not of the alphabet, or not canonical, is refused.
func TestDecode(t *testing.T) {
	for text, want := range map[string]string{"": "", "YQ==": "a", "YWI=": "ab", "YWJj": "abc", "AHRpbQBzZWNyZXQ=": "\x00tim\x00secret"} {
		if got, ok := Decode(nil, []byte(text)); !ok || string(got) != want {
			t.Errorf("%q: %q %v", text, got, ok)
		}
	}
	for _, text := range []string{"=", "*", "YQ", "YQ=", "YQ===", "YR==", "YWJ\rj", "YWJj\r", "YWJ j", " YWJj", "YWJj ", "YW-_", "YWJj\x00", "YQ==YQ=="} {
		if got, ok := Decode(nil, []byte(text)); ok {
			t.Errorf("%q was taken for %q", text, got)
		}
	}
	if got, ok := DecodeInitial([]byte("x"), []byte("=")); !ok || string(got) != "x" {
		t.Errorf("= is %q %v", got, ok)
	}
}
