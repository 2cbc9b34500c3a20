package password

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Cost is what one argon2id hash takes, and the verifier beside it.
type Cost struct {
	Memory  uint32 // KiB, at least 8 per thread
	Time    uint32 // passes, at least 1
	Threads uint8  // at least 1
	SCRAM   int    // iterations of the verifier for SCRAM-SHA-256; 0: none is made
}

// separator is between the schemes of one stored hash. No scheme has it.
const separator = " "

// ErrHash is wrapped by every error about a stored hash.
var ErrHash = errors.New("unusable password hash")

func hashError(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrHash, fmt.Sprintf(format, args...))
}

const (
	saltLen = 16
	keyLen  = 32
)

// Hash makes a new hash of the password, which may be any octets but not empty,
// with a verifier for SCRAM beside it if cost has iterations for one. Both are made
// from the output of Prepare, so that the input of any keyboard works: see VerifyTyped.
func Hash(password []byte, cost Cost) (string, error) {
	if len(password) == 0 {
		return "", errors.New("the password is empty")
	}
	prepared := Prepare(password)
	salt := make([]byte, saltLen)
	rand.Read(salt)
	hash := argon2Hash{cost, salt, key([]byte(prepared), salt, cost, keyLen)}.String()
	if cost.SCRAM == 0 {
		return hash, nil
	}
	v, err := Verifier([]byte(prepared), cost.SCRAM)
	if err != nil {
		return "", err
	}
	return hash + separator + v, nil
}

// Verify reports whether hash was made from these octets; of several schemes the
// first one decides. The error is about hash, whatever the password:
// it can't be read, or its scheme is not known.
func Verify(hash string, password []byte) (bool, error) {
	hash, _, _ = strings.Cut(hash, separator)
	scheme, text, err := split(hash)
	if err != nil {
		return false, err
	}
	return scheme.verify(text, password)
}

// Dummy takes the time of a VerifyTyped that fails, for a user that does not exist.
func Dummy(typed []byte, cost Cost) {
	for _, form := range forms(typed) {
		key(form, make([]byte, saltLen), cost, keyLen)
	}
}

// Check reports whether Verify could read hash, without the cost of a Verify. It
// is for what comes from outside: an import.
func Check(hash string) error {
	for part := range strings.SplitSeq(hash, separator) {
		if err := checkPart(part); err != nil {
			return err
		}
	}
	return nil
}

func checkPart(hash string) error {
	scheme, text, err := split(hash)
	if err != nil {
		return err
	}
	return scheme.check(text)
}

// IsHash reports whether text has a scheme before it, known or not: this
// distinguishes a hash from a password in an import. A scheme is written in capitals, or is
// one that servers have.
func IsHash(text string) bool {
	name, _, ok := strings.Cut(strings.TrimPrefix(text, "{"), "}")
	if !ok || text[0] != '{' || name == "" {
		return false
	}
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-."
	upper := strings.ToUpper(name)
	if !isOf(upper, letters) { // also a colon, at which a file of accounts ends the password
		return false
	}
	if upper == name {
		return true
	}
	base, _, _ := strings.Cut(upper, ".")
	_, known := schemes[base]
	return known || slices.Contains(otherSchemes, base)
}

// otherSchemes are schemes of other servers that are too weak to be kept, or serve other
// protocols.
var otherSchemes = []string{
	"SHA", "SHA1", "SHA256", "SHA512", "MD5", "SMD5", "MD5-CRYPT", "LDAP-MD5", "PLAIN-MD5", "PLAIN-MD4", "DES-CRYPT",
	"CRAM-MD5", "DIGEST-MD5", "HMAC-MD5", "SCRAM-SHA-1", "LANMAN", "NTLM", "RPA", "OTP", "SKEY",
}

// split takes the scheme off and checks that it is one of ours.
func split(hash string) (s scheme, text string, err error) {
	if hash == "" {
		return s, "", hashError("it is empty")
	}
	name, text, ok := strings.Cut(strings.TrimPrefix(hash, "{"), "}")
	if !ok || hash[0] != '{' {
		return s, "", hashError("it has no {SCHEME} before it")
	}
	name = strings.ToUpper(name)
	base, encoding, _ := strings.Cut(name, ".") // Dovecot: {SSHA512.HEX}
	if encoding != "" && !(strings.HasPrefix(base, "SSHA") && (encoding == "HEX" || encoding == "B64" || encoding == "BASE64")) {
		base = name
	}
	if s, ok = schemes[base]; !ok {
		return s, "", hashError("unknown scheme {%s}; known are %s", name, Schemes())
	}
	return s, text, nil
}
