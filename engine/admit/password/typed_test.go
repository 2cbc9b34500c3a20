package password

import (
	"strings"
	"testing"

	"postrider/codec/sasl"
)

// ways are pairs of the same password as two keyboards write it.
var ways = []struct{ name, chosen, typed string }{
	{"two characters for one", "M\u00fcnchen", "Mu\u0308nchen"},
	{"one character for two", "cafe\u0301", "caf\u00e9"},
	{"Hangul in pieces", "\ud55c\uae00", "\u1112\u1161\u11ab\u1100\u1173\u11af"},
	{"full-width letters", "abc1", "\uff41\uff42\uff43\uff11"},
	{"full-width letters are kept", "\uff41\uff42\uff43\uff11", "abc1"},
	{"a ligature", "\ufb01sh", "fish"},
	{"a no-break space", "one two", "one\u00a0two"},
	{"an ideographic space", "one\u3000two", "one two"},
	{"a soft hyphen", "pass\u00adword", "password"},
	{"a soft hyphen is typed", "password", "pass\u00adword"},
	{"the same octets", "na\u00efve \u2168", "na\u00efve \u2168"},
	{"a prohibited character", "a\u0007b", "a\u0007b"},
	{"a private character", "a\ue000b", "a\ue000b"},
	{"both directions in one word", "\u0627\u0031", "\u0627\u0031"},
	{"not UTF-8", "caf\xe9", "caf\xe9"},
	{"nothing would be left", "\u00ad", "\u00ad"},
}

func TestVerifyTyped_Success(t *testing.T) {
	for _, w := range ways {
		hash, err := Hash([]byte(w.chosen), both)
		if err != nil {
			t.Fatal(err)
		}
		_, verifier, _ := strings.Cut(hash, " ")
		for _, h := range []string{hash, verifier} {
			if ok, err := VerifyTyped(h, []byte(w.typed)); !ok || err != nil {
				t.Errorf("%s: %.20s: %v %v", w.name, h, ok, err)
			}
			if ok, err := VerifyTyped(h, []byte(w.typed+"x")); ok || err != nil {
				t.Errorf("%s: %.20s: another password: %v %v", w.name, h, ok, err)
			}
		}
	}
}

// What was hashed without SASLprep, here and by other servers, is met by its octets.
func TestVerifyTyped_OfOctets(t *testing.T) {
	for _, w := range ways {
		salt := []byte("salt of sixteen.")
		old := argon2Hash{cheap, salt, key([]byte(w.chosen), salt, cheap, keyLen)}.String()
		if ok, err := VerifyTyped(old, []byte(w.chosen)); !ok || err != nil {
			t.Errorf("%s: %v %v", w.name, ok, err)
		}
	}
}

func TestVerifyTyped_Failure(t *testing.T) {
	hash, err := Hash([]byte("M\u00fcnchen"), cheap)
	if err != nil {
		t.Fatal(err)
	}
	for _, typed := range []string{"", "Munchen", "M\u00dcnchen", "M\xfcnchen", "Mu\u0308\u0308nchen", "m\u00fcnchen", "M\u00fcnchen "} {
		if ok, err := VerifyTyped(hash, []byte(typed)); ok || err != nil {
			t.Errorf("%q: %v %v", typed, ok, err)
		}
	}
	if ok, err := VerifyTyped("{MD5}x", []byte("Mu\u0308nchen")); ok || err == nil {
		t.Error("an unknown scheme has no error")
	}
	empty, err := sasl.NewVerifier("", []byte("saltsaltsalt"), minIterations)
	if err != nil {
		t.Skip("there is no verifier of an empty password:", err)
	}
	if ok, _ := VerifyTyped(string(appendSCRAM(nil, empty)), []byte("\u00ad\u00ad")); ok {
		t.Error("soft hyphens are an empty password")
	}
}
