package bench

import (
	"fmt"
	"time"
)

var endOfData = []byte(".\r\n")

// deliver sends message n by itself and returns the reply that decided about it,
// and the octets of the message.
func (s *sender) deliver(c *SMTPConn, n int) (Reply, int, error) {
	switch {
	case s.load.BDAT:
		return s.chunk(c, n)
	case s.load.Mode == Pipelined:
		return s.grouped(c, n)
	}
	refusal, err := s.envelopeInStep(c, n)
	if err != nil || refusal != nil {
		return s.abandon(c, refusal, err)
	}
	if err := c.timed(s.load.Meter, StageData, 354, "DATA"); err != nil {
		refused, ok := err.(*Refused)
		if !ok || refused.Code == 421 {
			return Reply{}, 0, err
		}
		return s.abandon(c, &refused.Reply, nil)
	}
	return s.content(c, n)
}

// envelopeInStep sends MAIL and each RCPT, each after the reply to the one before.
func (s *sender) envelopeInStep(c *SMTPConn, n int) (refusal *Reply, err error) {
	err = c.timed(s.load.Meter, StageMail, 250, "MAIL FROM:<"+s.load.From+">")
	for _, rcpt := range s.load.To(n) {
		if err == nil {
			err = c.timed(s.load.Meter, StageRcpt, 250, "RCPT TO:<"+rcpt+">")
		}
	}
	refused, ok := err.(*Refused)
	if ok && refused.Code != 421 {
		return &refused.Reply, nil
	}
	return nil, err
}

// abandon ends a refused transaction by RSET, so that the session can go on.
func (s *sender) abandon(c *SMTPConn, refusal *Reply, err error) (Reply, int, error) {
	if err != nil {
		return Reply{}, 0, err
	}
	return *refusal, 0, c.Cmd(250, "RSET")
}

// content sends the message and the dot and waits for the verdict.
func (s *sender) content(c *SMTPConn, n int) (Reply, int, error) {
	octets, err := s.write(c, nil, n, endOfData)
	if err != nil {
		return Reply{}, 0, err
	}
	reply, err := s.verdict(c, time.Now())
	return reply, octets, err
}

// verdict reads the reply to a message whose last octet was sent at sent. A 421
// ends the session.
func (s *sender) verdict(c *SMTPConn, sent time.Time) (Reply, error) {
	reply, err := c.ReadReply()
	if err != nil {
		return reply, err
	}
	if reply.Code == 250 {
		s.load.Meter.Time(StageDot, time.Since(sent))
	}
	if reply.Code == 421 {
		return reply, &Refused{reply}
	}
	return reply, nil
}

// grouped sends the envelope in one write and the message in another.
func (s *sender) grouped(c *SMTPConn, n int) (Reply, int, error) {
	if err := c.Send(s.envelope(nil, n)); err != nil {
		return Reply{}, 0, err
	}
	refusal, err := s.envelopeReplies(c, n)
	if err != nil || refusal != nil {
		return s.abandon(c, refusal, err)
	}
	return s.content(c, n)
}

// chunk sends message n by BDAT. In step each command waits; pipelined, envelope
// and message go out in one write (RFC 3030 section 3.2 allows that of BDAT).
func (s *sender) chunk(c *SMTPConn, n int) (Reply, int, error) {
	s.head = s.head[:0]
	if s.load.Head != nil {
		s.head = s.load.Head(s.head, n)
	}
	message := Unstuff(append(s.head[:len(s.head):len(s.head)], s.load.Wire(n)...))
	last := fmt.Appendf(nil, "BDAT %d LAST\r\n", len(message))
	if s.load.Mode == Step {
		refusal, err := s.envelopeInStep(c, n)
		if err != nil || refusal != nil {
			return s.abandon(c, refusal, err)
		}
		if err := c.Send(append(last, message...)); err != nil {
			return Reply{}, 0, err
		}
		reply, err := s.verdict(c, time.Now())
		return reply, len(message), err
	}
	if err := c.Send(append(append(s.recipients(nil, n), last...), message...)); err != nil {
		return Reply{}, 0, err
	}
	sent := time.Now()
	refusal, err := s.recipientReplies(c, n)
	if err != nil {
		return Reply{}, 0, err
	}
	reply, err := s.verdict(c, sent)
	if err == nil && refusal != nil {
		return s.abandon(c, refusal, nil)
	}
	return reply, len(message), err
}

