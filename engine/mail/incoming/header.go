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

// header is what is done to a message of our own people besides being stored: its
// header is completed (see message.Completion), and it is signed. The signature is
// in front of it (see storage.Envelope.Front), so it may be made when the end is there,
// and no message is held up for it.
//
// Until the header has ended its octets are kept, up to Entrance.MaxHeld of them, and the
// draft does not have them. A header that is longer refuses the message if it would have to
// be completed, and else is passed on as it is, without a signature. What is signed goes
// to a dkim.Stream, which counts in Backlog as the draft does.
type header struct {
	own     bool // the client is one of our own
	decided bool // the header has ended, or is too long
	account storage.AccountID
	user    string // "": no login
	id      storage.MessageID
	held    []byte
	grown   int64 // octets by which the message is longer than what came
	stream  *dkim.Stream
	signers []*dkim.Key // of stream
	refusal *smtp.Reply // of the message, at its end: its octets go nowhere
}

// begin starts over, with the draft.
func (h *header) begin(m *Message, f *From) {
	*h = header{account: f.Account, user: f.User, id: m.draft.ID()}
	h.own = m.in.Capture == 0 && (h.user != "" || m.mayRelay && (m.completes() || m.in.hasKeys()))
}

// backlog is the octets that are kept and not hashed yet.
func (h *header) backlog() int64 {
	n := int64(len(h.held))
	if h.stream != nil {
		n += h.stream.Backlog()
	}
	return n
}

// drop forgets the message.
func (h *header) drop() {
	if h.stream != nil {
		h.stream.Abort()
	}
	*h = header{}
}

// completes tells whether the header of a message is completed if no other server has
// had it. That of a program on a network that may relay is when the message goes to other
// hosts; what stays here is kept octet for octet.
func (m *Message) completes() bool {
	return m.header.user != "" || m.in.CompleteHeader && m.Relays()
}

// lacks tells whether the header is to be completed. What is relayed for a network of ours
// is, if no other server has had it.
func (m *Message) lacks() bool {
	return m.completes() && (m.header.user != "" || m.head.Hops() == 0)
}

// pass gives octets to the draft, and to the signature if there is to be one.
func (m *Message) pass(run []byte) {
	m.draft.Append(run)
	if s := m.header.stream; s != nil {
		s.Append(run)
	}
}

// decide comes when the header is there, at the front of what is held: its last octets
// came in one run with the first of the body.
func (m *Message) decide() {
	h := &m.header
	h.decided = true
	held := h.held
	h.held = nil
	if !m.head.Done() || m.head.Octets() > min(m.in.MaxHeld, int64(len(held))) {
		if m.lacks() {
			h.refusal = &smtp.Reply{Code: 552, Enhanced: "5.3.4", Text: fmt.Sprintf("The header of the message is longer than %d octets", m.in.MaxHeld)}
			return // it would leave with its Bcc field
		}
		m.pass(held)
		return
	}
	m.passHeader(held, true)
}

// EndHeader decides about a message that is nothing but a header, and returns why the
// message is refused for what its header says; nil: it is not. It comes before Finish, at
// the end of the message.
func (m *Message) EndHeader() *smtp.Reply {
	h := &m.header
	if h.own && !h.decided {
		h.decided = true
		held := h.held
		h.held = nil
		m.passHeader(held, false)
	}
	return h.refusal
}

// passHeader passes on what is held, completed, if the account may write what it says.
func (m *Message) passHeader(held []byte, signs bool) {
	h := &m.header
	text := m.complete(held)
	vouched, refusal := m.vouches(text)
	if h.refusal = refusal; refusal != nil {
		return
	}
	if signs && vouched {
		m.beginSignature(text)
	}
	m.pass(text)
}

// submitted is the header of Submit, completed and with its empty line. It was given as a
// whole, and the account may write it.
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

// complete gives a header what it must have, with what follows it.
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

// completion is what a header is given: From, Date and Message-ID, if it has none. host is
// the name of this host in it.
func (in *Entrance) completion(id, host string, at time.Time, from string) message.Completion {
	return message.Completion{
		Domain: in.DefaultDomain, From: from, Date: at,
		MessageID: at.UTC().Format("20060102150405") + "." + id + "@" + host,
	}
}

// author is the address for a From field that is missing.
func (m *Message) author() string { return cmp.Or(string(m.Reverse), m.header.user) }

// beginSignature begins the signature by the domain that answers for the message, if there
// is a key of it: that of From, as the message has it now, or else of the reverse-path.
func (m *Message) beginSignature(text []byte) {
	if !m.in.hasKeys() {
		return // finding the author costs as much as all else that is done here
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

// sign finishes the signature and delivers, on this goroutine or on another. A message
// that can't be signed goes without a signature: so it is a worse message, and not a lost
// one.
func (m *Message) sign() {
	stream := m.header.stream
	if stream == nil {
		m.deliver("")
		return
	}
	m.header.stream = nil
	stream.Finish(func(fields string, err error) { m.deliver(m.in.front(fields, err, m.header.id)) })
}

// front is the text that goes before a message: its signature, unless that failed.
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

// restart gives up what was hashed of a message that is not stored as it came, and
// returns the keys that make its signature.
func (h *header) restart() (keys []*dkim.Key) {
	if h.stream != nil {
		keys = h.signers
		h.stream.Abort()
		h.stream = nil
	}
	return keys
}
