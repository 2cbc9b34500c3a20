package pop3d

import (
	"strconv"

	"postrider/codec/pop3"
)

// running is a multi-line response over all messages that is under way.
type running uint8

const (
	nothing running = iota
	listing
	uniqueIDs
)

// begin begins a response over all messages.
func (s *Session) begin(e *Effects, what running) {
	s.running, s.cursor = what, 0
	s.next(e)
}

// next makes the next piece of the running response, and asks AskDrained when
// there is more of it.
func (s *Session) next(e *Effects) {
	for {
		s.cursor = s.nextKept(s.cursor)
		if s.cursor == s.listing.Len() {
			break
		}
		if s.running == listing {
			e.Reply = s.appendScan(e.Reply, s.cursor)
		} else {
			e.Reply = s.appendUnique(e.Reply, s.cursor)
		}
		s.cursor++
		if len(e.Reply) >= s.cfg.ReplyBudget {
			s.ask(e, AskDrained)
			return
		}
	}
	s.running = nothing
	e.Reply = append(e.Reply, pop3.Terminator...)
}

// appendScan appends the scan listing of message i, with CRLF.
func (s *Session) appendScan(dst []byte, i int) []byte {
	_, octets := s.listing.At(i)
	return append(pop3.AppendPair(dst, i+1, octets), "\r\n"...)
}

// appendUnique appends the unique-id listing of message i, with CRLF.
func (s *Session) appendUnique(dst []byte, i int) []byte {
	dst = append(strconv.AppendInt(dst, int64(i)+1, 10), ' ')
	return append(s.listing.AppendUIDL(dst, i), "\r\n"...)
}
