package loop

const (
	// lineSize is the size of the buffers that a loop uses again: most input that
	// is kept is a part of a line, most output that waits a reply.
	lineSize = 512
	// maxStock bounds the buffers that a loop keeps for this.
	maxStock = 256
)

// stock is a loop's free list of buffers of lineSize octets.
type stock [][]byte

// take returns an empty buffer for n octets.
func (s *stock) take(n int) []byte {
	last := len(*s) - 1
	switch {
	case n > lineSize:
		return make([]byte, 0, n)
	case last < 0:
		return make([]byte, 0, lineSize)
	}
	b := (*s)[last]
	*s = (*s)[:last]
	return b
}

// give takes back a buffer that is not used any more.
func (s *stock) give(b []byte) {
	if cap(b) == lineSize && len(*s) < maxStock {
		*s = append(*s, b[:0])
	}
}

// backlog is octets that wait: input that the handler left, or output that the
// kernel did not take. An empty one holds no buffer, and a large buffer does not
// stay with a small rest.
type backlog struct {
	b     []byte
	taken int // b[:taken] is gone
}

func (q *backlog) octets() []byte { return q.b[q.taken:] }
func (q *backlog) len() int       { return len(q.b) - q.taken }

// add appends a copy of p.
func (q *backlog) add(s *stock, p []byte) {
	switch {
	case len(p) == 0:
		return
	case q.b == nil:
		q.b = s.take(len(p))
	case len(q.b)+len(p) > cap(q.b) && q.taken >= q.len():
		q.b = q.b[:copy(q.b, q.octets())]
		q.taken = 0
	}
	q.b = append(q.b, p...)
}

// drop takes the first n octets away. Its copies cost a third of an octet for
// each that goes.
func (q *backlog) drop(s *stock, n int) {
	q.taken += n
	switch {
	case q.len() == 0:
		q.free(s)
	case cap(q.b) > lineSize && q.taken >= 3*q.len():
		rest := append(s.take(q.len()), q.octets()...)
		*q = backlog{b: rest}
	}
}

// free gives the buffer back.
func (q *backlog) free(s *stock) {
	s.give(q.b)
	*q = backlog{}
}
