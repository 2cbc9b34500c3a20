package dkim

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// MaxNames is how many names a list in h= may have.
const MaxNames = 256

// Permanent is an error that stays: a field or a record that breaks the rules.
type Permanent string

// Error implements error.
func (p Permanent) Error() string { return "dkim: " + string(p) }

func permanent(text string) error { return Permanent(text) }

// Signature is a parsed DKIM-Signature field (RFC 6376 section 3.5).
type Signature struct {
	Domain, Selector string
	Algorithm        string // "rsa" or "ed25519"; the hash is SHA-256
	Header, Body     Canonicalization
	BodyHash         []byte
	Signature        []byte
	Limited          bool // it covers a part of the body only (l=)
	Expires          time.Time

	field    []byte // borrowed
	names    []byte // the value of h=, borrowed
	from, to int    // where the value of b= is in field
}

// tags are the tags of a list that are used, by name.
type tags map[string][]byte

// maxTags bounds the tags of a list.
const maxTags = 64

// parseTags takes a tag list apart (RFC 6376 section 3.2).
func parseTags(list []byte) (tags, error) {
	t := make(tags)
	for tag := range bytes.SplitSeq(list, []byte(";")) {
		name, value, ok := bytes.Cut(tag, []byte("="))
		name = bytes.Trim(name, white)
		if !ok && len(name) == 0 {
			continue
		}
		switch _, twice := t[string(name)]; {
		case !ok:
			return nil, permanent("malformed signature tags: a tag without =")
		case twice:
			return nil, permanent("malformed signature tags: a tag is there twice")
		case len(t) == maxTags:
			return nil, permanent("malformed signature tags: too many of them")
		}
		t[string(name)] = bytes.Trim(value, white)
	}
	return t, nil
}

// ParseSignature reads a DKIM-Signature field: name, value, and line end. The Signature
// borrows the octets. With an error, what was read before it is there, for the log.
func ParseSignature(field []byte) (*Signature, error) {
	field = bytes.TrimRight(field, "\r\n")
	s := &Signature{field: field}
	_, list, _ := bytes.Cut(field, []byte(":"))
	t, err := parseTags(list)
	if err != nil {
		return s, err
	}
	if string(t["v"]) != "1" {
		return s, permanent("incompatible signature version")
	}
	s.Domain, s.Selector = squeezed(t["d"]), squeezed(t["s"])
	for _, name := range [...]string{"a", "b", "bh", "d", "h", "s"} {
		if _, ok := t[name]; !ok {
			return s, permanent("signature missing required tag")
		}
	}
	if i, ok := t["i"]; ok && !isWithin(squeezed(i), s.Domain) {
		return s, permanent("domain mismatch")
	}
	if err := s.parseNames(t["h"]); err != nil {
		return s, err
	}
	if err := s.parseTimes(t); err != nil {
		return s, err
	}
	if q, ok := t["q"]; ok && !hasWord(q, "dns/txt") {
		return s, permanent("unsupported public key query method")
	}
	if err := s.parseMethods(t); err != nil {
		return s, err
	}
	_, s.Limited = t["l"]
	if s.BodyHash, err = base64.StdEncoding.DecodeString(squeezed(t["bh"])); err != nil {
		return s, permanent("malformed body hash: " + err.Error())
	}
	if s.Signature, err = base64.StdEncoding.DecodeString(squeezed(t["b"])); err != nil {
		return s, permanent("malformed signature: " + err.Error())
	}
	s.from, s.to = valueOf(field, "b")
	return s, nil
}

// parseNames looks at the list in h=.
func (s *Signature) parseNames(list []byte) error {
	s.names = list
	if bytes.Count(list, []byte(":")) >= MaxNames {
		return permanent(fmt.Sprintf("the signature covers more than %d fields", MaxNames))
	}
	if !hasWord(list, "from") {
		return permanent("From field not signed")
	}
	return nil
}

// parseTimes reads t= and x=.
func (s *Signature) parseTimes(t tags) error {
	if v, ok := t["t"]; ok {
		if _, err := strconv.ParseInt(squeezed(v), 10, 64); err != nil {
			return permanent("malformed time")
		}
	}
	if v, ok := t["x"]; ok {
		seconds, err := strconv.ParseInt(squeezed(v), 10, 64)
		if err != nil {
			return permanent("malformed expiration time")
		}
		s.Expires = time.Unix(seconds, 0)
	}
	return nil
}

// parseMethods reads a= and c=.
func (s *Signature) parseMethods(t tags) error {
	key, hash, ok := strings.Cut(squeezed(t["a"]), "-")
	switch {
	case !ok:
		return permanent("malformed algorithm name")
	case hash == "sha1":
		return permanent("hash algorithm too weak: sha1") // RFC 8301 section 3.1
	case hash != "sha256":
		return permanent("unsupported hash algorithm")
	case key != "rsa" && key != "ed25519":
		return permanent("unsupported key algorithm")
	}
	s.Algorithm = key
	header, body, _ := strings.Cut(squeezed(t["c"]), "/")
	var known, knownToo bool
	s.Header, known = canonicalization(header)
	s.Body, knownToo = canonicalization(body)
	if !known || !knownToo {
		return permanent("unsupported canonicalization algorithm")
	}
	return nil
}

// canonicalization reads one word of c=; without it, it is "simple".
func canonicalization(word string) (c Canonicalization, known bool) {
	switch word {
	case "relaxed":
		return Relaxed, true
	case "simple", "":
		return Simple, true
	}
	return Simple, false
}

// WriteHeader writes what the signature covers of the header, and the field itself
// without its b= (RFC 6376 section 3.7).
func (s *Signature) WriteHeader(w io.Writer, h *Header) {
	out := pieces{w: w}
	h.writeSigned(&out, s.names, s.Header)
	unsigned := append(bytes.Clone(s.field[:s.from]), s.field[s.to:]...)
	writeField(&out, unsigned, s.Header)
	out.flush()
}

// valueOf is where the value of a tag is in a field that parseTags has read.
func valueOf(field []byte, tag string) (from, to int) {
	at := bytes.IndexByte(field, ':') + 1
	for at < len(field) {
		end := len(field)
		if n := bytes.IndexByte(field[at:], ';'); n >= 0 {
			end = at + n
		}
		name, _, ok := bytes.Cut(field[at:end], []byte("="))
		if ok && string(bytes.Trim(name, white)) == tag {
			return at + len(name) + 1, end
		}
		at = end + 1
	}
	return len(field), len(field)
}

// isWithin reports whether the identity in i= is in a domain or in one below it.
func isWithin(identity, domain string) bool {
	at := strings.LastIndexByte(identity, '@')
	of, domain := strings.ToLower(identity[at+1:]), strings.ToLower(domain)
	return at >= 0 && (of == domain || strings.HasSuffix(of, "."+domain))
}

// hasWord reports whether a list with colons has a word, in any case.
func hasWord(list []byte, word string) bool {
	for w := range bytes.SplitSeq(list, []byte(":")) {
		if compareFold(bytes.Trim(w, white), []byte(word)) == 0 {
			return true
		}
	}
	return false
}

// squeezed is a value without the white space in it.
func squeezed(v []byte) string {
	b := make([]byte, 0, len(v))
	for _, c := range v {
		if strings.IndexByte(white, c) < 0 {
			b = append(b, c)
		}
	}
	return string(b)
}
