package password

import (
	"crypto/sha1" //nolint:gosec // what LDAP servers have stored
	"crypto/sha256"
	"crypto/sha512"
	"maps"
	"slices"
	"strings"
)

// scheme is one way to store a password. check is verify without its cost.
type scheme struct {
	check  func(text string) error
	verify func(text string, password []byte) (bool, error)
}

// The scheme names that this package writes or looks for, as they come before a hash.
const (
	schemeArgon2id = "ARGON2ID"
	schemeSCRAM    = "SCRAM-SHA-256"
)

// schemes are the schemes by their names.
var schemes = map[string]scheme{
	schemeArgon2id:   {checkArgon2id, verifyArgon2id},
	"ARGON2I":        {checkArgon2i, verifyArgon2i},
	schemeSCRAM:      {func(text string) error { _, err := parseSCRAM(text); return err }, verifySCRAM},
	"SSHA":           salted("SSHA", sha1.New),
	"SSHA256":        salted("SSHA256", sha256.New),
	"SSHA512":        salted("SSHA512", sha512.New),
	"PBKDF2":         pbkdf2Scheme("PBKDF2", sha1.New),
	"PBKDF2-SHA1":    pbkdf2Scheme("PBKDF2-SHA1", sha1.New),
	"PBKDF2-SHA256":  pbkdf2Scheme("PBKDF2-SHA256", sha256.New),
	"PBKDF2-SHA512":  pbkdf2Scheme("PBKDF2-SHA512", sha512.New),
	"CRYPT":          {checkCrypt, verifyCrypt},
	"BLF-CRYPT":      {checkBcrypt, verifyBcrypt},
	"SHA256-CRYPT":   {sha256Crypt.check, sha256Crypt.verify},
	"SHA512-CRYPT":   {sha512Crypt.check, sha512Crypt.verify},
	"YESCRYPT-CRYPT": {checkYescrypt, verifyYescrypt},
}

// Schemes lists the schemes that are known, for messages.
func Schemes() string {
	names := slices.Sorted(maps.Keys(schemes))
	return "{" + strings.Join(names[:len(names)-1], "}, {") + "} and {" + names[len(names)-1] + "}"
}
