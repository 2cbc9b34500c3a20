package incoming

import (
	"bytes"
	"cmp"
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

// A message that came as BINARYMIME is converted to lines of text before it is stored (RFC
// 3030 section 3). POP3 can't carry binary messages, and few next hops can. The message was
// checked before the conversion, when the sender's signatures could still be verified. Our
// signature is over the converted message.

// conversion converts a message from one draft to another. It owns the Message until the
// store has it.
type conversion struct {
	m    *Message
	keys []*dkim.Key // the keys that sign the message
	max  int64       // in octets; 0: no limit
}

// convert converts the message in delivery.Draft if it is binary, and signs the result.
func (m *Message) convert() bool {
	if m.end.Envelope.Body != smtp.BodyBinaryMIME {
		return true
	}
	c := &conversion{m: m, keys: m.header.restart(), max: m.in.MaxSize}
	m.in.Convert(c.work, c.full)
	return false
}

// full fails the message when too many messages wait already.
func (c *conversion) full() {
	c.m.fail(fmt.Errorf("%w: too many binary messages wait for conversion", storage.ErrTemporary))
}

// work runs on a pool goroutine.
func (c *conversion) work() {
	front, err := c.guarded()
	if err != nil {
		c.m.fail(err)
		return
	}
	c.m.front = front
	c.m.goOn()
}

// guarded calls convert, and returns a panic as an error: it fails this message only.
func (c *conversion) guarded() (front string, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = c.m.in.panicked("conversion of a binary message", p)
		}
	}()
	return c.convert()
}

// convert replaces the delivery's draft by one with the converted message, and returns the
// signature that goes in front.
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
		old.ID(), plan.Encoded, cmp.Or(strings.Join(plan.Broken, ", "), "nothing")),
		slog.String("daemon", "smtpd"), slog.String("id", w.draft.ID().String()))
	if w.signing == nil {
		return "", nil
	}
	fields, err := w.signing.Finish()
	return in.front(fields, err, w.draft.ID()), nil
}

// refuse sets the reply to a message that can't be converted, if the message is at fault.
func (c *conversion) refuse(err error) error {
	switch {
	case errors.Is(err, binarymime.ErrLimit):
		c.m.refused = &smtp.Reply{Code: 554, Enhanced: "5.6.3", Text: "The message is binary and can't be converted to lines of text (" +
			err.Error() + "); send it without BODY=BINARYMIME"}
	case errors.Is(err, errConvertedSize):
		c.m.refused = &smtp.Reply{Code: 552, Enhanced: "5.3.4", Text: "Message size exceeds the fixed limit, with its binary parts in base64"}
	}
	return err
}

var errConvertedSize = errors.New("the message is too large once its binary parts are base64")

// read calls take with a draft's text, in plain form and without our Received field, which
// it returns.
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

// convertedDraft is the draft with the converted message.
type convertedDraft struct {
	draft   storage.Draft
	signing *dkim.Signing // nil: there is no key
	lead    int64         // octets in our trace fields
	text    dot.Normalizer
	max     int64
	// maxBacklog is how many octets the draft may have in memory: a part of what its
	// session has booked.
	maxBacklog int64
	lines      []byte // scratch, as is wire
	wire       []byte
}

// write writes the whole message.
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

// put appends wire to the draft, and waits while the backlog is over maxBacklog.
func (w *convertedDraft) put() error {
	if w.max > 0 && w.text.Counts().Size > w.max {
		return errConvertedSize
	}
	w.draft.Append(w.wire)
	if w.signing != nil {
		w.signing.Append(w.wire)
	}
	return storage.Await(context.Background(), w.draft, w.maxBacklog) // ends also when the draft fails
}
