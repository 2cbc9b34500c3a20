package dkim

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	form "postrider/codec/dkim"
	"postrider/codec/dot"
)

// signedFields are the fields that a signature covers. Fields that a reader sees are
// here twice: a second one that is added later breaks the signature.
var signedFields = []string{
	"From", "From", "To", "To", "Cc", "Cc", "Subject", "Subject", "Date", "Date", "Reply-To", "Reply-To",
	"Sender", "Message-ID", "Message-ID", "In-Reply-To", "References",
	"MIME-Version", "Content-Type", "Content-Type", "Content-Transfer-Encoding",
	"List-Id", "List-Post", "List-Unsubscribe", "List-Unsubscribe-Post", "Auto-Submitted",
}

// maxHeader is the longest header that is signed.
const maxHeader = 256 << 10

// ErrVoid: the message was given up.
var ErrVoid = errors.New("dkim: the message was given up")

var (
	errNoEnd  = errors.New("dkim: the header has no end")
	errHeader = fmt.Errorf("dkim: the header is larger than %d KiB", maxHeader>>10)
)

// Signing is one message that is being signed, by each of the keys. It is used by one
// goroutine at a time, and ends with Finish or Abort. It keeps the header, and of the
// body a hash.
type Signing struct {
	keys   []*Key
	tokens chan struct{}
	plain  dot.Unstuffer
	buf    []byte

	header []byte // until it is signed
	whole  bool   // it has ended
	sum    hash.Hash
	body   *form.Body // writes to sum

	void atomic.Bool
	err  error
}

// Begin begins a message. keys is what For returned.
func (k *Keys) Begin(keys []*Key) *Signing {
	s := &Signing{keys: keys, tokens: k.tokens, sum: sha256.New()}
	s.body = form.NewBody(s.sum, form.Relaxed)
	return s
}

// Append takes the next octets of the message, in wire form and cut anywhere. It
// waits until they are hashed.
func (s *Signing) Append(run []byte) {
	if s.err != nil || len(run) == 0 {
		return
	}
	s.buf = s.plain.Append(s.buf[:0], run)
	rest := s.buf
	if !s.whole {
		rest = s.takeHeader(rest)
	}
	_, _ = s.body.Write(rest)
}

// takeHeader keeps octets until the empty line, and returns the octets after it.
func (s *Signing) takeHeader(run []byte) (rest []byte) {
	seen := max(len(s.header)-3, 0) // the end may have begun in the run before
	s.header = append(s.header, run...)
	end := bytes.Index(s.header[seen:], []byte("\r\n\r\n"))
	switch {
	case bytes.HasPrefix(s.header, []byte("\r\n")):
		end = 2
	case end >= 0:
		end += seen + 4
	}
	if end > maxHeader || end < 0 && len(s.header) > maxHeader {
		s.err, s.header = errHeader, nil
		return nil
	}
	if end < 0 {
		return nil
	}
	rest = run[len(run)-(len(s.header)-end):]
	s.header, s.whole = s.header[:end], true
	return rest
}

// Finish returns the DKIM-Signature fields, whole lines, to be put in front of the
// message. It fails for an invalid message, for example a header without an end.
func (s *Signing) Finish() (fields string, err error) {
	keys := s.keys
	s.keys = nil
	if s.err == nil && s.void.Load() {
		s.err = ErrVoid
	}
	if s.err == nil && !s.whole {
		s.err = errNoEnd
	}
	if s.err != nil {
		return "", s.err
	}
	_ = s.body.Close()
	header, err := form.ParseHeader(s.header)
	if err != nil {
		return "", err
	}
	sum := s.sum.Sum(nil)
	var b strings.Builder
	for _, key := range keys {
		if s.err = s.sign(&b, key, header, sum); s.err != nil {
			return "", s.err
		}
	}
	return b.String(), nil
}

// sign appends the field of one key.
func (s *Signing) sign(b *strings.Builder, key *Key, header *form.Header, sum []byte) error {
	field := unsigned(key, sum, time.Now())
	draft, err := form.ParseSignature([]byte(field))
	if err != nil {
		return err
	}
	hash := sha256.New()
	draft.WriteHeader(hash, header)
	signature, err := s.signature(key, hash.Sum(nil))
	if err != nil {
		return err
	}
	b.WriteString(field)
	for text := base64.StdEncoding.EncodeToString(signature); text != ""; {
		n := min(len(text), 72)
		b.WriteString("\r\n " + text[:n])
		text = text[n:]
	}
	b.WriteString("\r\n")
	return nil
}

// unsigned is the field of a key without its signature (RFC 6376 section 3.5).
func unsigned(key *Key, sum []byte, now time.Time) string {
	var b strings.Builder
	b.WriteString("DKIM-Signature: v=1; a=" + key.Algorithm() + "-sha256; c=relaxed/relaxed;\r\n" +
		" d=" + key.Domain + "; s=" + key.Selector + "; t=" + strconv.FormatInt(now.Unix(), 10) + ";\r\n" +
		" bh=" + base64.StdEncoding.EncodeToString(sum) + ";\r\n h=")
	line := len(" h=")
	for i, name := range signedFields {
		if i > 0 {
			b.WriteString(":")
			line++
		}
		if line+len(name) > 76 {
			b.WriteString("\r\n ")
			line = 1
		}
		b.WriteString(name)
		line += len(name)
	}
	b.WriteString(";\r\n b=")
	return b.String()
}

// signature signs a digest when the key has a token, but not for a message that was
// given up.
func (s *Signing) signature(key *Key, digest []byte) ([]byte, error) {
	if s.void.Load() {
		return nil, ErrVoid
	}
	s.tokens <- struct{}{}
	defer func() { <-s.tokens }()
	if key.Algorithm() == "ed25519" {
		return key.private.Sign(rand.Reader, digest, crypto.Hash(0)) // RFC 8463 section 3
	}
	return key.private.Sign(rand.Reader, digest, crypto.SHA256)
}

// Abort gives the message up.
func (s *Signing) Abort() {
	s.void.Store(true)
	s.header = nil
}
