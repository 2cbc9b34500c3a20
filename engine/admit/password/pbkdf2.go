package password

import (
	"crypto/pbkdf2"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"strconv"
	"strings"
)

// pbkdf2Hash is a stored PBKDF2 (RFC 8018 section 5.2), taken apart.
type pbkdf2Hash struct {
	rounds    int
	salt, key []byte
}

// pbkdf2Scheme is PBKDF2 in the two forms that servers keep:
//
//	$1$salt$rounds$key      Dovecot: the salt as text, the key in hexadecimal digits
//	rounds$salt$key         LDAP: both in base64 with "." for "+" and no padding
func pbkdf2Scheme(name string, digest func() hash.Hash) scheme {
	parse := func(text string) (h pbkdf2Hash, err error) {
		parts := strings.Split(text, "$")
		rounds := parts[0]
		switch {
		case len(parts) == 5 && parts[0] == "" && parts[1] == "1":
			rounds, h.salt = parts[3], []byte(parts[2])
			h.key, err = hex.DecodeString(parts[4])
		case len(parts) == 3:
			if h.salt, err = adapted.DecodeString(strings.ReplaceAll(parts[1], "+", ".")); err == nil {
				h.key, err = adapted.DecodeString(strings.ReplaceAll(parts[2], "+", "."))
			}
		default:
			return h, hashError("{%s} is not $1$salt$rounds$key, nor rounds$salt$key", name)
		}
		if err != nil {
			return h, hashError("{%s}: the salt or the key is not in its encoding", name)
		}
		if h.rounds, err = strconv.Atoi(rounds); err != nil || h.rounds < 1 || h.rounds > maxIterations {
			return h, hashError("{%s}: the rounds are not a number from 1 to %d", name, maxIterations)
		}
		if n := digest().Size(); len(h.key) < 16 || len(h.key) > n || len(h.salt) == 0 || len(h.salt) > maxSalt {
			return h, hashError("{%s} has no key of 16 to %d octets or no salt of 1 to %d", name, n, maxSalt)
		}
		return h, nil
	}
	return scheme{
		check: func(text string) error { _, err := parse(text); return err },
		verify: func(text string, password []byte) (bool, error) {
			h, err := parse(text)
			if err != nil {
				return false, err
			}
			got, err := pbkdf2.Key(digest, string(password), h.salt, h.rounds, len(h.key))
			if err != nil {
				return false, hashError("{%s}: %v", name, err)
			}
			return subtle.ConstantTimeCompare(got, h.key) == 1, nil
		},
	}
}

// adapted is the base64 of passlib and OpenLDAP for PBKDF2.
var adapted = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789./").WithPadding(base64.NoPadding)
