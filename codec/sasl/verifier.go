package sasl

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/subtle"
)

// Verifier is what a server keeps for SCRAM-SHA-256 in place of the password (RFC
// 5802 section 3). It is enough to verify a proof and not to make one, but a
// password can be guessed against it at the price of Iterations.
type Verifier struct {
	Iterations           int
	Salt                 []byte
	StoredKey, ServerKey [sha256.Size]byte
}

// SaltLen is the length of a salt of ours; a Decoy has the same.
const SaltLen = 16

// NewVerifier makes the verifier of a password that is prepared by SASLprep. It
// takes as long as the iterations ask for.
func NewVerifier(password string, salt []byte, iterations int) (Verifier, error) {
	salted, err := pbkdf2.Key(sha256.New, password, salt, iterations, sha256.Size)
	if err != nil {
		return Verifier{}, err
	}
	v := Verifier{Iterations: iterations, Salt: salt}
	v.StoredKey = sha256.Sum256(mac(salted, "Client Key"))
	copy(v.ServerKey[:], mac(salted, "Server Key"))
	return v, nil
}

// Equal compares in constant time what was made with the same salt.
func (v *Verifier) Equal(w *Verifier) bool {
	return subtle.ConstantTimeCompare(v.StoredKey[:], w.StoredKey[:])&
		subtle.ConstantTimeCompare(v.ServerKey[:], w.ServerKey[:]) == 1
}

// Decoy makes a verifier for a user that has none, or is unknown: the same for
// the same name as long as the secret is the same, and one that no proof fits.
func Decoy(secret []byte, user string, iterations int) Verifier {
	v := Verifier{Iterations: iterations, Salt: mac(secret, "salt", user)[:SaltLen]}
	copy(v.StoredKey[:], mac(secret, "stored", user))
	copy(v.ServerKey[:], mac(secret, "server", user))
	return v
}

func mac(key []byte, parts ...string) []byte {
	h := hmac.New(sha256.New, key)
	for _, p := range parts {
		h.Write([]byte(p))
	}
	return h.Sum(nil)
}
