package engine

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"time"

	"postrider/codec/message"
	"postrider/codec/smtp"
	"postrider/engine/budget"
	"postrider/engine/dkim"
	"postrider/storage"
)

// outgoing is what becomes of a message of our own people besides being stored: its
// header is completed (see message.Completion), and it is signed. The signature is
// in front of it (see storage.Envelope.Front), so it may be made when the end is there,
// and no message is held up for it.
//
// Until the header has ended its octets are kept, up to maxHeld of them, and the draft
// does not have them. A header that is longer refuses the message if it would have to be
// completed, and else is passed on as it is, without a signature. What is signed goes
// to a dkim.Stream, which counts against the window of the session as the draft does.
type outgoing struct {
	on      bool // the client is one of our own
	decided bool // the header has ended, or is too long
	held    []byte
	grown   int64 // octets by which the message is longer than what came
	stream  *dkim.Stream
	signers []*dkim.Key // of stream
	when    time.Time
	id      storage.MessageID
	refusal *smtp.Reply // of the message, at its end: its octets go nowhere
}

// maxHeld is the longest header that is looked at. It is a part of the window.
const maxHeld = budget.LargeWindow / 4

// begin starts over, with the draft.
func (o *outgoing) begin(s *smtpConn) {
	own := s.srv.capture == 0 && (s.m.Account() != "" || s.mayRelay && (o.completes(s) || !s.srv.keys.None()))
	*o = outgoing{on: own, when: s.tx.arrival, id: s.tx.draft.ID()}
}

// completes tells whether the header of a message is completed if no other server has
// had it. That of a program on relay.networks is when the message goes to other hosts;
// what stays here is kept octet for octet.
func (o *outgoing) completes(s *smtpConn) bool {
	return s.m.Account() != "" || s.srv.cfg.Relay.CompleteHeader && len(s.tx.places.Relayed) > 0
}

// append takes the next octets of the message, and gives them to the draft.
func (o *outgoing) append(run []byte, s *smtpConn) {
	switch {
	case o.refusal != nil:
	case !o.on:
		s.tx.draft.Append(run)
	case o.decided:
		o.pass(run, s)
	case s.m.Transaction().Head.Done() || len(o.held)+len(run) > maxHeld:
		o.held = append(o.held, run...)
		o.decide(s)
	default:
		o.held = append(o.held, run...)
	}
}

// pass gives octets to the draft, and to the signature if there is to be one.
func (o *outgoing) pass(run []byte, s *smtpConn) {
	s.tx.draft.Append(run)
	if o.stream != nil {
		o.stream.Append(run)
	}
}

// decide comes when the header is there, at the front of what is held: its last octets
// came in one run with the first of the body.
func (o *outgoing) decide(s *smtpConn) {
	o.decided = true
	head := &s.m.Transaction().Head
	held := o.held
	o.held = nil
	if !head.Done() || head.Octets() > min(maxHeld, int64(len(held))) {
		if o.lacks(head, s) {
			o.refusal = &headerTooLong
			return
		}
		o.pass(held, s)
		return
	}
	text := o.complete(held, head, s)
	signs, refusal := s.vouches(text)
	if o.refusal = refusal; refusal != nil {
		return
	}
	if signs {
		o.sign(text, s)
	}
	o.pass(text, s)
}

// headerTooLong is said to a message whose header would have to be completed and is not
// kept: it would leave with its Bcc field.
var headerTooLong = smtp.Reply{Code: 552, Enhanced: "5.3.4", Text: fmt.Sprintf("The header of the message is longer than %d octets", maxHeld)}

// lacks tells whether the header is to be completed. What is relayed for a network of ours
// is, if no other server has had it.
func (o *outgoing) lacks(head *message.Head, s *smtpConn) bool {
	return o.completes(s) && (s.m.Account() != "" || head.Hops() == 0)
}

// complete gives a header what it must have, with what follows it.
func (o *outgoing) complete(held []byte, head *message.Head, s *smtpConn) []byte {
	if !o.lacks(head, s) {
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
	c := message.Completion{
		Domain: s.srv.cfg.DefaultDomain(), From: "<" + cmp.Or(o.author(s), "MAILER-DAEMON@"+s.config.Hostname) + ">", Date: o.when,
		MessageID: o.when.UTC().Format("20060102150405") + "." + o.id.String() + "@" + s.config.Hostname,
	}
	full := append(c.Append(make([]byte, 0, len(held)+256), header), "\r\n"...)
	full = append(full, body...)
	o.grown = int64(len(full) - len(held))
	return full
}

// author is the address for a From field that is missing.
func (o *outgoing) author(s *smtpConn) string { return cmp.Or(string(s.tx.reverse), s.m.Account()) }

// sign begins the signature by the domain that answers for the message, if there is a key
// of it: that of From, as the message has it now, or else of the reverse-path.
func (o *outgoing) sign(text []byte, s *smtpConn) {
	if s.srv.keys.None() {
		return // finding the author costs as much as all else that is done here
	}
	author := o.author(s)
	if f, ok := message.Find(text, "From"); ok {
		v := f.Unfolded()
		author = message.Address(v[:min(len(v), maxAuthorField)])
	}
	if keys := s.srv.keys.Author(author); keys != nil {
		o.stream, o.signers = s.srv.keys.Stream(keys), keys
	}
}

// backlog is the octets that are kept and not hashed yet.
func (o *outgoing) backlog() int64 {
	n := int64(len(o.held))
	if o.stream != nil {
		n += o.stream.Backlog()
	}
	return n
}

// finish comes with the end of the message, before it is known whether it is refused.
func (o *outgoing) finish(s *smtpConn) {
	if !o.on || o.decided {
		return
	}
	o.decided = true
	held := o.held
	o.held = nil
	text := o.complete(held, &s.m.Transaction().Head, s) // nothing but a header
	if _, o.refusal = s.vouches(text); o.refusal == nil {
		o.pass(text, s)
	}
}

// end calls then with what stands in front of the message, on this goroutine or on
// another. A message that can't be signed goes without a signature: so it is a worse
// message, and not a lost one.
func (o *outgoing) end(s *smtpConn, then func(front string)) {
	if o.stream == nil {
		then("")
		return
	}
	stream, id := o.stream, o.id
	o.stream = nil
	stream.Finish(func(fields string, err error) { then(s.srv.front(fields, err, id)) })
}

// front is the text that goes before a message: its signature, unless that failed.
func (srv *Server) front(signature string, err error, id storage.MessageID) string {
	if err == nil && len(signature) > storage.MaxSignature {
		err = errors.New("the signatures are too long")
	}
	if err != nil {
		srv.log.Warn("a message goes out without a DKIM signature", "id", id.String(), "err", err)
		return ""
	}
	return signature
}

// restart gives up what was hashed of a message that is not stored as it came, and
// returns the keys that make its signature.
func (o *outgoing) restart() (keys []*dkim.Key) {
	if o.stream != nil {
		keys = o.signers
		o.stream.Abort()
		o.stream = nil
	}
	return keys
}

// drop forgets the message.
func (o *outgoing) drop() {
	if o.stream != nil {
		o.stream.Abort()
	}
	*o = outgoing{}
}

// notify calls f when what the writer and the signature have not taken yet is at most
// mark.
func (t *transaction) notify(mark int64, f func()) {
	stream := t.out.stream
	if stream == nil {
		t.draft.Notify(mark, f)
		return
	}
	t.draft.Notify(mark/2, func() { stream.Notify(mark/2, f) })
}
