package password

import (
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"hash"
)

// maxSalt bounds the salt after a salted digest.
const maxSalt = 64

// salted is the scheme of LDAP servers: base64 of digest(password + salt) and the salt.
// Dovecot writes hexadecimal digits too.
func salted(name string, digest func() hash.Hash) scheme {
	parse := func(text string) (sum, salt []byte, err error) {
		size := digest().Size()
		b, err := hex.DecodeString(text)
		if err != nil || len(b) <= size {
			if b, err = base64.StdEncoding.DecodeString(text); err != nil {
				b, err = base64.RawStdEncoding.DecodeString(text)
			}
		}
		if err != nil || len(b) <= size || len(b) > size+maxSalt {
			return nil, nil, hashError("{%s} is not base64 of a digest of %d octets and a salt", name, size)
		}
		return b[:size], b[size:], nil
	}
	return scheme{
		check: func(text string) error { _, _, err := parse(text); return err },
		verify: func(text string, password []byte) (bool, error) {
			want, salt, err := parse(text)
			if err != nil {
				return false, err
			}
			h := digest()
			h.Write(password)
			h.Write(salt)
			return subtle.ConstantTimeCompare(want, h.Sum(nil)) == 1, nil
		},
	}
}
