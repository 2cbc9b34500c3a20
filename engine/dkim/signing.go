package dkim

import (
	"crypto"
	"errors"
	"io"
	"strings"
	"sync/atomic"

	"github.com/emersion/go-msgauth/dkim"

	"postrider/codec/dot"
)

// signedFields are the fields that a signature covers. Those that a reader sees stand
// here twice: a second one that somebody adds breaks the signature.
var signedFields = []string{
	"From", "From", "To", "To", "Cc", "Cc", "Subject", "Subject", "Date", "Date", "Reply-To", "Reply-To",
	"Sender", "Message-ID", "Message-ID", "In-Reply-To", "References",
	"MIME-Version", "Content-Type", "Content-Type", "Content-Transfer-Encoding",
	"List-Id", "List-Post", "List-Unsubscribe", "List-Unsubscribe-Post", "Auto-Submitted",
}

// ErrVoid: the message was given up.
var ErrVoid = errors.New("dkim: the message was given up")

// Signing is one message that is being signed, by each of the keys. It is used by one
// goroutine at a time, and ends with Finish or Abort.
type Signing struct {
	signers []*dkim.Signer
	plain   dot.Unstuffer
	buf     []byte
	void    atomic.Bool
	err     error
}

// Begin begins a message. keys is what For returned.
func (k *Keys) Begin(keys []*Key) *Signing {
	s := new(Signing)
	for _, key := range keys {
		signer, err := dkim.NewSigner(&dkim.SignOptions{
			Domain: key.Domain, Selector: key.Selector, Signer: &tokened{key.private, k.tokens, &s.void},
			HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed,
			HeaderKeys: signedFields,
		})
		if err != nil {
			s.err = err
			break
		}
		s.signers = append(s.signers, signer)
	}
	return s
}

// Append takes the next octets of the message, in wire form and cut anywhere. It
// waits until they are hashed.
func (s *Signing) Append(run []byte) {
	if s.err != nil || len(run) == 0 {
		return
	}
	s.buf = s.plain.Append(s.buf[:0], run)
	if len(s.buf) == 0 {
		return
	}
	for _, signer := range s.signers {
		if _, err := signer.Write(s.buf); err != nil {
			s.err = err
			return
		}
	}
}

// Finish returns the DKIM-Signature fields, whole lines, to be put in front of the
// message. It fails for what is no message, a header without an end for example.
func (s *Signing) Finish() (fields string, err error) {
	var b strings.Builder
	for _, signer := range s.signers {
		if err := signer.Close(); err != nil {
			s.err = errors.Join(s.err, err)
			continue
		}
		b.WriteString(signer.Signature())
	}
	s.signers = nil
	if s.err != nil {
		return "", s.err
	}
	return b.String(), nil
}

// Abort gives the message up.
func (s *Signing) Abort() {
	s.void.Store(true)
	_, _ = s.Finish()
}

// tokened is a key that signs when it has a token, and not at all for a message that
// was given up.
type tokened struct {
	crypto.Signer
	tokens chan struct{}
	void   *atomic.Bool
}

// Sign implements crypto.Signer.
func (t *tokened) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if t.void.Load() {
		return nil, ErrVoid
	}
	t.tokens <- struct{}{}
	defer func() { <-t.tokens }()
	return t.Signer.Sign(rand, digest, opts)
}
