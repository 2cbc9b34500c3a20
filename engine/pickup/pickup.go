package pickup

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"postrider/codec/dot"
	"postrider/codec/message"
	"postrider/codec/smtp"
	"postrider/engine/dkim"
	"postrider/engine/router"
	"postrider/storage"
)

// Pickup knows where mail goes and what it may be. It is safe for use by many
// goroutines.
type Pickup struct {
	Inbox         storage.Inbox
	Router        *router.Router
	Hostname      string // of this host, for Received and Message-ID
	DefaultDomain string // of addresses without one
	MaxSize       int64  // octets of a message; 0: no limit
	MaxRecipients int    // 0: no limit
	MaxHops       int    // Received fields of a message; 0: no limit
	// Keys sign what is handed in, by the domain of its From field; nil: nothing is
	// signed.
	Keys *dkim.Keys
	// Capture is the account that gets all mail in capture mode; 0: there is none.
	Capture storage.AccountID
	// Reserve is asked before a message takes so much more memory; nil: it is not
	// counted.
	Reserve func(octets int64) bool
	// MaxBacklog is what a message may have in memory before its reader waits; 0: 4 MiB.
	MaxBacklog int64
}

// Mail is a message that a program hands in.
type Mail struct {
	Sender     string    // the reverse-path without brackets; "": the null path
	FullName   string    // the sender's, for a From field that is missing
	Recipients []string  // lists of addresses
	FromHeader bool      // those that the header names are recipients too
	Return     bool      // the sender is told by mail of recipients who can't get the message
	Text       io.Reader // plain form, any line ends

	Notify smtp.Notify // of each recipient
	Ret    smtp.Ret
	EnvID  string // xtext; "": not said
	Origin string // who handed it in, for people: see storage.Envelope
	Local  string // the same in the Received field: see message.Received
	At     time.Time
}

// Result is what became of a message.
type Result struct {
	Receipt storage.Receipt // the zero Receipt: nothing was stored
	Sender  string          // the reverse-path, with its domain and without brackets
	Refused []Refusal
}

// Refusal is a recipient who can't get the message.
type Refusal struct {
	Address string
	Outcome router.Outcome // why
}

// ErrNoRecipients: the message says nowhere whom it is for.
var ErrNoRecipients = fmt.Errorf("%w: no recipients: name them after the command, or in To, Cc or Bcc with -t", storage.ErrInvalid)

// Submit stores m. When all recipients are refused nothing is stored, and that is
// no error.
func (p *Pickup) Submit(ctx context.Context, m Mail) (Result, error) {
	in := bufio.NewReaderSize(m.Text, 64<<10)
	header, err := readHeader(in, p.reserve)
	if err != nil {
		return Result{}, err
	}
	e, err := p.envelope(&m, header)
	if err != nil {
		return Result{}, err
	}
	result := Result{Refused: e.refused, Sender: e.reverse}
	if len(e.places.Targets)+len(e.places.Relayed) == 0 {
		return result, nil
	}
	if err := p.Inbox.Admit(0); err != nil {
		return result, err
	}
	s := submission{p: p, m: &m, e: e, draft: p.Inbox.NewDraft(0)}
	if err := s.fill(ctx, header, in); err != nil {
		s.draft.Discard()
		if s.signing != nil {
			s.signing.Abort()
		}
		return result, err
	}
	result.Receipt, err = s.deliver(ctx)
	return result, err
}

// reserve asks for memory.
func (p *Pickup) reserve(octets int64) error {
	if p.Reserve != nil && !p.Reserve(octets) {
		return fmt.Errorf("%w: there is no memory for the message now (limits.memory)", storage.ErrTemporary)
	}
	return nil
}

// submission is one message on its way into the store.
type submission struct {
	p     *Pickup
	m     *Mail
	e     *envelope
	draft storage.Draft
	text  dot.Normalizer
	head  message.Head
	wire  []byte
	size  int64 // of the Received field

	signing *dkim.Signing // nil: no key for it
}

