package incoming

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"postrider/codec/binarymime"
	"postrider/codec/dot"
	"postrider/codec/smtp"
	"postrider/engine/mail/dkim"
	"postrider/storage"
)

// A message that came as BINARYMIME, and is binary indeed, is made lines of text before
// it is stored (RFC 3030 section 3): neither POP3 nor nearly any next hop can carry it
// otherwise. It was checked as it came, so that the sender's signatures could be
// verified; ours is made for what is stored.

// conversion is a message on its way from one draft to another. The Message belongs
// to it until the store has it.
type conversion struct {
	m    *Message
	keys []*dkim.Key // that sign it
	max  int64       // octets of the message; 0: no limit
}

// convert has the message, which delivery.Draft holds as it came, converted and delivered.
func (m *Message) convert() {
	c := &conversion{m: m, keys: m.header.restart(), max: m.in.MaxSize}
	m.in.Convert(c.work, c.full)
}

// full comes when too many messages wait already.
func (c *conversion) full() {
	c.m.fail(fmt.Errorf("%w: too many binary messages wait for their conversion", storage.ErrTemporary))
}

// work runs on a goroutine of the pool.
func (c *conversion) work() {
	front, err := c.guarded()
	if err != nil {
		c.m.fail(err)
		return
	}
	c.m.deliver(front)
}

// guarded is convert, of which a panic ends this message only.
func (c *conversion) guarded() (front string, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = c.m.in.panicked("conversion of a binary message", p)
		}
	}()
	return c.convert()
}

// convert puts a draft with the converted message in the place of that of the delivery,
// and returns the fields that go in front of it.
func (c *conversion) convert() (front string, err error) {
	m, in := c.m, c.m.in
	old := m.delivery.Draft
	var survey binarymime.Survey
	lead, err := c.read(old, survey.Write)
	if err != nil {
		return "", c.refuse(err)
	}
	plan, err := survey.End()
	if err != nil {
		return "", c.refuse(err)
	}
	w := &convertedDraft{draft: in.Inbox.NewDraft(0), max: c.max, maxBacklog: in.MaxHeld}
	if len(c.keys) > 0 {
		w.signing = in.Keys.Begin(c.keys)
	}
	if err := w.write(c, old, lead, plan); err != nil {
		w.draft.Discard()
		if w.signing != nil {
			w.signing.Abort()
		}
		return "", c.refuse(err)
	}
	old.Discard()
	m.delivery.Draft, m.delivery.Size = w.draft, w.lead+w.text.Counts().Size
	for _, e := range m.delivery.Relayed {
		e.Envelope.Body = smtp.Body7Bit
		if w.text.Counts().EightBit {
			e.Envelope.Body = smtp.Body8BitMIME
		}
	}
	in.log().Info(fmt.Sprintf("binary message %s converted to lines of text, parts in base64: %d, no longer valid: %s",
		old.ID(), plan.Encoded, strings.Join(append(plan.Broken[:len(plan.Broken):len(plan.Broken)], "nothing else"), ", ")),
		slog.String("daemon", "smtpd"), slog.String("id", w.draft.ID().String()))
	if w.signing == nil {
		return "", nil
	}
	fields, err := w.signing.Finish()
	return in.front(fields, err, w.draft.ID()), nil
}

// refuse has the client told why its message can't be converted, if it is at fault.
func (c *conversion) refuse(err error) error {
	switch {
	case errors.Is(err, binarymime.ErrLimit):
		c.m.refusal = &smtp.Reply{Code: 554, Enhanced: "5.6.3", Text: "The message is binary and can't be made lines of text (" +
			err.Error() + "); send it without BODY=BINARYMIME"}
	case errors.Is(err, errConvertedSize):
		c.m.refusal = &smtp.Reply{Code: 552, Enhanced: "5.3.4", Text: "Message size exceeds the fixed limit, with its binary parts in base64"}
	}
	return err
}

var errConvertedSize = errors.New("the message is too large once its binary parts are base64")

// read gives a draft to take, in plain form and without our Received field, which it
// returns.
func (c *conversion) read(d storage.Draft, take func(plain []byte) error) (lead []byte, err error) {
	m, err := c.m.in.Drafts.OpenDraft(d)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	var undo dot.Unstuffer
	var buf []byte
	for {
		piece, err := m.Next()
		if err == io.EOF {
			return lead, nil
		}
		if err != nil {
			return nil, err
		}
		buf = undo.Append(buf[:0], piece)
		run := buf
		if n := min(len(run), c.m.lead-len(lead)); n > 0 {
			lead, run = append(lead, run[:n]...), run[n:]
		}
		if err := take(run); err != nil {
			return nil, err
		}
	}
}

// convertedDraft is the draft that is written.
type convertedDraft struct {
	draft   storage.Draft
	signing *dkim.Signing // nil: there is no key
	lead    int64         // octets of our trace fields
	text    dot.Normalizer
	max     int64
	// maxBacklog is what it may have in memory: a part of what its session has booked.
	maxBacklog int64
	lines      []byte // scratch, as is wire
	wire       []byte
}

// write writes all of the message.
func (w *convertedDraft) write(c *conversion, old storage.Draft, lead []byte, plan *binarymime.Plan) error {
	id := w.draft.ID().String()
	lead = bytes.Replace(lead, []byte(old.ID().String()), []byte(id), 1)
	lead = append(lead, plan.Field(c.m.host, id)...)
	w.lead = int64(len(lead))
	w.draft.Append(lead)
	in := binarymime.NewConverter(plan)
	_, err := c.read(old, func(plain []byte) error {
		w.lines = in.Append(w.lines[:0], plain)
		w.wire = w.text.Append(w.wire[:0], w.lines)
		return w.put()
	})
	if err != nil {
		return err
	}
	w.lines = in.End(w.lines[:0])
	w.wire = w.text.End(w.text.Append(w.wire[:0], w.lines))
	return w.put()
}

// put appends what is in wire, and waits while the store's writer has too much to write.
func (w *convertedDraft) put() error {
	if w.max > 0 && w.text.Counts().Size > w.max {
		return errConvertedSize
	}
	w.draft.Append(w.wire)
	if w.signing != nil {
		w.signing.Append(w.wire)
	}
	return storage.Await(context.Background(), w.draft, w.maxBacklog) // a draft that fails lets it go on
}
