package engine

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"postrider/codec/binarymime"
	"postrider/codec/dot"
	"postrider/codec/smtp"
	"postrider/engine/budget"
	"postrider/engine/dkim"
	"postrider/storage"
)

// A message that came as BINARYMIME, and is binary indeed, is made lines of text before
// it is stored (RFC 3030 section 3): neither POP3 nor nearly any next hop can carry it
// otherwise. It was checked as it came, so that the sender's signatures could be
// verified; ours is made for what is stored.

// conversions is how many messages are converted at once, maxConversions how many more
// may wait for that.
const (
	conversions    = 2
	maxConversions = 256
)

// maxConverted is what a draft may hold in memory that is being written: a part of the
// window that its session has booked.
const maxConverted = budget.LargeWindow / 4

// conversion is a message on its way from one draft to another. The transaction belongs
// to it until the store has it.
type conversion struct {
	t    *transaction
	keys []*dkim.Key // that sign it
	max  int64       // octets of the message; 0: no limit
}

// convert has the message, which d.Draft holds as it came, converted and delivered.
func (t *transaction) convert() {
	t.conn.srv.converters.Submit(&conversion{t: t, keys: t.out.restart(), max: t.conn.config.MaxSize})
}

// Unqueued implements conn.Job.
func (c *conversion) Unqueued() {
	c.fail(fmt.Errorf("%w: %d binary messages wait for their conversion", storage.ErrTemporary, maxConversions))
}

// fail gives the message up.
func (c *conversion) fail(err error) {
	d := &c.t.delivery
	d.Draft.Discard()
	c.t.done(d, storage.Receipt{}, err)
}

// Work implements conn.Job.
func (c *conversion) Work() {
	front, err := c.guarded()
	if err != nil {
		c.fail(err)
		return
	}
	c.t.deliverBehind(front)
}

// guarded is convert, of which a panic ends this message only.
func (c *conversion) guarded() (front string, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %w", storage.ErrTemporary, c.t.conn.srv.log.panicked("conversion of a binary message", p))
		}
	}()
	return c.convert()
}

// convert puts a draft with the converted message in the place of that of the delivery,
// and returns the fields that go in front of it.
func (c *conversion) convert() (front string, err error) {
	t, srv := c.t, c.t.conn.srv
	old := t.delivery.Draft
	var survey binarymime.Survey
	lead, err := c.read(old, survey.Write)
	if err != nil {
		return "", c.refuse(err)
	}
	plan, err := survey.End()
	if err != nil {
		return "", c.refuse(err)
	}
	w := &convertedDraft{draft: srv.store.NewDraft(0), max: c.max}
	if len(c.keys) > 0 {
		w.signing = srv.keys.Begin(c.keys)
	}
	if err := w.write(c, old, lead, plan); err != nil {
		w.draft.Discard()
		if w.signing != nil {
			w.signing.Abort()
		}
		return "", c.refuse(err)
	}
	old.Discard()
	t.delivery.Draft, t.delivery.Size = w.draft, w.lead+w.text.Counts().Size
	for _, e := range t.delivery.Relayed {
		e.Envelope.Body = smtp.Body7Bit
		if w.text.Counts().EightBit {
			e.Envelope.Body = smtp.Body8BitMIME
		}
	}
	srv.log.info(fmt.Sprintf("binary message %s converted to lines of text, parts in base64: %d, no longer valid: %s",
		old.ID(), plan.Encoded, strings.Join(append(plan.Broken[:len(plan.Broken):len(plan.Broken)], "nothing else"), ", ")),
		smtpDaemon, slog.String("id", w.draft.ID().String()))
	if w.signing == nil {
		return "", nil
	}
	fields, err := w.signing.Finish()
	return t.conn.srv.front(fields, err, w.draft.ID()), nil
}

// refuse has the client told why its message can't be converted, if it is at fault.
func (c *conversion) refuse(err error) error {
	switch {
	case errors.Is(err, binarymime.ErrLimit):
		c.t.refusal = &smtp.Reply{Code: 554, Enhanced: "5.6.3", Text: "The message is binary and can't be made lines of text (" +
			err.Error() + "); send it without BODY=BINARYMIME"}
	case errors.Is(err, errConvertedSize):
		c.t.refusal = &smtp.Reply{Code: 552, Enhanced: "5.3.4", Text: "Message size exceeds the fixed limit, with its binary parts in base64"}
	}
	return err
}

var errConvertedSize = errors.New("the message is too large once its binary parts are base64")

// read gives a draft to take, in plain form and without our Received field, which it
// returns.
func (c *conversion) read(d storage.Draft, take func(plain []byte) error) (lead []byte, err error) {
	m, err := c.t.conn.srv.store.OpenDraft(d)
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
		if n := min(len(run), c.t.lead-len(lead)); n > 0 {
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
	lines   []byte // scratch, as is wire
	wire    []byte
}

// write writes all of the message.
func (w *convertedDraft) write(c *conversion, old storage.Draft, lead []byte, plan *binarymime.Plan) error {
	id := w.draft.ID().String()
	lead = bytes.Replace(lead, []byte(old.ID().String()), []byte(id), 1)
	lead = append(lead, plan.Field(c.t.conn.config.Hostname, id)...)
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
	if w.draft.Backlog() > maxConverted {
		taken := make(chan struct{})
		w.draft.Notify(maxConverted/2, func() { close(taken) })
		<-taken
	}
	return nil
}
