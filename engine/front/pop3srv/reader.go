package pop3srv

import (
	"errors"
	"io"

	"postrider/codec/dot"
	"postrider/storage"
)

// readJob reads messages. A small message is copied into the buffer, and for a client that
// fetches in order the next ones after it. A message that does not fit is opened, and read
// piece by piece.
type readJob struct {
	job
	step    step
	request readRequest
	buf     []byte // nil while nothing is read

	// The result.
	ahead []readAhead // messages that are whole in buf
	large largeMessage
}

// step is what a reader does.
type step uint8

const (
	open      step = iota // begins with the messages of the request
	nextPiece             // reads on in the large message
	end                   // closes the large message
)

// readRequest is what to read.
type readRequest struct {
	lock    storage.Lock
	listing *storage.Listing
	first   int // in the listing
	count   int // messages, at most: the first one, and the next ones
	lines   int // TOP: how many of the body; -1: RETR
}

// readAhead is a message that is whole in the buffer.
type readAhead struct {
	index    int // in the listing
	from, to int // in the buffer
	octets   int64
}

// largeMessage is a message that is sent in pieces.
type largeMessage struct {
	message storage.Message // nil: none is open
	octets  int64           // the size that RETR announces
	top     dot.Top         // cuts it, for TOP
	piece   []byte          // is read, and not yet written
	last    bool            // no piece follows
}

// Work implements conn.Job.
func (j *readJob) Work() {
	defer j.end()
	switch j.step {
	case open:
		j.err = j.open()
	case nextPiece:
		j.err = j.next()
	case end:
		j.large.message.Close()
	}
}

// open copies the messages of the request, as many as fit. An error is about the first one.
func (j *readJob) open() error {
	q := &j.request
	if q.lines >= 0 {
		return j.openLarge(q.first)
	}
	seq, err := q.lock.Sequence()
	if err != nil {
		return err
	}
	defer seq.Close()
	b := j.buf[:0]
	for i := q.first; i < q.first+q.count; i++ {
		from := len(b)
		id, _ := q.listing.At(i)
		var e storage.Entry
		b, e, err = seq.Append(b, id)
		switch {
		case err == nil:
			j.ahead = append(j.ahead, readAhead{index: i, from: from, to: len(b), octets: e.Octets()})
		case i > q.first: // the request for it will find out what is wrong with it
			return nil
		case errors.Is(err, io.ErrShortBuffer):
			return j.openLarge(i)
		default:
			return err
		}
	}
	return nil
}

// openLarge opens message i of the listing. Its first piece is the trace.
func (j *readJob) openLarge(i int) error {
	id, _ := j.request.listing.At(i)
	msg, err := j.request.lock.Open(id)
	if err != nil {
		return err
	}
	j.large = largeMessage{message: msg, top: dot.NewTop(max(j.request.lines, 0))}
	e := msg.Entry()
	j.large.octets = e.Octets()
	j.large.piece = j.cut(append(j.buf[:0], e.Trace...))
	return nil
}

// next reads the next piece of the large message.
func (j *readJob) next() error {
	p, err := j.large.message.Next()
	switch {
	case errors.Is(err, io.EOF):
		j.large.piece, j.large.last = nil, true
		return nil
	case err != nil:
		return err
	}
	j.large.piece = j.cut(p)
	return nil
}

// cut returns what the answer has of a piece: TOP ends before the message does.
func (j *readJob) cut(p []byte) []byte {
	if j.request.lines < 0 {
		return p
	}
	n, done := j.large.top.Take(p)
	j.large.last = j.large.last || done
	return p[:n]
}
