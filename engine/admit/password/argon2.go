package password

import (
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

func key(password, salt []byte, c Cost, n int) []byte {
	return argon2.IDKey(password, salt, c.Time, c.Memory, c.Threads, uint32(n))
}

// argon2Hash is the text $argon2id$v=19$m=..,t=..,p=..$salt$key, taken apart.
type argon2Hash struct {
	cost      Cost
	salt, key []byte
}

func (h argon2Hash) String() string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("{%s}$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", schemeArgon2id, argon2.Version,
		h.cost.Memory, h.cost.Time, h.cost.Threads, b64.EncodeToString(h.salt), b64.EncodeToString(h.key))
}

// The most that a stored hash may cost.
const (
	maxMemory = 4 << 20 // KiB
	maxTime   = 1000
)

// parseArgon2 reads the text of one variant, argon2id or argon2i.
func parseArgon2(text, variant string) (h argon2Hash, err error) {
	parts := strings.Split(text, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != variant || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return h, hashError("not $%s$v=%d$m=..,t=..,p=..$salt$hash", variant, argon2.Version)
	}
	if n, err := fmt.Sscanf(parts[3]+" ", "m=%d,t=%d,p=%d ", &h.cost.Memory, &h.cost.Time, &h.cost.Threads); n != 3 || err != nil {
		return h, hashError("%q is not m=..,t=..,p=..", parts[3])
	}
	c := h.cost
	if c.Threads < 1 || c.Time < 1 || c.Time > maxTime || c.Memory < 8*uint32(c.Threads) || c.Memory > maxMemory {
		return h, hashError("the cost %s is out of bounds", parts[3])
	}
	h.salt, err = base64.RawStdEncoding.DecodeString(parts[4])
	if err != nil || len(h.salt) < 8 || len(h.salt) > 64 {
		return h, hashError("the salt is not base64 of 8 to 64 octets")
	}
	h.key, err = base64.RawStdEncoding.DecodeString(parts[5])
	if err != nil || len(h.key) < 16 || len(h.key) > 128 {
		return h, hashError("the hash is not base64 of 16 to 128 octets")
	}
	return h, nil
}

func checkArgon2id(text string) error { _, err := parseArgon2(text, "argon2id"); return err }
func checkArgon2i(text string) error  { _, err := parseArgon2(text, "argon2i"); return err }

func verifyArgon2id(text string, password []byte) (bool, error) {
	h, err := parseArgon2(text, "argon2id")
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(h.key, key(password, h.salt, h.cost, len(h.key))) == 1, nil
}

func verifyArgon2i(text string, password []byte) (bool, error) {
	h, err := parseArgon2(text, "argon2i")
	if err != nil {
		return false, err
	}
	got := argon2.Key(password, h.salt, h.cost.Time, h.cost.Memory, h.cost.Threads, uint32(len(h.key)))
	return subtle.ConstantTimeCompare(h.key, got) == 1, nil
}
