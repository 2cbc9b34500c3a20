package incoming

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"postrider/codec/dot"
	"postrider/codec/message"
	"postrider/codec/smtp"
	"postrider/engine/mail/router"
	"postrider/storage"
)

// Mail is a message that a program on this host submits, in plain form.
type Mail struct {
	Sender     string    // the reverse-path without brackets; "": the null path
	FullName   string    // the sender's full name, for a missing From field
	Recipients []string  // address lists
	FromHeader bool      // addresses in To, Cc and Bcc are recipients too
	Return     bool      // the sender gets a notification about recipients that can't get the message
	Text       io.Reader // plain form, any line ends

	Notify smtp.Notify // NOTIFY for each recipient
	Ret    smtp.Ret
	EnvID  string // xtext; "": none
	Origin string // the program and its user: see storage.Envelope
	Local  string // the same in the Received field: see message.Received
	At     time.Time

	// Daemon and Line are the first line of the log about the message: "uid=1000
	// from=<alice>" of daemon pickup.
	Daemon slog.Attr
	Line   string
	// Door and Account are for the history: sendmail or web, and the account that has signed
	// in; "": none has.
	Door, Account string
}

// Result is what Submit returns.
type Result struct {
	Receipt storage.Receipt // the zero Receipt: nothing was stored
	Sender  string          // the reverse-path, with its domain and without brackets
	Refused []Refusal

	Deliveries int   // maildrop entries that were made
	Size       int64 // octets of the stored message
}

// Refusal is a recipient that can't get the message.
type Refusal struct {
	Address string
	Outcome router.Outcome // why
}

// ErrNoRecipients is the error for a message without recipients.
var ErrNoRecipients = fmt.Errorf("%w: no recipients: name them after the command, or in To, Cc or Bcc with -t", storage.ErrInvalid)

// Submit stores m, and returns when it is durable. When all recipients are refused, it
// stores nothing and returns no error. Any goroutine may call it; it waits for the disk.
//
// From, Date and Message-ID are added when they are missing or empty, and addresses
// without a domain get the default domain (see message.Completion). Bcc, Resent-Bcc and
// Return-Path are removed. A "From " line of mbox at the very start is dropped. Nothing
// else is changed; in the body only the line ends are.
//
// With Mail.FromHeader the addresses in To, Cc and Bcc are recipients. If there are
// addresses in Resent-To, Resent-Cc or Resent-Bcc, only these are (RFC 5322 section 3.6.6).
// [ParseList] reads them.
//
// A recipient without a mailbox here is in Result.Refused. The other recipients get the
// message all the same, and the caller reports the refusal. An entry of a list that can't
// be read fails the message. Mail.Return changes both, if at least one recipient can get
// the message: the others go into the queue, where delivery fails, and the sender gets a
// notification. So a program that repeats a command after an error sends no second copy.
//
// All other faults of the message wrap storage.ErrInvalid. Errors of the store are returned
// as they are. Nothing was stored then.
func (in *Entrance) Submit(ctx context.Context, m Mail) (Result, error) {
	text := bufio.NewReaderSize(m.Text, 64<<10)
	header, err := readHeader(text, in.reserve)
	if err != nil {
		return Result{}, err
	}
	s := submission{in: in, m: &m}
	s.msg.Init(in, nil)
	if s.e, err = in.envelope(&m, header, &s.msg); err != nil {
		return Result{}, err
	}
	result := Result{Refused: s.e.refused, Sender: s.e.reverse}
	if s.e.isNowhere() {
		return result, nil
	}
	if err := in.Inbox.Admit(0); err != nil {
		return result, err
	}
	if err := s.fill(ctx, header, text); err != nil {
		s.msg.Drop()
		return result, err
	}
	if result.Receipt, err = s.store(); err == nil {
		s.msg.logStored(result.Receipt, m.Daemon, m.Line)
		s.msg.keep(result.Receipt, source{door: m.Door, origin: m.Origin, account: m.Account})
		result.Deliveries, result.Size = len(s.msg.Places.Targets), s.msg.Size()
	}
	return result, err
}

// reserve books memory with Entrance.Reserve.
func (in *Entrance) reserve(octets int64) error {
	if in.Reserve != nil && !in.Reserve(octets) {
		return fmt.Errorf("%w: no memory for the message now (limits.memory)", storage.ErrTemporary)
	}
	return nil
}

// submission is one message of Submit.
type submission struct {
	in   *Entrance
	m    *Mail
	e    *envelope
	msg  Message
	text dot.Normalizer
	head message.Head
	wire []byte
}

// fill writes the message into its draft.
func (s *submission) fill(ctx context.Context, header []byte, body io.Reader) error {
	s.msg.Open(&From{Received: message.Received{Host: s.in.Hostname, Local: s.m.Local}, Head: &s.head, At: s.m.At})
	header = s.msg.submitted(header, fromField(s.m.fromName(s.e.reverse), fromAddress(s.e.reverse, s.in.Hostname)))
	if err := s.append(ctx, s.text.Append(nil, header)); err != nil {
		return err
	}
	buf := make([]byte, 64<<10)
	for {
		n, err := body.Read(buf)
		s.wire = s.text.Append(s.wire[:0], buf[:n])
		if err == io.EOF {
			s.wire = s.text.End(s.wire)
		}
		if failed := s.append(ctx, s.wire); failed != nil {
			return failed
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// fromName and fromAddress make From for a message without one.
func (m *Mail) fromName(reverse string) string {
	if reverse == "" {
		return "Mail Delivery System"
	}
	return m.FullName
}

func fromAddress(reverse, hostname string) string { return cmp.Or(reverse, "MAILER-DAEMON@"+hostname) }

// append adds a piece in wire form, and waits while the backlog is too large.
func (s *submission) append(ctx context.Context, piece []byte) error {
	s.head.Feed(piece)
	if n := s.head.Hops(); s.in.MaxHops > 0 && n > s.in.MaxHops {
		return fmt.Errorf("%w: too many hops: the message has %d Received fields, and so is in a loop", storage.ErrInvalid, n)
	}
	if s.in.MaxSize > 0 && s.text.Counts().Size+int64(s.msg.lead) > s.in.MaxSize {
		return fmt.Errorf("%w: the message is larger than %d octets (smtp.max_size)", storage.ErrInvalid, s.in.MaxSize)
	}
	s.msg.Append(piece)
	if err := ctx.Err(); err != nil {
		return err
	}
	return storage.Await(ctx, &s.msg, cmp.Or(s.in.MaxBacklog, maxBacklog))
}

// maxBacklog is how many octets may be in memory before a message's reader waits.
const maxBacklog = 4 << 20

// store finishes the message and waits until it is durable.
func (s *submission) store() (storage.Receipt, error) {
	c := s.text.Counts()
	end := End{Envelope: s.e.envelope, Size: c.Size}
	end.Envelope.Body = smtp.Body7Bit
	if c.EightBit {
		end.Envelope.Body = smtp.Body8BitMIME
	}
	r, err := s.msg.wait(func() { s.msg.Finish(&end) })
	if errors.Is(err, storage.ErrNotFound) { // an account was removed meanwhile: route the recipients again
		err = fmt.Errorf("%w: %w", storage.ErrTemporary, err)
	}
	return r, err
}
