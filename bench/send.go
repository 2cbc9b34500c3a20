package bench

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Mode reports whether a client waits.
type Mode bool

// The modes.
const (
	Step      Mode = false // each command waits for its reply
	Pipelined Mode = true  // as much is sent in one go as the RFCs allow
)

// Load is a load of messages by SMTP. Addr (or Client.Addr), Sessions, To and Wire
// must be set. The functions are called from all sessions at once.
type Load struct {
	Addr string
	// Client says how sessions begin; its Addr is Load's unless set.
	Client   Client
	Sessions int
	// Messages is the number in all, numbered from 0; 0: until the context ends.
	Messages int
	// PerConnection is the number after which a session sends QUIT and connects
	// again; 0: one connection for all.
	PerConnection int
	Mode          Mode
	// BDAT sends each message as one chunk (RFC 3030) in place of DATA.
	BDAT bool
	// Rate makes it an open loop: message n is meant to begin n/Rate seconds after
	// the first, whether or not the ones before are over, and its time counts from
	// then. 0: a closed loop, in which each session sends as fast as it is answered.
	// All sessions busy means that messages wait, and that is in their time.
	Rate float64
	// Pause, unless nil, is how long a session waits before each of its messages but
	// the first, between two connections or in one. Nothing is sent ahead then.
	Pause func() time.Duration
	From  string
	// To returns the recipients of message n.
	To func(n int) []string
	// Wire returns message n in wire form without the terminating dot. It is read
	// only, so all messages may share one slice.
	Wire func(n int) []byte
	// Head, unless nil, returns what message n has before Wire, in wire form: with
	// it messages differ that share the rest. It is borrowed until the next call
	// with the same dst, to which it appends.
	Head func(dst []byte, n int) []byte
	// Accepted, unless nil, is called for each 250 before its session goes on.
	Accepted func(n int, reply Reply)
	// KeepGoing counts a broken session as one refused message and connects again
	// after RetryPause; otherwise the session is over, and Run returns the error.
	KeepGoing bool
	// Meter, unless nil, counts; a display can watch it. NewMeter just before Run.
	Meter *Meter
}

// RetryPause is the wait before a session that broke connects again.
const RetryPause = 50 * time.Millisecond

// Run sends the load and returns when the last session is over. The error joins
// what went wrong in the sessions; the report is right all the same. A message
// that the server refuses is counted and isn't an error.
func (l Load) Run(ctx context.Context) (Report, error) {
	if l.Client.Addr == "" {
		l.Client.Addr = l.Addr
	}
	if l.Meter == nil {
		l.Meter = NewMeter()
	}
	var (
		errs Failures
		mu   sync.Mutex // guards errs
		next atomic.Int64
		wg   sync.WaitGroup
	)
	begin := time.Now()
	for range l.Sessions {
		wg.Go(func() {
			s := sender{load: &l, ctx: ctx, next: &next, begin: begin}
			if err := s.run(); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs.Add(err)
			}
		})
	}
	wg.Wait()
	report := l.Meter.Report()
	report.Elapsed = time.Since(begin)
	return report, errs.Err()
}

// sender is one session of a load.
type sender struct {
	load  *Load
	ctx   context.Context
	next  *atomic.Int64 // the number of the next message, for all sessions
	begin time.Time     // when the load began
	out   []byte        // what is written next
	head  []byte        // the current message's header
}

// take claims the next message.
func (s *sender) take() (n int, ok bool) {
	if s.ctx.Err() != nil {
		return 0, false
	}
	n = int(s.next.Add(1) - 1)
	return n, s.load.Messages == 0 || n < s.load.Messages
}

// due waits until message n is meant to begin, and returns the time that its
// latency counts from. ok is false when the context ended first.
func (s *sender) due(n int) (from time.Time, ok bool) {
	if s.load.Rate == 0 {
		return time.Now(), true
	}
	from = s.begin.Add(time.Duration(float64(n) / s.load.Rate * float64(time.Second)))
	return from, s.sleep(time.Until(from))
}

// sleep is over after d, or when the context ends: then it returns false.
func (s *sender) sleep(d time.Duration) bool {
	if d <= 0 {
		return s.ctx.Err() == nil
	}
	select {
	case <-time.After(d):
		return true
	case <-s.ctx.Done():
		return false
	}
}

// pause is the wait between two messages.
func (s *sender) pause() bool { return s.load.Pause == nil || s.sleep(s.load.Pause()) }

func (s *sender) run() error {
	for n, ok := s.take(); ok; {
		if _, ok := s.due(n); !ok {
			return nil
		}
		next, more, err := s.connection(n)
		if err == nil {
			n, ok = next, more && s.pause()
			continue
		}
		if !s.load.KeepGoing {
			return err
		}
		s.load.Meter.Refuse(err.Error())
		time.Sleep(RetryPause)
		if n, ok = s.take(); !s.pause() {
			return nil
		}
	}
	return nil
}

// connection sends message n and the next ones over one connection. It returns
// the message that the next connection begins with.
func (s *sender) connection(n int) (next int, more bool, err error) {
	c, err := s.load.Client.SMTP(s.load.Meter)
	if err != nil {
		return 0, false, err
	}
	// Out of the loop by an error: Close once more does no harm after QUIT.
	defer c.Close()
	if s.load.Mode == Pipelined && !s.load.BDAT && s.load.Rate == 0 && s.load.Pause == nil {
		next, more, err = s.chained(c, n)
	} else {
		next, more, err = s.each(c, n)
	}
	if err != nil {
		return 0, false, err
	}
	if err := c.Quit(); err != nil {
		return 0, false, fmt.Errorf("QUIT: %w", err)
	}
	return next, more, nil
}

// more claims the next message unless this connection has had its share, which
// last reports; the claimed message is then the first of the next connection.
func (s *sender) more(sent int) (n int, last, ok bool) {
	n, ok = s.take()
	return n, !ok || sent == s.load.PerConnection, ok
}

// each sends message n and the next ones, one after the other.
func (s *sender) each(c *SMTPConn, n int) (int, bool, error) {
	for sent := 1; ; sent++ {
		from, ok := s.due(n)
		if !ok {
			return 0, false, nil
		}
		reply, octets, err := s.deliver(c, n)
		if err != nil {
			return 0, false, err
		}
		s.note(n, reply, octets, time.Since(from))
		next, last, ok := s.more(sent)
		if last {
			return next, ok, nil
		}
		if n = next; !s.pause() {
			return 0, false, nil
		}
	}
}

// write sends before, message n and after in as few writes as make sense, and
// returns the octets of the message.
func (s *sender) write(c *SMTPConn, before []byte, n int, after []byte) (int, error) {
	wire := s.load.Wire(n)
	s.head = s.head[:0]
	if s.load.Head != nil {
		s.head = s.load.Head(s.head, n)
	}
	octets := len(s.head) + len(wire)
	if len(wire) <= 64<<10 {
		s.out = append(append(append(append(s.out[:0], before...), s.head...), wire...), after...)
		return octets, c.Send(s.out)
	}
	c.SetWriteDeadline(time.Now().Add(Timeout + time.Duration(octets)*time.Microsecond))
	parts := net.Buffers{before, s.head, wire, after}
	_, err := parts.WriteTo(c.Conn)
	return octets, err
}

// note books the outcome of message n.
func (s *sender) note(n int, reply Reply, octets int, took time.Duration) {
	if reply.Code != 250 {
		s.load.Meter.Refuse(reply.String())
		return
	}
	if s.load.Accepted != nil {
		s.load.Accepted(n, reply)
	}
	s.load.Meter.Count(octets, took)
}
