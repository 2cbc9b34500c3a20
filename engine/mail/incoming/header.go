package incoming

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"postrider/codec/message"
	"postrider/codec/smtp"
	"postrider/engine/mail/dkim"
	"postrider/storage"
)

// header completes the header of a message from our own users (see message.Completion), and
// signs the message. The signature goes in front of the message (see
// storage.Envelope.Front). So it can be made at the end, and no message waits for it.
//
// The header's octets are held until it has ended, up to Entrance.MaxHeld of them, and
// the draft does not have them. A longer header is passed on as it is, without a signature;
// if it would have to be completed, the message is refused. A dkim.Stream gets what is
// signed, and counts in Backlog like the draft.
type header struct {
	own     bool // the message is from one of our own users or networks
	decided bool // the header has ended, or is too long
	account storage.AccountID
	user    string // the account's name; "": no login
	id      storage.MessageID
	held    []byte
	grown   int64 // octets that completing has added
	stream  *dkim.Stream
	signers []*dkim.Key // stream's keys
	refusal *smtp.Reply // refuses the message at its end; its octets are dropped
}

// begin starts over, once the draft is there.
func (h *header) begin(m *Message, f *From) {
	*h = header{account: f.Account, user: f.User, id: m.draft.ID()}
	h.own = m.in.Capture == 0 && (h.user != "" || m.mayRelay && (m.completes() || m.in.hasKeys()))
}

// backlog is how many octets are held or not hashed yet.
func (h *header) backlog() int64 {
	n := int64(len(h.held))
	if h.stream != nil {
		n += h.stream.Backlog()
	}
	return n
}

// drop resets header and ends the signature.
func (h *header) drop() {
	if h.stream != nil {
		h.stream.Abort()
	}
	*h = header{}
}

// completes reports whether the header may be completed: after a login, and with
// CompleteHeader from a network that may relay if the message goes to other hosts. A message
// from such a network to maildrops is stored octet for octet.
func (m *Message) completes() bool {
	return m.header.user != "" || m.in.CompleteHeader && m.Relays()
}

// lacks reports whether the header is to be completed. Without a login it is not if the
// message has a Received field: another server has had it.
func (m *Message) lacks() bool {
	return m.completes() && (m.header.user != "" || m.head.Hops() == 0)
}

// pass gives octets to the draft, and to the signature if there is one.
func (m *Message) pass(run []byte) {
	m.draft.Append(run)
	if s := m.header.stream; s != nil {
		s.Append(run)
	}
}

// decide is called when the header has ended or is too long. held may end with octets from
// the body, if one run had both.
func (m *Message) decide() {
	h := &m.header
	h.decided = true
	held := h.held
	h.held = nil
	if !m.head.Done() || m.head.Octets() > min(m.in.MaxHeld, int64(len(held))) {
		if m.lacks() {
			h.refusal = &smtp.Reply{Code: 552, Enhanced: "5.3.4", Text: fmt.Sprintf("The header of the message is longer than %d octets", m.in.MaxHeld)}
			return // else it would be relayed with its Bcc field
		}
		m.pass(held)
		return
	}
	m.passHeader(held, true)
}

// finishHeader decides about a message without a body, and refuses a message for its header.
func (m *Message) finishHeader() bool {
	h := &m.header
	if h.own && !h.decided {
		h.decided = true
		held := h.held
		h.held = nil
		m.passHeader(held, false)
	}
	if h.refusal != nil {
		return m.refuse(h.refusal)
	}
	return true
}

// passHeader completes and passes on what is held, if the account may use its From and
// Sender.
func (m *Message) passHeader(held []byte, signs bool) {
	h := &m.header
	text := m.complete(held)
	may, refusal := m.mayWrite(text)
	if h.refusal = refusal; refusal != nil {
		return
	}
	if signs && may {
		m.beginSignature(text)
	}
	m.pass(text)
}

// submitted completes the header of Submit and adds its empty line. Submit gives the header
// as a whole, and allows any From.
func (m *Message) submitted(header []byte, from string) []byte {
	h := &m.header
	h.own, h.decided = m.in.Capture == 0, true
	c := m.in.completion(h.id.String(), m.host, m.Arrival, from)
	header = append(c.Append(nil, header), "\r\n"...)
	if h.own {
		m.beginSignature(header)
	}
	return header
}

// complete adds the missing fields to the header in held, and returns it with the octets
// after it.
func (m *Message) complete(held []byte) []byte {
	if !m.lacks() {
		return held
	}
	header := held
	for {
		_, rest, ok := message.Next(header)
		if !ok {
			header = held[:len(held)-len(rest)]
			break
		}
		header = rest
	}
	body := held[len(header):]
	if plain, ok := bytes.CutSuffix(header, []byte("\r\n\r\n")); ok {
		header = header[:len(plain)+2]
	} else if string(header) == "\r\n" {
		header = nil
	}
	c := m.in.completion(m.header.id.String(), m.host, m.Arrival, fromField("", fromAddress(m.author(), m.host)))
	full := append(c.Append(make([]byte, 0, len(held)+256), header), "\r\n"...)
	full = append(full, body...)
	m.header.grown = int64(len(full) - len(held))
	return full
}

// completion has the From, Date and Message-ID for a header without them. host is the name
// of this host in Message-ID.
func (in *Entrance) completion(id, host string, at time.Time, from string) message.Completion {
	return message.Completion{
		Domain: in.DefaultDomain, From: from, Date: at,
		MessageID: at.UTC().Format("20060102150405") + "." + id + "@" + host,
	}
}

// author is the address for a missing From field.
func (m *Message) author() string { return cmp.Or(string(m.Reverse), m.header.user) }

// beginSignature begins the signature, if there is a key for the domain in text's From
// field, or without From for the reverse-path's domain.
func (m *Message) beginSignature(text []byte) {
	if !m.in.hasKeys() {
		return // finding the author costs as much as the rest
	}
	author := m.author()
	if f, ok := message.Find(text, "From"); ok {
		v := f.Unfolded()
		author = message.Address(v[:min(len(v), maxAuthorField)])
	}
	if keys := m.in.Keys.Author(author); keys != nil {
		m.header.stream, m.header.signers = m.in.Keys.Stream(keys), keys
	}
}

// sign waits for the signature, if there is one. A message that can't be signed is delivered
// without a signature.
func (m *Message) sign() bool {
	stream := m.header.stream
	if stream == nil {
		return true
	}
	m.header.stream = nil
	stream.Finish(func(fields string, err error) {
		m.front = m.in.front(fields, err, m.header.id)
		m.goOn()
	})
	return false
}

// front returns the text in front of a message: the signature, or "" if signing failed.
func (in *Entrance) front(signature string, err error, id storage.MessageID) string {
	if err == nil && len(signature) > storage.MaxSignature {
		err = errors.New("the signatures are too long")
	}
	if err != nil {
		in.log().Warn("a message goes out without a DKIM signature", slog.String("id", id.String()), slog.Any("err", err))
		return ""
	}
	return signature
}

// restart ends the signature over a message that will be converted, and returns the keys for
// the signature of the result.
func (h *header) restart() (keys []*dkim.Key) {
	if h.stream != nil {
		keys = h.signers
		h.stream.Abort()
		h.stream = nil
	}
	return keys
}
