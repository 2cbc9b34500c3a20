package password

import (
	"strings"
	"testing"

	"postrider/codec/sasl"
)

var both = Cost{Memory: 64, Time: 1, Threads: 1, SCRAM: 4096}

// A new hash serves clients that send the password and clients that prove that they
// know it.
func TestHashHasAVerifierForSCRAM(t *testing.T) {
	hash, err := Hash([]byte("secret"), both)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(hash, "{ARGON2ID}") || strings.Count(hash, " ") != 1 {
		t.Errorf("%q", hash)
	}
	if err := Check(hash); err != nil {
		t.Error(err)
	}
	for word, want := range map[string]bool{"secret": true, "Secret": false} {
		if ok, err := Verify(hash, []byte(word)); ok != want || err != nil {
			t.Errorf("%s: %v %v", word, ok, err)
		}
	}
	v, ok := SCRAM(hash)
	want, err := sasl.NewVerifier("secret", v.Salt, 4096)
	if !ok || err != nil || !v.Equal(&want) {
		t.Errorf("%v %+v", ok, v)
	}
}

func TestSCRAM_None(t *testing.T) {
	old, err := Hash([]byte("secret"), cheap)
	if err != nil {
		t.Fatal(err)
	}
	for _, hash := range []string{"", old, "secret", "{SCRAM-SHA-256}1,2,3,4"} {
		if v, ok := SCRAM(hash); ok {
			t.Errorf("%q has the verifier %+v", hash, v)
		}
	}
	if err := Check(old + " {SCRAM-SHA-256}1,2,3,4"); err == nil {
		t.Error("a broken second scheme was taken")
	}
}

// RFC 4013 section 3 has the examples.
func TestPrepare(t *testing.T) {
	for word, want := range map[string]string{
		"I\u00adX": "IX", "user": "user", "USER": "USER", "\u00aa": "a", "\u2168": "IX", "a\u00a0b": "a b",
		"\x07": "\x07", "\u0627\u0031": "\u0627\u0031", "a\xff": "a\xff",
	} {
		if got := Prepare([]byte(word)); got != want {
			t.Errorf("%q became %q, want %q", word, got, want)
		}
	}
	hash, err := Hash([]byte("pass\u2168"), both)
	if err != nil {
		t.Fatal(err)
	}
	_, verifier, _ := strings.Cut(hash, " ")
	if ok, err := Verify(verifier, []byte("passIX")); !ok || err != nil {
		t.Errorf("the prepared form doesn't fit: %v %v", ok, err)
	}
}
