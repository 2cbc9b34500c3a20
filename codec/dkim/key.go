package dkim

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
)

// The lengths of RSA keys that count. Verifiers must not believe shorter ones (RFC 8301
// section 3.2), and need not support longer ones than 2048 bits; a key of 8,192 costs
// 1 ms.
const (
	MinKeyBits = 1024
	MaxKeyBits = 8192
)

// maxKeyOctets is more than an RSA key of MaxKeyBits takes in a record.
const maxKeyOctets = MaxKeyBits/8 + 64

// Key is the public key of a TXT record (RFC 6376 section 3.6.1).
type Key struct {
	public crypto.PublicKey // *rsa.PublicKey or ed25519.PublicKey
}

// ParseKey reads a record. The error is a Permanent.
func ParseKey(record string) (*Key, error) {
	t, err := parseTags([]byte(record))
	if err != nil {
		return nil, permanent("key record error: malformed tags")
	}
	if v, ok := t["v"]; ok && string(v) != "DKIM1" {
		return nil, permanent("incompatible public key version")
	}
	if h, ok := t["h"]; ok && !hasWord(h, "sha256") {
		return nil, permanent("inappropriate hash algorithm")
	}
	if s, ok := t["s"]; ok && !hasWord(s, "email") && !hasWord(s, "*") {
		return nil, permanent("inappropriate service")
	}
	p, ok := t["p"]
	switch {
	case !ok:
		return nil, permanent("key syntax error: missing public key data")
	case len(p) == 0:
		return nil, permanent("key revoked")
	case base64.StdEncoding.DecodedLen(len(p)) > 2*maxKeyOctets: // white space may be half of it
		return nil, errLongKey
	}
	data, err := base64.StdEncoding.DecodeString(squeezed(p))
	if err != nil {
		return nil, permanent("key syntax error: " + err.Error())
	}
	switch string(t["k"]) {
	case "rsa", "":
		return parseRSA(data)
	case "ed25519":
		if len(data) != ed25519.PublicKeySize {
			return nil, permanent(fmt.Sprintf("invalid Ed25519 public key size: %d octets", len(data)))
		}
		return &Key{ed25519.PublicKey(data)}, nil
	}
	return nil, permanent("unsupported key algorithm")
}

var errLongKey = permanent(fmt.Sprintf("key is too long: at most %d bits", MaxKeyBits))

// parseRSA reads a key in either of the forms that are in use (erratum 3017 of RFC 6376).
func parseRSA(der []byte) (*Key, error) {
	if len(der) > maxKeyOctets {
		return nil, errLongKey
	}
	public, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		if public, err = x509.ParsePKCS1PublicKey(der); err != nil {
			return nil, permanent("key syntax error: " + err.Error())
		}
	}
	key, ok := public.(*rsa.PublicKey)
	switch {
	case !ok:
		return nil, permanent("key syntax error: not an RSA public key")
	case key.N.BitLen() < MinKeyBits:
		return nil, permanent(fmt.Sprintf("key is too short: want %d bits, has %d bits", MinKeyBits, key.N.BitLen()))
	case key.N.BitLen() > MaxKeyBits:
		return nil, errLongKey
	}
	return &Key{key}, nil
}

// Algorithm is the kind of the key, as in the a= of a signature.
func (k *Key) Algorithm() string {
	if _, ok := k.public.(ed25519.PublicKey); ok {
		return "ed25519"
	}
	return "rsa"
}

// Verify reports why a signature of a SHA-256 digest does not hold; nil: it does.
func (k *Key) Verify(digest [sha256.Size]byte, signature []byte) error {
	switch key := k.public.(type) {
	case *rsa.PublicKey:
		if err := rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature); err != nil {
			return fmt.Errorf("dkim: signature did not verify: %w", err)
		}
	case ed25519.PublicKey:
		if !ed25519.Verify(key, digest[:], signature) {
			return errors.New("dkim: signature did not verify: invalid Ed25519 signature")
		}
	}
	return nil
}
