package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Load is a load of messages by SMTP. Addr, Sessions, Messages, To and Wire must
// be set. The functions are called from all sessions at once.
type Load struct {
	Addr     string
	Sessions int
	// Messages is the number in all, numbered from 0; 0: until the context ends.
	Messages int
	// PerConnection is the number after which a session says QUIT and connects
	// anew; 0: one connection for all.
	PerConnection int
	Mode          Mode
	From          string
	// To returns the recipients of message n.
	To func(n int) []string
	// Wire returns message n in wire form without the terminating dot. It is read
	// only, so all messages may share one slice.
	Wire func(n int) []byte
	// Accepted, unless nil, hears of each 250 before its session goes on.
	Accepted func(n int, reply Reply)
}

// Run sends the load and returns when the last session is over. The error joins
// what went wrong in the sessions; the report is right all the same. A message
// that the server refuses is counted and isn't an error.
func (l Load) Run(ctx context.Context) (Report, error) {
	var (
		total Report
		errs  []error
		mu    sync.Mutex // guards total and errs
		next  atomic.Int64
		wg    sync.WaitGroup
	)
	begin := time.Now()
	for range l.Sessions {
		wg.Go(func() {
			s := sender{load: l, ctx: ctx, next: &next}
			err := s.run()
			mu.Lock()
			defer mu.Unlock()
			total.add(s.report)
			if err != nil {
				errs = append(errs, err)
			}
		})
	}
	wg.Wait()
	total.Elapsed = time.Since(begin)
	return total, errors.Join(errs...)
}

// sender is one session of a load.
type sender struct {
	load   Load
	ctx    context.Context
	next   *atomic.Int64 // the number of the next message, for all sessions
	report Report
}

// take claims the next message.
func (s *sender) take() (n int, ok bool) {
	if s.ctx.Err() != nil {
		return 0, false
	}
	n = int(s.next.Add(1) - 1)
	return n, s.load.Messages == 0 || n < s.load.Messages
}

func (s *sender) run() error {
	for n, ok := s.take(); ok; {
		c, err := DialSMTP(s.load.Addr)
		if err != nil {
			return err
		}
		if s.load.Mode == Pipelined {
			n, ok, err = s.pipelined(c, n)
		} else {
			n, ok, err = s.step(c, n)
		}
		if err != nil {
			c.Close()
			return err
		}
		if err := c.Quit(); err != nil {
			return fmt.Errorf("QUIT: %w", err)
		}
	}
	return nil
}

// more claims the next message unless this connection has had its share, which
// is told by last; the claimed message is then the first of the next connection.
func (s *sender) more(sent int) (n int, last, ok bool) {
	n, ok = s.take()
	return n, !ok || sent == s.load.PerConnection, ok
}

// step sends message n and those after it over c. It returns the message that
// the next connection begins with.
func (s *sender) step(c *SMTPConn, n int) (int, bool, error) {
	for sent := 1; ; sent++ {
		wire := s.load.Wire(n)
		begin := time.Now()
		reply, err := c.Deliver(s.load.From, s.load.To(n), wire)
		if err != nil {
			return 0, false, err
		}
		s.note(n, reply, len(wire), time.Since(begin))
		next, last, ok := s.more(sent)
		if last {
			return next, ok, nil
		}
		n = next
	}
}

// pipelined is step with one wait for each envelope and one for each message:
// the envelope of a message goes out with the dot of the one before it
// (RFC 2920 section 3.1: DATA must end a group, the dot need not).
func (s *sender) pipelined(c *SMTPConn, n int) (int, bool, error) {
	if err := c.Send(s.envelope(nil, n)); err != nil {
		return 0, false, err
	}
	var out []byte
	for sent := 1; ; sent++ {
		refusal, err := s.envelopeReplies(c, n)
		if err != nil {
			return 0, false, err
		}
		next, last, ok := s.more(sent)
		wire := s.load.Wire(n)
		out = out[:0]
		if refusal == nil {
			out = append(append(out, wire...), ".\r\n"...)
		} else {
			out = append(out, "RSET\r\n"...)
		}
		if !last {
			out = s.envelope(out, next)
		}
		begin := time.Now()
		if err := c.Send(out); err != nil {
			return 0, false, err
		}
		reply, err := c.ReadReply()
		if err != nil {
			return 0, false, err
		}
		if refusal != nil {
			reply = *refusal
		}
		s.note(n, reply, len(wire), time.Since(begin))
		if last {
			return next, ok, nil
		}
		n = next
	}
}

// envelope appends the commands of message n.
func (s *sender) envelope(dst []byte, n int) []byte {
	dst = append(append(append(dst, "MAIL FROM:<"...), s.load.From...), ">\r\n"...)
	for _, rcpt := range s.load.To(n) {
		dst = append(append(append(dst, "RCPT TO:<"...), rcpt...), ">\r\n"...)
	}
	return append(dst, "DATA\r\n"...)
}

// envelopeReplies reads the replies to an envelope. When any command but DATA is
// refused and DATA is not, the data phase is ended by sending nothing: RFC 2920
// section 3.1 has the server fail it with 554, which is read here too.
func (s *sender) envelopeReplies(c *SMTPConn, n int) (refusal *Reply, err error) {
	for range len(s.load.To(n)) + 1 {
		reply, err := c.ReadReply()
		if err != nil {
			return nil, err
		}
		if reply.Code != 250 && refusal == nil {
			refusal = &reply
		}
	}
	data, err := c.ReadReply()
	if err != nil {
		return nil, err
	}
	if data.Code != 354 {
		if refusal == nil {
			refusal = &data
		}
		return refusal, nil
	}
	if refusal == nil {
		return nil, nil
	}
	if err := c.Send([]byte(".\r\n")); err != nil {
		return nil, err
	}
	_, err = c.ReadReply()
	return refusal, err
}

// note books the outcome of message n.
func (s *sender) note(n int, reply Reply, octets int, took time.Duration) {
	if reply.Code != 250 {
		s.report.refuse(reply.String(), 1)
		return
	}
	if s.load.Accepted != nil {
		s.load.Accepted(n, reply)
	}
	s.report.count(octets, took)
}
