package engine

import (
	"cmp"
	"errors"
	"time"

	"postrider/codec/message"
	"postrider/engine/dkim"
	"postrider/storage"
)

// outgoing is what becomes of a message of our own people besides being stored: the
// fields that it lacks, and its signature. Both stand in front of it (see
// storage.Envelope.Front), so they may be made when the end is there, and no message
// is held up for them.
//
// What is signed depends on the From field: until the header has ended its octets are
// kept, up to maxHeld of them. Then they go to a dkim.Stream, which counts against the
// window of the session as the draft does.
type outgoing struct {
	on      bool // the client is one of our own
	decided bool // the header has ended, or is too long
	held    []byte
	added   []byte // fields that were missing
	stream  *dkim.Stream
	signers []*dkim.Key // of stream
	when    time.Time
	id      storage.MessageID
}

// maxHeld is the longest header that is looked at. It is a part of the window.
const maxHeld = largeWindow / 4

// begin starts over, with the draft.
func (o *outgoing) begin(s *smtpConn) {
	*o = outgoing{on: s.srv.capture == 0 && (s.mayRelay || s.m.Account() != ""), when: s.tx.arrival, id: s.tx.draft.ID()}
}

// append takes the next octets of the message.
func (o *outgoing) append(run []byte, s *smtpConn) {
	switch {
	case !o.on:
	case o.decided:
		o.sign(run)
	case s.m.Transaction().Head.Done() || len(o.held)+len(run) > maxHeld:
		o.decide(s)
		o.sign(run)
	default:
		o.held = append(o.held, run...)
	}
}

// sign gives the signature the next octets, if there is to be one.
func (o *outgoing) sign(run []byte) {
	if o.stream != nil {
		o.stream.Append(run)
	}
}

// decide comes when the header is there: the last of it is in the run at hand, and most
// headers are in one.
func (o *outgoing) decide(s *smtpConn) {
	o.decided = true
	if head := &s.m.Transaction().Head; head.Done() && head.Octets() <= maxHeld {
		o.complete(head, s)
		if keys := o.keys(head, s); keys != nil {
			o.stream, o.signers = s.srv.keys.Stream(keys), keys
			o.stream.Append(o.added)
			o.stream.Append(o.held)
		}
	}
	o.held = nil
}

// keys are those that sign the message.
func (o *outgoing) keys(head *message.Head, s *smtpConn) []*dkim.Key {
	if s.srv.keys.None() {
		return nil // finding the author costs as much as all else that is done here
	}
	return s.srv.keys.Author(o.signer(head, s))
}

// complete makes the fields that a message must have (RFC 5322 section 3.6) and one
// that it should have, which RFC 6409 section 8 has us add for an account.
func (o *outgoing) complete(head *message.Head, s *smtpConn) {
	if s.m.Account() == "" {
		return
	}
	if head.MessageID() == nil {
		o.added = append(o.added, "Message-ID: <"+o.when.UTC().Format("20060102150405")+"."+o.id.String()+"@"+s.port.config.Hostname+">\r\n"...)
	}
	if head.Date() == nil {
		o.added = o.when.AppendFormat(append(o.added, "Date: "...), "Mon, 2 Jan 2006 15:04:05 -0700")
		o.added = append(o.added, "\r\n"...)
	}
	if head.From() == nil {
		o.added = append(o.added, "From: <"+o.author(s)+">\r\n"...)
	}
}

// author is the address for a From field that is missing.
func (o *outgoing) author(s *smtpConn) string { return cmp.Or(string(s.tx.reverse), s.m.Account()) }

// signer is the address whose domain answers for the message: that of From if the account may
// write under it, else that of the reverse-path. A network that may relay is believed.
func (o *outgoing) signer(head *message.Head, s *smtpConn) string {
	from := o.author(s)
	if v := head.From(); v != nil {
		if a := message.Address(v); s.m.Account() == "" || s.srv.cfg.Submission.AnySender || s.srv.owns(s.account(), a) {
			from = a
		}
	}
	return from
}

// backlog is the octets that are kept and not hashed yet.
func (o *outgoing) backlog() int64 {
	n := int64(len(o.held))
	if o.stream != nil {
		n += o.stream.Backlog()
	}
	return n
}

// end calls then with what stands in front of the message, on this goroutine or on
// another. A message that can't be signed goes without a signature: so it is a worse
// message, and not a lost one.
func (o *outgoing) end(s *smtpConn, then func(front string)) {
	if o.on && !o.decided {
		o.complete(&s.m.Transaction().Head, s) // nothing but a header
	}
	added := string(o.added)
	o.held, o.added = nil, nil
	if o.stream == nil {
		then(added)
		return
	}
	stream, id := o.stream, o.id
	o.stream = nil
	stream.Finish(func(fields string, err error) { then(s.srv.front(fields, added, err, id)) })
}

// front is what stands in front of a message: its signature, unless that failed, and the
// fields that were added.
func (srv *Server) front(signature, added string, err error, id storage.MessageID) string {
	if err == nil && len(signature)+len(added) > storage.MaxFront {
		err = errors.New("the signatures are too long")
	}
	if err != nil {
		srv.log.Warn("a message goes out without a DKIM signature", "id", id.String(), "err", err)
		signature = ""
	}
	return signature + added
}

// restart gives up what was hashed of a message that is not stored as it came, and
// returns what makes its signature: the fields that stand in front of it, and the keys.
func (o *outgoing) restart(s *smtpConn) (added []byte, keys []*dkim.Key) {
	if o.on && !o.decided {
		o.complete(&s.m.Transaction().Head, s) // nothing but a header
	}
	added = o.added
	o.held, o.added = nil, nil
	if o.stream != nil {
		keys = o.signers
		o.stream.Abort()
		o.stream = nil
	}
	return added, keys
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
