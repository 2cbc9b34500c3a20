package password

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/GehirnInc/crypt/sha512_crypt"
	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"

	"postrider/codec/sasl"
)

// Cost is what one argon2id hash takes, and the verifier beside it.
type Cost struct {
	Memory  uint32 // KiB, at least 8 per thread
	Time    uint32 // passes, at least 1
	Threads uint8  // at least 1
	SCRAM   int    // iterations of the verifier for SCRAM-SHA-256; 0: none is made
}

// The scheme names, as they come before a hash.
const (
	schemeArgon2id = "ARGON2ID"
	schemeSSHA256  = "SSHA256"
	schemeBcrypt   = "BLF-CRYPT"
	schemeSHA512   = "SHA512-CRYPT"
	schemeSCRAM    = "SCRAM-SHA-256"
)

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
	salt = make([]byte, sasl.SaltLen)
	rand.Read(salt)
	v, err := sasl.NewVerifier(prepared, salt, cost.SCRAM)
	if err != nil {
		return "", err
	}
	return string(appendSCRAM([]byte(hash+separator), v)), nil
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
	switch scheme {
	case schemeArgon2id:
		h, err := parseArgon2(text)
		if err != nil {
			return false, err
		}
		return subtle.ConstantTimeCompare(h.key, key(password, h.salt, h.cost, len(h.key))) == 1, nil
	case schemeSSHA256:
		digest, salt, err := parseSSHA256(text)
		if err != nil {
			return false, err
		}
		sum := sha256.Sum256(append(append([]byte(nil), password...), salt...))
		return subtle.ConstantTimeCompare(digest, sum[:]) == 1, nil
	case schemeBcrypt:
		return verifyBcrypt(text, password)
	case schemeSCRAM:
		return verifySCRAM(text, password)
	default:
		return verifySHA512(text, password)
	}
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
	switch scheme {
	case schemeArgon2id:
		_, err = parseArgon2(text)
	case schemeSSHA256:
		_, _, err = parseSSHA256(text)
	case schemeBcrypt:
		err = checkBcrypt(text)
	case schemeSCRAM:
		_, err = parseSCRAM(text)
	default:
		err = checkSHA512(text)
	}
	return err
}

// IsHash reports whether text has a scheme before it, known or not: this
// distinguishes a hash from a password in an import.
func IsHash(text string) bool {
	name, _, ok := strings.Cut(strings.TrimPrefix(text, "{"), "}")
	return ok && text[0] == '{' && name != "" && strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.") == ""
}

// split takes the scheme off and checks that it is one of ours.
func split(hash string) (scheme, text string, err error) {
	if hash == "" {
		return "", "", hashError("it is empty")
	}
	scheme, text, ok := strings.Cut(strings.TrimPrefix(hash, "{"), "}")
	if !ok || hash[0] != '{' {
		return "", "", hashError("it has no {SCHEME} before it")
	}
	switch scheme = strings.ToUpper(scheme); scheme {
	case schemeArgon2id, schemeSSHA256, schemeBcrypt, schemeSHA512, schemeSCRAM:
		return scheme, text, nil
	}
	return "", "", hashError("unknown scheme {%s}; known are {ARGON2ID}, {SSHA256}, {BLF-CRYPT}, {SHA512-CRYPT} and {SCRAM-SHA-256}", scheme)
}

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

func parseArgon2(text string) (h argon2Hash, err error) {
	parts := strings.Split(text, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return h, hashError("not $argon2id$v=%d$m=..,t=..,p=..$salt$hash", argon2.Version)
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

// parseSSHA256 takes apart base64 of SHA-256(password + salt) and the salt.
func parseSSHA256(text string) (digest, salt []byte, err error) {
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		b, err = base64.RawStdEncoding.DecodeString(text)
	}
	if err != nil || len(b) <= sha256.Size {
		return nil, nil, hashError("{SSHA256} is not base64 of a SHA-256 digest and a salt")
	}
	return b[:sha256.Size], b[sha256.Size:], nil
}

// maxBcryptCost keeps one login under some seconds.
const maxBcryptCost = 16

func checkBcrypt(text string) error {
	cost, err := bcrypt.Cost([]byte(text))
	if err != nil {
		return hashError("{BLF-CRYPT}: %v", err)
	}
	if cost > maxBcryptCost {
		return hashError("{BLF-CRYPT}: the cost %d is above %d", cost, maxBcryptCost)
	}
	return nil
}

func verifyBcrypt(text string, password []byte) (bool, error) {
	if err := checkBcrypt(text); err != nil {
		return false, err
	}
	// Only the first 72 octets count, as in every crypt(3).
	err := bcrypt.CompareHashAndPassword([]byte(text), password[:min(len(password), 72)])
	if errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
		return false, nil
	}
	if err != nil {
		return false, hashError("{BLF-CRYPT}: %v", err)
	}
	return true, nil
}

// maxRounds bounds the work of a stored {SHA512-CRYPT}.
const maxRounds = 1_000_000

func checkSHA512(text string) error {
	rest, ok := strings.CutPrefix(text, "$6$")
	if r, has := strings.CutPrefix(rest, "rounds="); ok && has {
		var rounds int
		if n, _ := fmt.Sscanf(r, "%d$", &rounds); n != 1 || rounds > maxRounds {
			return hashError("{SHA512-CRYPT}: the rounds are not a number up to %d", maxRounds)
		}
		_, rest, ok = strings.Cut(r, "$")
	}
	if !ok || len(rest) < 86 || strings.Count(rest, "$") != 1 || len(rest)-strings.IndexByte(rest, '$') != 87 {
		return hashError("{SHA512-CRYPT} is not $6$salt$ and 86 characters")
	}
	return nil
}

// verifySHA512 hands the library the setting alone and compares by itself: given
// a whole hash with "rounds=", the library (2023-03-20) takes the hash for a
// part of any salt shorter than 16 characters, and no password fits.
func verifySHA512(text string, password []byte) (bool, error) {
	if err := checkSHA512(text); err != nil {
		return false, err
	}
	got, err := sha512_crypt.New().Generate(password, []byte(text[:strings.LastIndexByte(text, '$')]))
	if err != nil {
		return false, hashError("{SHA512-CRYPT}: %v", err)
	}
	return subtle.ConstantTimeCompare([]byte(got), []byte(text)) == 1, nil
}
