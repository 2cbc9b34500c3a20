package sink

import (
	"bytes"
	"slices"
)

// endOfData ends a message. Its first two octets belong to the message too.
const endOfData = "\r\n.\r\n"

// data swallows message octets up to the end of data.
func (s *Session) data(in, out []byte) []byte {
	pos := 0
	for pos < len(in) && s.matched < len(endOfData) {
		if s.matched == 0 {
			next := bytes.IndexByte(in[pos:], '\r')
			if next < 0 {
				pos = len(in)
				break
			}
			pos += next
		}
		switch in[pos] {
		case endOfData[s.matched]:
			s.matched++
		case '\r':
			s.matched = 1
		default:
			s.matched = 0
		}
		pos++
	}
	s.keep(in[:pos])
	s.octets += pos
	s.step.Consumed += pos
	if s.matched < len(endOfData) {
		return out
	}
	s.inData = false
	s.octets -= len(".\r\n")
	if len(s.kept) > s.octets {
		s.kept = s.kept[:s.octets]
	}
	return s.arrived(out, false)
}

// chunkData swallows a chunk.
func (s *Session) chunkData(in, out []byte) []byte {
	n := min(s.chunk, len(in))
	s.keep(in[:n])
	s.octets += n
	s.chunk -= n
	s.step.Consumed += n
	if s.chunk > 0 {
		return out
	}
	s.inChunk = false
	switch {
	case len(s.to) == 0:
		s.octets = 0
		return append(out, "503 5.5.1 no recipients\r\n"...)
	case !s.last:
		return append(out, "250 2.0.0 go on\r\n"...)
	}
	return s.arrived(out, true)
}

func (s *Session) keep(octets []byte) {
	room := s.sink.options.Keep - len(s.kept)
	if room > 0 {
		s.kept = append(s.kept, octets[:min(room, len(octets))]...)
	}
}

// arrived answers a whole message.
func (s *Session) arrived(out []byte, chunked bool) []byte {
	out, done := s.fault(Dot, out)
	if !done {
		s.sink.counts[messages].Add(1)
		s.sink.counts[octets].Add(int64(s.octets))
		s.sink.counts[recipients].Add(int64(len(s.to)))
		if s.sink.options.Arrived != nil || s.sink.options.POP3.Room > 0 {
			s.sink.hand(Arrival{s.now, s.client, s.from, slices.Clone(s.to), s.octets, s.kept, chunked})
		}
		out = append(out, "250 2.0.0 taken\r\n"...)
	}
	s.octets, s.kept = 0, nil
	s.reset()
	return out
}
