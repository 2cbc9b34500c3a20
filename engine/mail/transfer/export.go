package transfer

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"postrider/codec/mbox"
	"postrider/codec/mbrain"
	"postrider/codec/message"
	"postrider/engine/mail/entity"
	"postrider/storage"
)

// Export writes the account's mail, as it is now, into dir, under FileName. The
// count is right on an error too, but then there is no file with that name.
func Export(ctx context.Context, from Source, account storage.Account, dir string, o Options) (Count, error) {
	out, err := create(dir, FileName(account, o), o)
	if err != nil {
		return Count{}, err
	}
	defer out.abandon()
	view, err := from.View(account.ID)
	if err != nil {
		return Count{}, fmt.Errorf("export of %s: %w", account.Name, err)
	}
	defer view.Close()
	x := exporter{o: o, account: account, view: view, out: out}
	for view.Next() {
		if err := ctx.Err(); err != nil {
			return x.count, err
		}
		if err := x.one(); err != nil {
			return x.count, fmt.Errorf("export of %s, message %d: %w", account.Name, x.count.Messages+1, err)
		}
		o.progress(x.count)
	}
	if err := view.Err(); err != nil {
		return x.count, fmt.Errorf("export of %s, after message %d: %w", account.Name, x.count.Messages, err)
	}
	if err := x.writeList(); err != nil {
		return x.count, fmt.Errorf("export of %s: %w", account.Name, err)
	}
	return x.count, out.commit()
}

// exporter is one export under way.
type exporter struct {
	o       Options
	account storage.Account
	view    storage.View
	out     *output
	count   Count
	uidls   []byte         // list of a folder's messages
	in      *bufio.Reader  // over the message; kept for its buffer
	piece   [32 << 10]byte // scratch of copy, as are text and buf
	text    []byte
	buf     []byte
	lines   unixLines
	mbox    mbox.Writer
	mbrain  mbrain.Writer
}

// one writes the message that the view is at.
func (x *exporter) one() error {
	m, err := x.view.Open()
	if err != nil {
		return err
	}
	defer m.Close()
	e, c := m.Entry(), storage.NewPlain(m)
	switch x.o.Format {
	case Mbox:
		err = x.mboxMessage(e, c)
	case Maildir, EML:
		err = x.file(e, c)
	default:
		err = x.entry(m.Entry(), c)
	}
	if err != nil {
		return err
	}
	x.count.Messages++
	x.count.Octets += e.Octets()
	return nil
}

func (x *exporter) mboxMessage(e storage.Entry, c *storage.Plain) error {
	sender := ""
	if f, ok := message.Find(e.Trace, "Return-Path"); ok {
		sender = string(bytes.Trim(f.Unfolded(), "<>"))
	}
	x.begin(c)
	top, _ := x.in.Peek(maxHeader)
	x.mbox.OwnLength = mbox.HasLength(top)
	x.buf = x.mbox.Begin(x.buf[:0], sender, e.Arrival)
	err := x.copy(x.in, func(dst, run []byte) []byte { return x.mbox.Append(dst, run) }, true)
	if err != nil {
		return err
	}
	_, err = x.out.Write(x.mbox.End(nil))
	return err
}

// begin makes x.in read a message from its header on.
func (x *exporter) begin(c *storage.Plain) {
	if x.in == nil {
		x.in = bufio.NewReaderSize(nil, maxHeader)
	}
	x.in.Reset(c)
}

// file writes a message as a file of its own.
func (x *exporter) file(e storage.Entry, c *storage.Plain) error {
	name := e.ID.String() + ".eml"
	if x.o.Format == Maildir {
		name = fmt.Sprintf("new/%d.%s.postrider", e.Arrival.Unix(), e.ID)
	}
	if err := x.out.next(name); err != nil {
		return err
	}
	x.list(name, e)
	x.buf = x.buf[:0]
	err := x.copy(c, func(dst, run []byte) []byte { return append(dst, run...) }, x.o.Format == Maildir)
	if err != nil {
		return err
	}
	return x.out.finish(e.Arrival)
}

