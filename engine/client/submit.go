package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"postrider/codec/smtp"
	"postrider/engine/protocol/smtpclient"
)

// Envelope has the sender and the recipients of a message.
type Envelope struct {
	From string   // address without brackets
	To   []string // the same; Bcc's too
	// Size is the octets of the message, for hosts with a limit (RFC 1870).
	Size int64
	UTF8 bool // an address in the header is beyond ASCII
	// EightBit: the message has octets over 127.
	EightBit bool
}

// Refusal is a recipient that the host did not take.
type Refusal struct {
	To        string
	Reply     string // one line, printable
	Temporary bool   // later it may be taken
}

// Submit sends a message, in plain form, to the host (RFC 6409). Refusals has
// the recipients that were refused, maybe all of them; err is what kept all of them
// from being tried. An error with ErrRefused is about the login. After
// ErrDoubt the host may have the message.
func Submit(ctx context.Context, h *Host, env Envelope, message io.ReadSeeker) (refusals []Refusal, err error) {
	s, err := connect(ctx, h)
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.conn.Close() }()
	s.message = message
	// A host may take fewer recipients at once: the others come in transactions of
	// their own. Each takes or refuses one at least.
	for left := env.To; len(left) > 0; {
		if _, err := message.Seek(0, io.SeekStart); err != nil {
			return refusals, err
		}
		again, more, err := s.send(env.transaction(left))
		if got := len(env.To) - len(left) - len(refusals); err != nil && got > 0 {
			err = fmt.Errorf("sent to %d of %d recipients, then: %w", got, len(env.To), err)
		}
		refusals = append(refusals, more...)
		if err != nil || len(again) == len(left) {
			return refusals, err
		}
		left = again
	}
	s.quit()
	return refusals, nil
}

func (env *Envelope) transaction(to []string) *smtpclient.Transaction {
	tx := &smtpclient.Transaction{ReversePath: env.From, Size: env.Size, SMTPUTF8: env.UTF8, Body: smtp.Body7Bit}
	if env.EightBit {
		tx.Body = smtp.Body8BitMIME
	}
	for _, path := range to {
		tx.Recipients = append(tx.Recipients, smtpclient.Recipient{ForwardPath: path})
	}
	return tx
}

// ErrDoubt: the whole message was sent, and no reply came.
var ErrDoubt = errors.New("the whole message was sent and no reply came: the host may have it or not")

// submission is a session with a host.
type submission struct {
	ctx     context.Context
	host    *Host
	conn    net.Conn
	message io.ReadSeeker
	config  smtpclient.Config
	m       smtpclient.Session
	e       smtpclient.Effects
	in      []byte // read and not yet consumed
	failed  error  // error of the message's reader
	// The mechanism of SASL that was used; "": no login.
	mechanism string
}

// connect begins a session: the machine has not yet read the greeting.
func connect(ctx context.Context, h *Host) (*submission, error) {
	c, err := h.dial(ctx)
	if err != nil {
		return nil, err
	}
	s := &submission{ctx: ctx, host: h, conn: c}
	s.config = smtpclient.Config{Helo: helo(c.LocalAddr()), Choose: s.choose}
	if h.Security == StartTLS {
		s.config.TLS = smtpclient.TLSMust
	}
	s.m.Init(&s.config)
	return s, nil
}

// TrySubmission connects, logs in and takes leave: no message is sent. how is what the
// session was, as POP3.How.
func TrySubmission(ctx context.Context, h *Host) (how string, err error) {
	s, err := connect(ctx, h)
	if err != nil {
		return "", err
	}
	defer func() { _ = s.conn.Close() }()
	for s.m.Waiting() != smtpclient.WaitNothing {
		s.flush()
		if s.e.StartTLS {
			s.startTLS()
			continue
		}
		s.receive()
	}
	if fault, is := s.m.Fault(); is {
		return "", s.blame(fault)
	}
	s.quit()
	return described(s.conn, s.mechanism), nil
}

// helo is what we are called: the address of this end (RFC 5321 section 4.1.3), for a
// program like this has no name that means anything.
func helo(local net.Addr) string {
	t, ok := local.(*net.TCPAddr)
	switch {
	case !ok:
		return "localhost"
	case t.IP.To4() != nil:
		return "[" + t.IP.String() + "]"
	}
	return "[IPv6:" + t.IP.String() + "]"
}

// choose picks the mechanism of SASL. Without a user there is no login.
func (s *submission) choose(offered []string) (*smtpclient.Exchange, error) {
	if s.host.User == "" {
		return nil, nil
	}
	x, err := s.host.choose(offered, s.conn)
	if err != nil {
		return nil, err
	}
	if x == nil {
		return nil, errors.New("the host offers no login by SCRAM-SHA-256, PLAIN or LOGIN, and a user is set for it")
	}
	s.mechanism = x.mechanism
	return &smtpclient.Exchange{Mechanism: x.mechanism, Initial: x.initial, Respond: x.respond, Proven: x.proven}, nil
}

// send makes one transaction. again are the recipients that were too many for it.
func (s *submission) send(tx *smtpclient.Transaction) (again []string, refusals []Refusal, err error) {
	s.e.Reset()
	s.m.Begin(tx, &s.e)
	o := s.run()
	if s.failed != nil {
		return nil, nil, fmt.Errorf("the message can't be read: %w", s.failed)
	}
	if fault, is := s.m.Fault(); is {
		if fault.Verb == "AUTH" {
			return nil, nil, s.blame(fault)
		}
		if o.Doubt {
			return nil, nil, fmt.Errorf("%s: %w (%s)", s.host.Addr, ErrDoubt, Printable(fault.Reply))
		}
		if s.ctx.Err() != nil {
			return nil, nil, s.ctx.Err()
		}
		if all(o.Results, func(r smtpclient.Result) bool { return r.Scope == smtpclient.ScopeHost }) {
			return nil, nil, s.blame(fault)
		}
	}
	for i, r := range o.Results {
		switch {
		case r.Again:
			again = append(again, tx.Recipients[i].ForwardPath)
		case r.Verdict != smtpclient.Delivered:
			refusals = append(refusals, Refusal{tx.Recipients[i].ForwardPath, Printable(r.Reply), r.Verdict == smtpclient.Temporary})
		}
	}
	return again, refusals, nil
}

// blame is the fault of a host as an error.
func (s *submission) blame(fault smtpclient.Result) error {
	if fault.Verb == "AUTH" {
		return fmt.Errorf("%s: %w: %s", s.host.Addr, ErrRefused, Printable(fault.Reply))
	}
	return fmt.Errorf("%s: %s", s.host.Addr, Printable(fault.Reply))
}

func all(results []smtpclient.Result, is func(smtpclient.Result) bool) bool {
	for _, r := range results {
		if !is(r) {
			return false
		}
	}
	return true
}