// fill writes the message into the draft.
func (s *submission) fill(ctx context.Context, header []byte, body io.Reader) error {
	id := s.draft.ID()
	field := message.Received{Host: s.p.Hostname, Local: s.m.Local, ID: id.AppendTo(nil), At: s.m.At}
	if len(s.e.paths) == 1 && !(s.e.utf8 && len(s.e.places.Relayed) > 0) {
		field.For = []byte(s.e.paths[0])
	}
	s.wire = message.AppendReceived(nil, field)
	s.size = int64(len(s.wire))
	s.draft.Append(s.wire)
	c := message.Completion{
		Domain: s.p.DefaultDomain, From: fromField(s.fromName(), s.fromAddress()), Date: s.m.At,
		MessageID: s.m.At.UTC().Format("20060102150405") + "." + id.String() + "@" + s.p.Hostname,
	}
	header = append(c.Append(nil, header), "\r\n"...)
	s.sign(header)
	if err := s.append(ctx, s.text.Append(s.wire[:0], header)); err != nil {
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

// sign begins the signature of a message with this header, in plain form.
func (s *submission) sign(header []byte) {
	from, ok := message.Find(header, "From")
	if s.p.Keys == nil || s.p.Capture != 0 || !ok {
		return
	}
	if keys := s.p.Keys.Author(message.Address(from.Unfolded())); keys != nil {
		s.signing = s.p.Keys.Begin(keys)
	}
}

// front is what stands before the message: its signature, if there is one.
func (s *submission) front() (string, error) {
	if s.signing == nil {
		return "", nil
	}
	front, err := s.signing.Finish()
	if err != nil {
		return "", fmt.Errorf("%w: the message can't be signed: %w", storage.ErrInvalid, err)
	}
	return front, nil
}

// fromName and fromAddress are the From field of a message that has none.
func (s *submission) fromName() string {
	if s.e.reverse == "" {
		return "Mail Delivery System"
	}
	return s.m.FullName
}

func (s *submission) fromAddress() string {
	if s.e.reverse == "" {
		return "MAILER-DAEMON@" + s.p.Hostname
	}
	return s.e.reverse
}

// append hands a piece to the draft and holds up while the store is behind.
func (s *submission) append(ctx context.Context, piece []byte) error {
	s.head.Feed(piece)
	if n := s.head.Hops(); s.p.MaxHops > 0 && n > s.p.MaxHops {
		return fmt.Errorf("%w: the message has %d Received fields: it goes round in a loop", storage.ErrInvalid, n)
	}
	if s.p.MaxSize > 0 && s.text.Counts().Size+s.size > s.p.MaxSize {
		return fmt.Errorf("%w: the message is larger than %d octets (smtp.max_size)", storage.ErrInvalid, s.p.MaxSize)
	}
	s.draft.Append(piece)
	if s.signing != nil {
		s.signing.Append(piece)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return storage.Await(ctx, s.draft, cmp.Or(s.p.MaxBacklog, maxBacklog))
}

// maxBacklog is what a message may have in memory before its reader waits.
const maxBacklog = 4 << 20

// deliver waits until the message is durable.
func (s *submission) deliver(ctx context.Context) (storage.Receipt, error) {
	front, err := s.front()
	if err != nil {
		s.draft.Discard()
		return storage.Receipt{}, err
	}
	c := s.text.Counts()
	for _, q := range s.e.places.Relayed {
		q.Envelope.Front += front
		q.Envelope.Body = smtp.Body7Bit
		if c.EightBit {
			q.Envelope.Body = smtp.Body8BitMIME
		}
	}
	recipients := s.e.places.Maildrops(s.e.reverse, front)
	for i := range recipients {
		recipients[i].Trace = append(recipients[i].Trace, s.e.taken...)
	}
	r, err := storage.Put(ctx, s.p.Inbox, &storage.Delivery{
		Draft: s.draft, Arrival: s.m.At, Size: s.size + c.Size, Recipients: recipients, Relayed: s.e.places.Relayed,
	})
	if errors.Is(err, storage.ErrNotFound) { // an account was removed meanwhile: ask again who it is
		err = fmt.Errorf("%w: %w", storage.ErrTemporary, err)
	}
	return r, err
}
