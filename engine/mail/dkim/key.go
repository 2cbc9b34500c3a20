package dkim

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"postrider/codec/address"
	"postrider/engine/host/disk"
	"postrider/engine/host/perms"
)

// Key is the private key of a domain under a selector.
type Key struct {
	Domain, Selector string
	private          crypto.Signer
}

// LeastBits is the shortest RSA key: receivers refuse shorter ones (RFC 8301 section
// 3.2). MostBits is the longest that all of them check.
const (
	LeastBits = 1024
	MostBits  = 4096
)

const (
	between = "._domainkey."
	suffix  = ".pem"
)

// Name is the name of the key's DNS record.
func (k *Key) Name() string { return k.Selector + between + k.Domain }

// Algorithm is the kind of key in a word: "rsa" or "ed25519".
func (k *Key) Algorithm() string {
	if _, ok := k.private.(ed25519.PrivateKey); ok {
		return "ed25519"
	}
	return "rsa"
}

// Bits is the length of the key.
func (k *Key) Bits() int {
	if r, ok := k.private.(*rsa.PrivateKey); ok {
		return r.N.BitLen()
	}
	return 8 * ed25519.PublicKeySize
}

// NewSelector is the selector of a key that is made now: later ones sort after it.
func NewSelector(ed bool, now time.Time) string {
	if ed {
		return "e" + now.UTC().Format("20060102")
	}
	return "r" + now.UTC().Format("20060102")
}

// Create makes a key and its file in dir; bits is the length of an RSA key, 0 means
// Ed25519. A file that is there is not touched.
func Create(dir, domain, selector string, bits int) (*Key, error) {
	if err := checkSelector(selector); err != nil {
		return nil, err
	}
	k := &Key{Domain: domain, Selector: selector}
	var err error
	if bits == 0 {
		_, k.private, err = ed25519.GenerateKey(rand.Reader)
	} else if bits < LeastBits || bits > MostBits {
		err = fmt.Errorf("%d bits: an RSA key has %d to %d", bits, LeastBits, MostBits)
	} else {
		k.private, err = rsa.GenerateKey(rand.Reader, bits)
	}
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(k.private)
	if err != nil {
		return nil, err
	}
	if err := disk.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return k, write(k.file(dir), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func (k *Key) file(dir string) string { return filepath.Join(dir, k.Name()+suffix) }

// write makes a file that is durable.
func write(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%w: mail may be signed with it; take another --selector, or move it away", err)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = disk.SyncDir(filepath.Dir(path))
	}
	if err != nil {
		_ = os.Remove(path)
	}
	return err
}

// checkSelector reports whether s can be part of a DNS name (RFC 6376 section 3.1).
func checkSelector(s string) error {
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || label[0] == '-' || label[len(label)-1] == '-' {
			return fmt.Errorf("invalid selector %q: expected words of a-z, 0-9 and hyphens, with dots between", s)
		}
	}
	return nil
}

// read reads the key in a file, whose name has the domain and the selector.
func read(path string) (*Key, error) {
	name := strings.TrimSuffix(filepath.Base(path), suffix)
	selector, domain, ok := strings.Cut(name, between)
	if !ok {
		return nil, fmt.Errorf("%s: not the name of a DKIM key, which is SELECTOR%sDOMAIN%s", path, between, suffix)
	}
	folded, err := address.ParseDomain(domain)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := errors.Join(checkSelector(selector), perms.Secret(path)); err != nil {
		return nil, fmt.Errorf("DKIM key: %w", err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("DKIM key: %w", err)
	}
	private, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("DKIM key %s: %w", path, err)
	}
	return &Key{Domain: folded, Selector: selector, private: private}, nil
}

// parse reads PKCS #8, or PKCS #1 as opendkim-genkey may write it.
func parse(text []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("no PEM block in it")
	}
	if block.Type == "RSA PRIVATE KEY" {
		return x509.ParsePKCS1PrivateKey(block.Bytes)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	switch key := key.(type) {
	case *rsa.PrivateKey:
		if key.N.BitLen() < LeastBits {
			return nil, fmt.Errorf("an RSA key of %d bits is too short, receivers want %d (RFC 8301)", key.N.BitLen(), LeastBits)
		}
		return key, nil
	case ed25519.PrivateKey:
		return key, nil
	}
	return nil, fmt.Errorf("a key of this kind (%T) can't sign mail: RSA or Ed25519", key)
}

// Value is the text of the key's TXT record (RFC 6376 section 3.6.1, RFC 8463
// section 4).
func (k *Key) Value() string {
	var public []byte
	switch p := k.private.(type) {
	case *rsa.PrivateKey:
		public, _ = x509.MarshalPKIXPublicKey(&p.PublicKey) // can't fail for such a key
	case ed25519.PrivateKey:
		public = p.Public().(ed25519.PublicKey)
	}
	return "v=DKIM1; k=" + k.Algorithm() + "; p=" + base64.StdEncoding.EncodeToString(public)
}

// Record is the key's DNS record as a line or several of a zone file: a text of more
// than 255 octets has to be cut (RFC 1035 section 3.3.14).
func (k *Key) Record() string {
	text := k.Value()
	if len(text) <= maxString {
		return fmt.Sprintf("%s. IN TXT \"%s\"", k.Name(), text)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s. IN TXT (", k.Name())
	for len(text) > 0 {
		n := min(len(text), maxString)
		fmt.Fprintf(&b, "\n\t\"%s\"", text[:n])
		text = text[n:]
	}
	return b.String() + " )"
}

// maxString is the octets of one string in a TXT record.
const maxString = 255