// list adds a file to the list of unique-ids. That of a Maildir is dovecot-uidlist, so that
// Dovecot keeps them too.
func (x *exporter) list(name string, e storage.Entry) {
	var uidl [storage.MaxUIDL]byte
	if x.o.Format == Maildir {
		x.uidls = fmt.Appendf(x.uidls, "%d P%s :%s\n", x.count.Messages+1, e.AppendUIDL(uidl[:0]), strings.TrimPrefix(name, "new/"))
		return
	}
	if len(e.UIDL) > 0 { // else it is the name
		x.uidls = fmt.Appendf(x.uidls, "%s %s\n", name, e.UIDL)
	}
}

// writeList writes the list of unique-ids that a folder has.
func (x *exporter) writeList() error {
	name, head := "", ""
	switch x.o.Format {
	case Maildir:
		name, head = dovecotList, fmt.Sprintf("3 V%d N%d\n", time.Now().Unix(), x.count.Messages+1)
	case EML:
		name = ownMap
	default:
		return nil
	}
	if x.o.Format == EML && len(x.uidls) == 0 {
		return nil
	}
	if err := x.out.next(name); err != nil {
		return err
	}
	_, err := x.out.Write(append([]byte(head), x.uidls...))
	return errors.Join(err, x.out.closeFile(false))
}

// entry writes a message as a text entry.
func (x *exporter) entry(e storage.Entry, c *storage.Plain) error {
	x.begin(c)
	header := splitHeader(x.in)
	if err := c.Err(); err != nil {
		return err
	}
	raw := x.o.Format == RawText
	x.buf = x.mbrain.Begin(x.buf[:0], x.entryOf(e, header, raw))
	var text io.Reader = x.in
	if !raw {
		var err error
		if text, err = newLetter(x.in); err != nil {
			return err
		}
	}
	err := x.copy(text, func(dst, run []byte) []byte { return x.mbrain.Append(dst, run) }, !raw)
	if err == nil {
		err = c.Err()
	}
	if err != nil {
		return err
	}
	_, err = x.out.Write(x.mbrain.End(nil))
	return err
}

// entryOf is the header lines of a message.
func (x *exporter) entryOf(e storage.Entry, header []byte, raw bool) mbrain.Entry {
	to := mbrain.Entry{
		From:    shortAddress(senderOf(e, header), x.o.DefaultDomain),
		To:      shortAddress(x.account.Name+"@"+x.account.Domain, x.o.DefaultDomain),
		Date:    entity.Printable(rawValue(header, "Date")),
		Subject: subjectOf(header),
	}
	if raw {
		to.Raw, to.Octets, to.Arrived, to.UIDL = true, e.Octets(), e.Arrival, string(e.AppendUIDL(nil))
	}
	return to
}

// senderOf returns the sender of a message: its From field, else its reverse-path,
// else MAILER-DAEMON, as for mail without a sender.
func senderOf(e storage.Entry, header []byte) string {
	for _, from := range []struct {
		text []byte
		name string
	}{{header, "From"}, {e.Trace, "Return-Path"}, {header, "Return-Path"}} {
		f, ok := message.Find(from.text, from.name)
		if !ok {
			continue
		}
		if addr := strings.Trim(message.Address(f.Unfolded()), "<>"); addr != "" {
			return addr
		}
	}
	return "MAILER-DAEMON"
}

// copy writes what in gives through form to the output, after what is in x.buf.
func (x *exporter) copy(in io.Reader, form func(dst, run []byte) []byte, unix bool) error {
	x.lines = unixLines{}
	for {
		n, err := in.Read(x.piece[:])
		run := x.piece[:n]
		if unix {
			x.text = x.lines.Append(x.text[:0], run)
			run = x.text
		}
		x.buf = form(x.buf, run)
		if err == io.EOF {
			if unix {
				x.buf = form(x.buf, x.lines.Flush(nil))
			}
			_, err := x.out.Write(x.buf)
			return err
		}
		if err != nil {
			return err
		}
		if _, err := x.out.Write(x.buf); err != nil {
			return err
		}
		x.buf = x.buf[:0]
	}
}