// chained sends with one wait for each envelope and one for each message: the
// envelope of a message goes out with the dot of the one before it (RFC 2920
// section 3.1: DATA must end a group, the dot need not).
func (s *sender) chained(c *SMTPConn, n int) (int, bool, error) {
	from := time.Now()
	if err := c.Send(s.envelope(nil, n)); err != nil {
		return 0, false, err
	}
	var after []byte
	for sent := 1; ; sent++ {
		refusal, err := s.envelopeReplies(c, n)
		if err != nil {
			return 0, false, err
		}
		next, last, ok := s.more(sent)
		after = after[:0]
		octets := 0
		if refusal == nil {
			after = append(after, endOfData...)
		} else {
			after = append(after, "RSET\r\n"...)
		}
		if !last {
			after = s.envelope(after, next)
		}
		if refusal == nil {
			octets, err = s.write(c, nil, n, after)
		} else {
			err = c.Send(after)
		}
		if err != nil {
			return 0, false, err
		}
		began := time.Now() // the next one's envelope went out with this
		reply, err := s.verdict(c, began)
		if err != nil {
			return 0, false, err
		}
		if refusal != nil {
			reply = *refusal
		}
		s.note(n, reply, octets, time.Since(from))
		if last {
			return next, ok, nil
		}
		n, from = next, began
	}
}

// recipients appends MAIL and RCPT of message n.
func (s *sender) recipients(dst []byte, n int) []byte {
	dst = append(append(append(dst, "MAIL FROM:<"...), s.load.From...), ">\r\n"...)
	for _, rcpt := range s.load.To(n) {
		dst = append(append(append(dst, "RCPT TO:<"...), rcpt...), ">\r\n"...)
	}
	return dst
}

// envelope appends the commands of message n.
func (s *sender) envelope(dst []byte, n int) []byte {
	return append(s.recipients(dst, n), "DATA\r\n"...)
}

// recipientReplies reads the replies to MAIL and each RCPT and returns the first
// refusal.
func (s *sender) recipientReplies(c *SMTPConn, n int) (refusal *Reply, err error) {
	for range len(s.load.To(n)) + 1 {
		reply, err := c.ReadReply()
		if err != nil {
			return nil, err
		}
		if reply.Code == 421 {
			return nil, &Refused{reply}
		}
		if reply.Code != 250 && refusal == nil {
			refusal = &reply
		}
	}
	return refusal, nil
}

// envelopeReplies reads the replies to an envelope. When any command but DATA is
// refused and DATA is not, the data phase is ended by sending nothing: RFC 2920
// section 3.1 has the server fail it with 554, which is read here too.
func (s *sender) envelopeReplies(c *SMTPConn, n int) (refusal *Reply, err error) {
	begin := time.Now()
	if refusal, err = s.recipientReplies(c, n); err != nil {
		return nil, err
	}
	data, err := c.ReadReply()
	if err != nil {
		return nil, err
	}
	if data.Code != 354 {
		if refusal == nil {
			refusal = &data
		}
		if data.Code == 421 {
			return nil, &Refused{data}
		}
		return refusal, nil
	}
	if refusal == nil {
		s.load.Meter.Time(StageData, time.Since(begin))
		return nil, nil
	}
	if err := c.Send(endOfData); err != nil {
		return nil, err
	}
	_, err = c.ReadReply()
	return refusal, err
}
