package agent

import (
	"bytes"
	"io"
	"strings"

	"postrider/engine/edge/dns"
	"postrider/engine/protocol/smtpclient"
	"postrider/storage"
)

// need is an answer that is looked for once an attempt.
type need uint8

const (
	unknown need = iota
	needed
	notNeeded
)

// needsUTF8 says whether the message has UTF-8 in its header, and so can go to hosts
// with SMTPUTF8 only (RFC 6531 section 3.2). The client's word alone does not count:
// many clients say SMTPUTF8 wherever it is offered, of messages that are ASCII. What
// the paths of the transaction need is smtpclient's to see.
func (t *try) needsUTF8() bool {
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

// headerIsWide says whether the header of an entry's message has an octet over 127.
// A message that can't be read gets the client's word.
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
	text int // octets of the line so far, without its end
}

// scan looks at the next piece and says whether the answer is known: an octet was
// found, or the empty line that ends the header.
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

// asciiPath is a path with its domain in A-labels, for hosts without SMTPUTF8; "":
// it is ASCII as it is, or its local part is not.
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

// transaction fills in what the machine is to send.
func (w *wire) transaction(entry *storage.QueueEntry, to []int, utf8 bool) {
	env := &entry.Envelope
	w.tx = smtpclient.Transaction{
		ReversePath: env.ReversePath, ASCIIReversePath: asciiPath(env.ReversePath),
		Size: entry.Size(), Body: env.Body, SMTPUTF8: utf8,
		Ret: env.Ret, EnvID: env.EnvID, Recipients: w.tx.Recipients[:0],
	}
	for _, i := range to {
		r := &entry.Recipients[i]
		w.tx.Recipients = append(w.tx.Recipients, smtpclient.Recipient{
			ForwardPath: r.ForwardPath, ASCIIPath: asciiPath(r.ForwardPath), ORcpt: r.ORcpt, Notify: r.Notify,
		})
	}
}
