package client

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"

	"postrider/codec/dot"
)

// Body reads a message as the host sends it. It ends with io.EOF only when the whole
// message has come. It is good until the next call of its session, which passes over
// what is left of it.
type Body struct {
	p       *POP3
	verb    string
	scan    dot.Scanner
	left    int64 // octets that may still come
	err     error // io.EOF: ended
	pending int   // octets of p.r that the last Wire returned
	run     []byte
	undo    dot.Unstuffer
	plain   []byte // decoded and not read yet
	buf     []byte
}

// Retrieve reads a message. size is its size from List: a host that sends far more is
// stopped.
func (p *POP3) Retrieve(number int, size int64) (*Body, error) {
	if _, err := p.command("RETR", strconv.Itoa(number)); err != nil {
		return nil, err
	}
	return p.body("RETR", 2*size+1<<20), nil
}

// body reads the lines that follow a reply, at most limit octets.
func (p *POP3) body(verb string, limit int64) *Body {
	p.reading = &Body{p: p, verb: verb, left: limit}
	return p.reading
}

// maxHead bounds what a host may send for one TOP.
const maxHead = 4 << 20

// Heads reads the headers of messages, in their order, and gives each to take, which
// may read it while it runs. Where the host can't (TOP is optional), whole messages
// are read for them. err is the host's refusal for one message.
func (p *POP3) Heads(items []Item, take func(it Item, head io.Reader, err error) error) error {
	window := 1
	if p.can("PIPELINING") {
		window = 64 // some 800 octets of commands: they never fill a buffer on the way
	}
	if p.offer != nil && !p.can("TOP") {
		return p.wholeHeads(items, take)
	}
	var commands []byte
	for asked, done := 0, 0; done < len(items); done++ {
		if err := p.finish(); err != nil {
			return err
		}
		if asked-done <= window/2 {
			commands = commands[:0]
			for ; asked < len(items) && asked-done < window; asked++ {
				commands = fmt.Appendf(commands, "TOP %d 0\r\n", items[asked].Number)
			}
			if _, err := p.conn.Write(commands); err != nil {
				return err
			}
		}
		_, err := p.reply("TOP")
		if _, no := errors.AsType[*Negative](err); no {
			if p.offer == nil && done == 0 {
				return p.wholeHeads(items, take)
			}
			if err := take(items[done], nil, err); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		if err := take(items[done], p.body("TOP", maxHead), nil); err != nil {
			return err
		}
	}
	return p.finish()
}

func (p *POP3) wholeHeads(items []Item, take func(it Item, head io.Reader, err error) error) error {
	for _, it := range items {
		b, err := p.Retrieve(it.Number, it.Size)
		if _, no := errors.AsType[*Negative](err); err != nil && !no {
			return err
		}
		var head io.Reader
		if err == nil {
			head = b
		}
		if err := take(it, head, err); err != nil {
			return err
		}
	}
	return p.finish()
}

// finish skips what was not read of a message.
func (p *POP3) finish() error {
	b := p.reading
	if b == nil {
		return nil
	}
	for {
		if _, err := b.Wire(); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// Wire returns the next piece of the message in wire form (dots stuffed, lines with
// CRLF), which is good until the next call. Line ends that are none are mended.
func (b *Body) Wire() ([]byte, error) {
	for b.err == nil {
		_, _ = b.p.r.Discard(b.pending)
		b.pending = 0
		run, err := b.next()
		if err != nil {
			b.stop(err)
		}
		if b.left -= int64(len(run)); b.left < 0 {
			b.stop(fmt.Errorf("%s: the host sent far more than the size in its listing", b.verb))
			continue
		}
		if len(run) > 0 {
			return run, nil
		}
	}
	return nil, b.err
}

// stop ends the body. Only at its own end the session can go on.
func (b *Body) stop(err error) {
	b.err = err
	if err == io.EOF {
		b.p.reading = nil
	}
}

// next finds the next run in what has come.
func (b *Body) next() ([]byte, error) {
	r := b.p.r
	want := 1
	for {
		if _, err := r.Peek(want); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			if err == bufio.ErrBufferFull {
				err = errors.New("BUG: useragent: a buffer full of undecided octets")
			}
			return nil, fmt.Errorf("%s: the connection broke in the middle of a message: %w", b.verb, err)
		}
		in, _ := r.Peek(r.Buffered())
		n, skip, v := b.scan.Scan(in)
		switch v {
		case dot.End:
			b.run = append(b.run[:0], in[:n]...) // it must live until all is discarded
			_, _ = r.Discard(n + skip)
			return b.run, io.EOF
		case dot.BareLF:
			b.run = append(append(b.run[:0], in[:n]...), "\r\n"...)
			b.scan.CountCRLF()
			_, _ = r.Discard(n + skip)
			return b.run, nil
		case dot.Stuff: // after a line end that was none
			b.run = append(append(b.run[:0], in[:n]...), '.')
			_, _ = r.Discard(n + skip)
			return b.run, nil
		}
		if n > 0 || skip > 0 {
			b.pending = n + skip
			return in[:n], nil
		}
		want = len(in) + 1
	}
}

// Read implements io.Reader: the message in plain form, with CRLF.
func (b *Body) Read(to []byte) (int, error) {
	for len(b.plain) == 0 {
		wire, err := b.Wire()
		if err != nil {
			return 0, err
		}
		b.buf = b.undo.Append(b.buf[:0], wire)
		b.plain = b.buf
	}
	n := copy(to, b.plain)
	b.plain = b.plain[n:]
	return n, nil
}
