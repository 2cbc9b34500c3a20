package password

import (
	"crypto/rand"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"

	"github.com/xdg-go/stringprep"

	"postrider/codec/sasl"
)

// The least and the most iterations of a stored verifier: what RFC 7677 section 4
// asks for, and what keeps one login under some seconds.
const (
	minIterations = 4096
	maxIterations = 2_000_000
)

// Prepare brings a password into the form that SCRAM hashes (SASLprep, RFC 4013).
// One with characters that the RFC forbids stays as it is: the clients that would
// send it differ, and it works with clients that do the same. A password of which
// nothing would be left stays as it is, too.
func Prepare(password []byte) string {
	s, err := stringprep.SASLprep.Prepare(string(password))
	if err != nil || s == "" {
		return string(password)
	}
	return s
}

// VerifyTyped is Verify for a password as a person typed it: first as its octets came,
// because other servers and older versions stored a hash of them, then as Prepare has
// it, which is what Hash takes. RFC 4616 section 2 asks for that of PLAIN: one keyboard
// sends an umlaut as one character, another one as two. Dummy takes as many hashes.
func VerifyTyped(hash string, typed []byte) (ok bool, err error) {
	for _, form := range forms(typed) {
		if ok, err = Verify(hash, form); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

// forms are what VerifyTyped tries: two, or one when they are the same, as with ASCII.
func forms(typed []byte) [][]byte {
	if !isASCII(typed) {
		if p := Prepare(typed); p != string(typed) {
			return [][]byte{typed, []byte(p)}
		}
	}
	return [][]byte{typed}
}

func isASCII(text []byte) bool {
	return !slices.ContainsFunc(text, func(c byte) bool { return c >= 0x80 })
}

// SCRAM returns the verifier in a stored hash; ok is false when there
// is none, or none that can be used.
func SCRAM(hash string) (v sasl.Verifier, ok bool) {
	for part := range strings.SplitSeq(hash, separator) {
		if name, text, _ := strings.Cut(part, "}"); strings.EqualFold(name, "{"+schemeSCRAM) {
			v, err := parseSCRAM(text)
			return v, err == nil
		}
	}
	return v, false
}

// Verifier makes the verifier for SCRAM of a password that is known to be right, as
// Hash has it beside a new hash. It takes as long as the iterations ask for.
func Verifier(password []byte, iterations int) (string, error) {
	salt := make([]byte, sasl.SaltLen)
	rand.Read(salt)
	v, err := sasl.NewVerifier(Prepare(password), salt, iterations)
	return string(appendSCRAM(nil, v)), err
}

// appendSCRAM writes a verifier as Dovecot has it.
func appendSCRAM(dst []byte, v sasl.Verifier) []byte {
	dst = strconv.AppendInt(append(dst, "{"+schemeSCRAM+"}"...), int64(v.Iterations), 10)
	for _, b := range [][]byte{v.Salt, v.StoredKey[:], v.ServerKey[:]} {
		dst = base64.StdEncoding.AppendEncode(append(dst, ','), b)
	}
	return dst
}

func parseSCRAM(text string) (v sasl.Verifier, err error) {
	parts := strings.Split(text, ",")
	if len(parts) != 4 {
		return v, hashError("{%s} is not iterations,salt,stored key,server key", schemeSCRAM)
	}
	if v.Iterations, err = strconv.Atoi(parts[0]); err != nil || v.Iterations < minIterations || v.Iterations > maxIterations {
		return v, hashError("{%s}: the iterations are not a number from %d to %d", schemeSCRAM, minIterations, maxIterations)
	}
	if v.Salt, err = base64.StdEncoding.DecodeString(parts[1]); err != nil || len(v.Salt) < 8 || len(v.Salt) > 64 {
		return v, hashError("{%s}: the salt is not base64 of 8 to 64 octets", schemeSCRAM)
	}
	for i, key := range [][]byte{v.StoredKey[:], v.ServerKey[:]} {
		b, err := base64.StdEncoding.DecodeString(parts[2+i])
		if err != nil || len(b) != len(key) {
			return v, hashError("{%s}: the keys are not base64 of %d octets each", schemeSCRAM, len(key))
		}
		copy(key, b)
	}
	return v, nil
}

func verifySCRAM(text string, password []byte) (bool, error) {
	want, err := parseSCRAM(text)
	if err != nil {
		return false, err
	}
	got, err := sasl.NewVerifier(Prepare(password), want.Salt, want.Iterations)
	if err != nil {
		return false, err
	}
	return got.Equal(&want), nil
}
