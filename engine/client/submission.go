package client

import (
	"errors"
	"io"
	"os"
	"time"

	"postrider/codec/dot"
	"postrider/engine/protocol/smtpclient"
)

// run carries out the machine's effects until the transaction has its outcome.
func (s *submission) run() *smtpclient.Outcome {
	for {
		ask, outcome := s.e.Ask, s.e.Outcome
		if ask != smtpclient.AskNothing {
			s.e.Ask = smtpclient.AskNothing
			s.stream()
			continue
		}
		s.flush()
		if s.e.StartTLS {
			s.startTLS()
			continue
		}
		if outcome != nil {
			return outcome
		}
		if s.e.Outcome == nil {
			s.receive()
		}
	}
}

// flush writes the machine's output: never so much that a host would want its
// replies read meanwhile.
func (s *submission) flush() {
	out := s.e.Send
	s.e.Send = s.e.Send[:0]
	if len(out) == 0 {
		return
	}
	if _, err := s.conn.Write(out); err != nil {
		s.lost(err)
	}
}

// receive gives the machine the host's output, and waits for it if need be.
func (s *submission) receive() {
	if s.feed() {
		return
	}
	if err := s.read(); err != nil {
		s.lost(err)
		return
	}
	s.feed()
}

// feed presents the unread input and reports whether some of it was consumed.
func (s *submission) feed() bool {
	n := s.m.Feed(s.in, &s.e)
	s.in = s.in[:copy(s.in, s.in[n:])]
	return n > 0
}

// maxUnread bounds what is read ahead of the machine.
const maxUnread = 1 << 20

func (s *submission) read() error {
	if len(s.in) > maxUnread {
		return errors.New("the host sent too much")
	}
	piece := make([]byte, 4<<10)
	n, err := s.conn.Read(piece)
	s.in = append(s.in, piece[:n]...)
	if n > 0 {
		return nil
	}
	return err
}

// lost tells the machine that the connection can't be used any more. What the host
// sent before comes first: it often tells why.
func (s *submission) lost(err error) {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		s.m.TimeOut(&s.e)
		return
	}
	for s.e.Outcome == nil {
		if s.feed() {
			continue
		}
		if s.read() != nil {
			break
		}
	}
	if s.e.Outcome == nil {
		s.m.Lost(&s.e)
	}
}

// startTLS makes the handshake that the machine wants.
func (s *submission) startTLS() {
	s.e.StartTLS = false
	if len(s.in) > 0 {
		s.feed() // octets after the 220 end the session
		return
	}
	under, err := s.host.handshake(s.ctx, s.conn)
	if err != nil {
		s.m.TLSFailed(err.Error(), &s.e)
		return
	}
	s.conn = under
	s.m.Secured(&s.e)
}

// stream sends the message, in wire form.
func (s *submission) stream() {
	var form dot.Normalizer
	piece := make([]byte, 64<<10)
	for {
		n, err := s.message.Read(piece)
		s.e.Send = form.Append(s.e.Send, piece[:n])
		if err == io.EOF {
			s.e.Send = form.End(s.e.Send)
			s.m.BodyDone(&s.e)
			return
		}
		if err != nil {
			s.failed = err
			s.m.BodyFailed(&s.e)
			return
		}
		if len(s.e.Send) < len(piece) {
			continue
		}
		_, err = s.conn.Write(s.e.Send)
		s.e.Send = s.e.Send[:0]
		if err != nil {
			s.lost(err)
			return
		}
	}
}

// quitPatience is how long a host may take for its goodbye.
const quitPatience = time.Second

// quit sends QUIT and waits a moment for the reply.
func (s *submission) quit() {
	s.e.Reset()
	s.m.Quit(&s.e)
	if _, err := s.conn.Write(s.e.Send); err != nil {
		return
	}
	soon := time.AfterFunc(quitPatience, func() { _ = s.conn.Close() })
	defer soon.Stop()
	var reply [512]byte
	_, _ = s.conn.Read(reply[:])
}
