package screen

import (
	"bufio"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"hash"
	"io"
	"sync"
	"time"

	"postrider/codec/dkim"
)

// Signature is the outcome of one DKIM signature (RFC 6376).
type Signature struct {
	Result Result
	Domain string
	Reason string // why it does not pass
}

// maxSignatures is how many signatures of a message are checked; more are a way to
// make us work.
const maxSignatures = 8

// signature is a signature that is being checked.
type signature struct {
	outcome Signature // Result is "" as long as it may pass
	field   *dkim.Signature
	key     *dkim.Key // owned by the goroutine that looks it up, until that is done
	err     error     // why there is no key
}

// bodies are the hashes of the body, one for each canonicalization that a signature asks
// for, however many ask.
type bodies [2]struct {
	sum  hash.Hash
	body *dkim.Body
}

// signatures reads the message to its end and checks what signatures it has.
func (c *Check) signatures() (froms []string, all []Signature, err error) {
	rest := bufio.NewReaderSize(c.stream, 4<<10)
	head, err := readHead(rest, func() bool { return c.booking.grow(LargeCheck) })
	if err != nil {
		return nil, nil, err
	}
	froms = authors(head.octets)
	if head.cut {
		froms = tooManyAuthors
	}
	header, err := dkim.ParseHeader(head.octets)
	if head.large {
		err = errHead
	}
	if err != nil {
		return froms, []Signature{{Result: PermError, Reason: reason(err)}}, c.discard(rest)
	}
	found := c.find(header)
	if len(found) > smallSignatures && !c.booking.grow(LargeCheck) {
		return nil, nil, errBusy
	}
	var keys sync.WaitGroup
	for i := range found {
		if s := &found[i]; s.outcome.Result == "" {
			keys.Go(func() {
				defer c.rescue()
				s.err = errNoAnswer
				s.key, s.err = c.key(s.field, s.outcome.Domain)
			})
		}
	}
	sums, err := c.hashBody(rest, found)
	keys.Wait()
	if err != nil {
		return nil, nil, err
	}
	for i := range found {
		c.judge(&found[i], header, sums)
		all = append(all, found[i].outcome)
	}
	return froms, all, nil
}

// find reads the fields of the signatures.
func (c *Check) find(header *dkim.Header) (found []signature) {
	header.All("dkim-signature", func(field []byte) bool {
		s, err := dkim.ParseSignature(field)
		one := signature{field: s, outcome: Signature{Domain: asDomain(s.Domain)}}
		switch {
		case err != nil:
			one.outcome.Result, one.outcome.Reason = PermError, reason(err)
		case one.outcome.Domain == "":
			one.outcome.Result, one.outcome.Reason = PermError, "no domain"
		case !s.Expires.IsZero() && time.Now().After(s.Expires):
			one.outcome.Result, one.outcome.Reason = PermError, "dkim: signature has expired"
		case s.Limited: // octets added after the signed ones would pass, too
			one.outcome.Result, one.outcome.Reason = Fail, "dkim: message contains an insecure body length tag"
		}
		found = append(found, one)
		return len(found) < maxSignatures
	})
	return found
}

var errNoAnswer = errors.New("no answer from DNS") // a peer does not learn the names of our name servers

// key looks up the key of a signature; domain is its Domain in A-labels.
func (c *Check) key(s *dkim.Signature, domain string) (*dkim.Key, error) {
	texts, err := c.vetter.Names.LookupTXT(c.ctx, s.Selector+"._domainkey."+domain)
	switch {
	case err != nil && isNotFound(err):
		return nil, dkim.Permanent("no key for signature: " + err.Error())
	case err != nil:
		return nil, errNoAnswer
	case len(texts) != 1: // RFC 6376 section 3.6.2.2
		return nil, dkim.Permanent("multiple TXT records found for key")
	}
	key, err := dkim.ParseKey(texts[0])
	if err == nil && key.Algorithm() != s.Algorithm {
		return nil, dkim.Permanent("inappropriate key algorithm")
	}
	return key, err
}

// hashBody reads the body to its end, in pieces: it stops when the check is given up, or
// its time is over.
func (c *Check) hashBody(rest *bufio.Reader, found []signature) (*bodies, error) {
	sums := new(bodies)
	for i := range found {
		s := &found[i] // not a copy: the key is being looked up
		if s.outcome.Result == "" && sums[s.field.Body].sum == nil {
			sum := sha256.New()
			sums[s.field.Body].sum, sums[s.field.Body].body = sum, dkim.NewBody(sum, s.field.Body)
		}
	}
	for c.ctx.Err() == nil {
		_, err := rest.Peek(1)
		piece, _ := rest.Peek(rest.Buffered())
		for i := range sums {
			if sums[i].body != nil {
				_, _ = sums[i].body.Write(piece)
			}
		}
		_, _ = rest.Discard(len(piece))
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	for i := range sums {
		if sums[i].body != nil {
			_ = sums[i].body.Close()
		}
	}
	return sums, c.discard(rest)
}

// discard reads what is left of the message. It is the session that ends it.
func (c *Check) discard(rest io.Reader) error {
	_, err := io.Copy(io.Discard, rest)
	return err
}

// judge sets the result of a signature.
func (c *Check) judge(s *signature, header *dkim.Header, sums *bodies) {
	o := &s.outcome
	permanent := dkim.Permanent("")
	switch {
	case o.Result != "":
		return
	case c.ctx.Err() != nil, errors.Is(s.err, errNoAnswer):
		o.Result, o.Reason = TempError, errNoAnswer.Error()
		return
	case errors.As(s.err, &permanent):
		o.Result, o.Reason = PermError, reason(s.err)
		return
	}
	if subtle.ConstantTimeCompare(sums[s.field.Body].sum.Sum(nil), s.field.BodyHash) != 1 {
		o.Result, o.Reason = Fail, "dkim: body hash did not verify"
		return
	}
	sum := sha256.New()
	s.field.WriteHeader(sum, header)
	if err := s.key.Verify([sha256.Size]byte(sum.Sum(nil)), s.field.Signature); err != nil {
		o.Result, o.Reason = Fail, reason(err)
		return
	}
	o.Result = Pass
}

// reason is what is kept of an error: it may have text of a stranger's in it.
func reason(err error) string {
	text := err.Error()
	return text[:min(len(text), maxReason)]
}
