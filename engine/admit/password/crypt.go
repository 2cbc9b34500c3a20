package password

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"

	"github.com/GehirnInc/crypt"
	"github.com/GehirnInc/crypt/sha256_crypt"
	"github.com/GehirnInc/crypt/sha512_crypt"
	"github.com/go-crypt/x/yescrypt"
	"golang.org/x/crypto/bcrypt"
)

// What crypt(3) has stored. {CRYPT} is any of it, by what it begins with.

// crypts are the texts of crypt(3) that are known, by what they begin with.
var crypts = []struct {
	prefix, name string
	scheme
}{
	{"$2a$", "BLF-CRYPT", scheme{checkBcrypt, verifyBcrypt}},
	{"$2b$", "BLF-CRYPT", scheme{checkBcrypt, verifyBcrypt}},
	{"$2y$", "BLF-CRYPT", scheme{checkBcrypt, verifyBcrypt}},
	{"$5$", "SHA256-CRYPT", scheme{sha256Crypt.check, sha256Crypt.verify}},
	{"$6$", "SHA512-CRYPT", scheme{sha512Crypt.check, sha512Crypt.verify}},
	{"$y$", "YESCRYPT-CRYPT", scheme{checkYescrypt, verifyYescrypt}},
	{"$argon2id$", schemeArgon2id, scheme{checkArgon2id, verifyArgon2id}},
	{"$argon2i$", "ARGON2I", scheme{checkArgon2i, verifyArgon2i}},
}

// cryptOf is the scheme of a text of crypt(3), and its name.
func cryptOf(text string) (s scheme, name string, err error) {
	for _, c := range crypts {
		if strings.HasPrefix(text, c.prefix) {
			return c.scheme, c.name, nil
		}
	}
	return s, "", hashError("crypt(3) of another kind than $2y$, $5$, $6$, $y$ and $argon2id$: DES and MD5 are too weak to be kept, the user needs a new password")
}

func checkCrypt(text string) error {
	s, _, err := cryptOf(text)
	if err != nil {
		return err
	}
	return s.check(text)
}

func verifyCrypt(text string, password []byte) (bool, error) {
	s, _, err := cryptOf(text)
	if err != nil {
		return false, err
	}
	return s.verify(text, password)
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

// maxCryptPassword is the longest password of crypt(3) (libxcrypt's
// CRYPT_MAX_PASSPHRASE_SIZE). A round of SHA-crypt costs its length, and the first step its
// square.
const maxCryptPassword = 512

// The rounds of SHA-crypt: its own minimum, and what bounds the work of a login.
const (
	minRounds = 1000
	maxRounds = 1_000_000
)

// shaCrypt is SHA-crypt with one digest.
type shaCrypt struct {
	name, prefix string
	length       int // length of the digest as text
	make         func() crypt.Crypter
}

var (
	sha256Crypt = shaCrypt{"SHA256-CRYPT", sha256_crypt.MagicPrefix, 43, sha256_crypt.New}
	sha512Crypt = shaCrypt{"SHA512-CRYPT", sha512_crypt.MagicPrefix, 86, sha512_crypt.New}
)

func (c shaCrypt) check(text string) error {
	rest, ok := strings.CutPrefix(text, c.prefix)
	if r, has := strings.CutPrefix(rest, "rounds="); ok && has {
		var rounds int
		if n, _ := fmt.Sscanf(r, "%d$", &rounds); n != 1 || rounds < minRounds || rounds > maxRounds {
			return hashError("{%s}: the rounds are not a number from %d to %d", c.name, minRounds, maxRounds)
		}
		_, rest, ok = strings.Cut(r, "$")
	}
	salt, digest, two := strings.Cut(rest, "$")
	if !ok || !two || len(salt) > 16 || len(digest) != c.length || strings.Contains(digest, "$") {
		return hashError("{%s} is not %ssalt$ and %d characters", c.name, c.prefix, c.length)
	}
	return nil
}

// verify hands the library the setting alone and compares by itself: given
// a whole hash with "rounds=", the library (2023-03-20) takes the hash for a
// part of any salt shorter than 16 characters, and no password fits.
func (c shaCrypt) verify(text string, password []byte) (bool, error) {
	if err := c.check(text); err != nil || len(password) > maxCryptPassword {
		return false, err
	}
	got, err := c.make().Generate(password, []byte(text[:strings.LastIndexByte(text, '$')]))
	if err != nil {
		return false, hashError("{%s}: %v", c.name, err)
	}
	return subtle.ConstantTimeCompare([]byte(got), []byte(text)) == 1, nil
}

// yescryptDigest is the length of the text of a yescrypt.
const yescryptDigest = 43

// checkYescrypt reads $y$ and the parameters jNR of libxcrypt: N is 2 to the number, and r
// the number, of the letters after j. The memory is 128 * N * r octets, 1 GiB at most; the
// library refuses more than that too.
func checkYescrypt(text string) error {
	parts := strings.Split(text, "$")
	if len(parts) != 5 || parts[0] != "" || parts[1] != "y" || len(parts[2]) != 3 || parts[2][0] != 'j' {
		return hashError("{YESCRYPT-CRYPT} is not $y$j..$salt$ and %d characters", yescryptDigest)
	}
	_, log, r, err := yescrypt.DecodeSetting([]byte(parts[2]))
	if err != nil || log < 10 || log > 18 || r < 1 || r > 32 {
		return hashError("{YESCRYPT-CRYPT}: the cost %q is out of bounds", parts[2])
	}
	if len(parts[3]) > 86 || yescrypt.Decode64([]byte(parts[3])) == nil || len(parts[4]) != yescryptDigest {
		return hashError("{YESCRYPT-CRYPT} has no salt of up to 86 characters, or no digest of %d", yescryptDigest)
	}
	return nil
}

func verifyYescrypt(text string, password []byte) (bool, error) {
	if err := checkYescrypt(text); err != nil || len(password) > maxCryptPassword {
		return false, err
	}
	got, err := yescrypt.Hash(password, []byte(text))
	if err != nil {
		return false, hashError("{YESCRYPT-CRYPT}: %v", err)
	}
	return subtle.ConstantTimeCompare(got, []byte(text)) == 1, nil
}
