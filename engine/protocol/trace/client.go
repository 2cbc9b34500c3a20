package trace

import (
	"bytes"

	"postrider/codec/pop3"
	"postrider/codec/smtp"
)

// smtp is a command line of SMTP as it is shown, and whether what follows has to be hidden.
func (d *Dialogue) smtp(line []byte) (shown string, hide bool) {
	if d.data && string(line) == "." { // the end of a message without an octet
		d.data = false
		return ".", false
	}
	verb, arg := smtp.ParseVerb(line)
	d.data = verb == smtp.Data
	switch verb {
	case smtp.Auth:
		return auth([]byte("AUTH"), arg), true
	case smtp.Unknown, smtp.HTTP:
		return notShown("a command that is unknown"), false
	case smtp.Data:
		return clean(line), true // the octets of the message, if they are sent with it
	case smtp.Bdat:
		if size, _, refused := smtp.ParseBdat(arg); refused == nil {
			d.chunk = size
		}
	}
	return clean(line), false
}

// kind is what the server sends after the +OK to a command of POP3.
type kind uint8

const (
	single kind = iota
	listing
	message
)

// maxPending is how many commands are remembered that have no reply yet.
const maxPending = 256

// pop3 is a command line of POP3 as it is shown, and whether what follows has to be hidden.
func (d *Dialogue) pop3(line []byte) (shown string, hide bool) {
	word, args, _ := bytes.Cut(line, []byte{' '})
	c, _ := pop3.Parse(line)
	of := single
	shown = clean(line)
	switch c.Verb {
	case pop3.Unknown:
		shown = notShown("a command that is unknown")
	case pop3.PASS:
		shown = notShown(string(word))
	case pop3.USER, pop3.APOP:
		shown = firstOnly(word, args)
	case pop3.AUTH:
		shown, hide = auth(word, bytes.TrimSpace(args)), true
		if len(bytes.TrimSpace(args)) == 0 {
			of, hide = listing, false
		}
	case pop3.RETR, pop3.TOP:
		of = message
	case pop3.CAPA:
		of = listing
	case pop3.LIST, pop3.UIDL:
		if len(bytes.TrimSpace(args)) == 0 {
			of = listing
		}
	}
	if len(d.pending) < maxPending {
		d.pending = append(d.pending, of)
	}
	return shown, hide
}

// firstOnly is a command with its first argument; what follows may be a secret.
func firstOnly(word, args []byte) string {
	name, _, more := bytes.Cut(args, []byte{' '})
	text := clean(word) + " " + clean(name)
	if more {
		return notShown(text)
	}
	return text
}
