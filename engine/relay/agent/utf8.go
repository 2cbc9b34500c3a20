package agent

import (
	"bytes"
	"io"
	"strings"

	"postrider/engine/edge/dns"
	"postrider/engine/protocol/smtpclient"
	"postrider/storage"
)

// need is a yes or no that an attempt finds out at most once.
type need uint8

const (
	unknown need = iota
	needed
	notNeeded
)

// needsUTF8 reports whether the message has UTF-8 in its header, and so can go only to
// hosts with SMTPUTF8 (RFC 6531 section 3.2). SMTPUTF8 in the client's MAIL command is not
// enough: many clients send it wherever it is offered, also for ASCII messages. Package
// smtpclient checks the transaction's paths.
func (t *attempt) needsUTF8() bool {
	if !t.entry.Envelope.SMTPUTF8 {
		return false
	}
	if t.utf8 == unknown {
		t.utf8 = notNeeded
		if t.c.headerIsWide(t.entry) {
			t.utf8 = needed
		}
	}
	return t.utf8 == needed
}

// headerIsWide reports whether the header of an entry's message has an octet over 127. It
// returns true for a message that can't be read.
func (c *Courier) headerIsWide(e *storage.QueueEntry) bool {
	m, err := c.store.OpenQueued(e)
	if err != nil {
		return true
	}
	defer m.Close()
	var h headerScan
	for {
		piece, err := m.Next()
		if err != nil {
			return err != io.EOF
		}
		if h.scan(piece) {
			return h.wide
		}
	}
}

// headerScan looks for octets over 127 in a header that comes in pieces, with lines
// that end with CRLF.
type headerScan struct {
	wide bool
	text int // octets in the line so far, without its end
}

// scan looks at the next piece and reports whether the answer is known: it has found an
// octet over 127, or the empty line that ends the header.
func (h *headerScan) scan(piece []byte) bool {
	for len(piece) > 0 {
		line := piece
		end := bytes.IndexByte(piece, '\n')
		if end >= 0 {
			line = piece[:end]
		}
		for _, c := range line {
			if c >= 0x80 {
				h.wide = true
				return true
			}
			if c != '\r' {
				h.text++
			}
		}
		if end < 0 {
			return false
		}
		if h.text == 0 {
			return true
		}
		h.text, piece = 0, piece[end+1:]
	}
	return false
}

// asciiPath returns a path with its domain in A-labels, for hosts without SMTPUTF8. It
// returns "" for a path that is ASCII already, or whose local part is not.
func asciiPath(path string) string {
	local, domain, ok := cutDomain(path)
	if !ok || isASCII(domain) || !isASCII(local) {
		return ""
	}
	domain, ok = dns.ALabels(domain)
	if !ok {
		return ""
	}
	return local + "@" + domain
}

// cutDomain cuts a path at its last "@": an earlier one is in a quoted local part.
func cutDomain(path string) (local, domain string, ok bool) {
	at := strings.LastIndexByte(path, '@')
	if at < 0 {
		return path, "", false
	}
	return path[:at], path[at+1:], true
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// transaction fills in the transaction that the machine will send.
func (p *peer) transaction(entry *storage.QueueEntry, to []int, utf8 bool) {
	env := &entry.Envelope
	p.tx = smtpclient.Transaction{
		ReversePath: env.ReversePath, ASCIIReversePath: asciiPath(env.ReversePath),
		Size: entry.Size(), Body: env.Body, SMTPUTF8: utf8,
		Ret: env.Ret, EnvID: env.EnvID, Recipients: p.tx.Recipients[:0],
	}
	for _, i := range to {
		r := &entry.Recipients[i]
		p.tx.Recipients = append(p.tx.Recipients, smtpclient.Recipient{
			ForwardPath: r.ForwardPath, ASCIIPath: asciiPath(r.ForwardPath), ORcpt: r.ORcpt, Notify: r.Notify,
		})
	}
}
