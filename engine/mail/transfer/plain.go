package transfer

import (
	"errors"
	"io"
	"strings"

	"golang.org/x/text/transform"

	"postrider/codec/uu"
	"postrider/engine/mail/entity"
	"postrider/engine/mail/hypertext"
)

// plainMessage reads a message as people do: its text, and after it its attachments as
// uuencoded files. It streams; a line in brackets replaces what can't be shown.
type plainMessage struct {
	in    *entity.Reader
	now   io.Reader // what is read; nil: the next leaf comes
	texts int       // shown so far
	open  bool      // a line has begun
	err   error     // error of in
}

// newLetter reads a message from its header on.
func newLetter(message io.Reader) (io.Reader, error) {
	in, err := entity.NewReader(message, entity.DefaultLimits)
	in.WholeText = true
	return &plainMessage{in: in}, err
}

// Read implements io.Reader.
func (l *plainMessage) Read(p []byte) (int, error) {
	for {
		for l.now == nil {
			if l.err != nil {
				return 0, l.err
			}
			leaf, body, err := l.in.Next()
			switch {
			case err == nil:
				l.now = l.shown(leaf, body)
			case errors.Is(err, entity.ErrLimit):
				l.now, l.err = note("There are more parts than are shown here."), io.EOF
			default:
				return 0, err
			}
		}
		n, err := l.now.Read(p)
		if err != nil {
			l.now = nil
		}
		if err != nil && err != io.EOF {
			l.err = err
		}
		if n > 0 {
			l.open = p[n-1] != '\n'
			return n, nil
		}
	}
}

// shown is how a leaf is shown; nil: not at all, for it repeats other content.
func (l *plainMessage) shown(leaf entity.Leaf, body io.Reader) io.Reader {
	if leaf.Attachment {
		return newAttached(leaf, body)
	}
	switch {
	case l.texts > 0 && leaf.Alternative:
		return nil
	case leaf.Type == "text/plain" || l.texts == 0:
		l.texts++
		if leaf.Type == "text/html" {
			body = hypertext.PlainText(body)
		}
		body = transform.NewReader(transform.NewReader(body, noCR), visible)
		if l.open {
			body = io.MultiReader(strings.NewReader("\n"), body)
		}
		return &lenient{in: body, what: "the text"}
	}
	return newAttached(leaf, body)
}

// note is a line about the message that is not of it.
func note(text string) io.Reader { return strings.NewReader("\n[" + text + "]\n") }

// lenient ends where its decoder fails, with a line that tells it.
type lenient struct {
	in   io.Reader
	what string
	note io.Reader
}

func (l *lenient) Read(p []byte) (int, error) {
	if l.note != nil {
		return l.note.Read(p)
	}
	n, err := l.in.Read(p)
	if errors.Is(err, entity.ErrDamaged) {
		l.note, err = note("The rest of "+l.what+" is missing or can't be decoded."), nil
	}
	return n, err
}

// attached reads an attachment as a uuencoded file.
type attached struct {
	in     io.Reader
	name   string
	err    error // how in has ended
	octets [45 * 100]byte
	have   int    // number of octets
	text   []byte // not read yet
	back   []byte // memory of text
}

func newAttached(leaf entity.Leaf, body io.Reader) *attached {
	a := &attached{in: body, name: leaf.FileName()}
	a.text = uu.AppendBegin([]byte{'\n'}, uu.Header{Mode: 0o644, Name: a.name})
	return a
}

// Read implements io.Reader.
func (a *attached) Read(p []byte) (int, error) {
	for len(a.text) == 0 {
		if a.err != nil {
			return 0, a.err
		}
		a.fill()
	}
	n := copy(p, a.text)
	a.text = a.text[n:]
	return n, nil
}

// fill encodes the next octets.
func (a *attached) fill() {
	n, err := a.in.Read(a.octets[a.have:])
	a.have += n
	if err == nil && a.have < len(a.octets) {
		return
	}
	a.back = uu.AppendEncode(a.back[:0], a.octets[:a.have], uu.Backtick)
	a.have = 0
	a.text = a.back
	if err == nil {
		return
	}
	a.err = err
	a.back = uu.AppendEnd(a.back, uu.Header{}, uu.Backtick)
	if errors.Is(err, entity.ErrDamaged) {
		a.err = io.EOF
		a.back = append(a.back, "\n[The rest of "+a.name+" is missing or can't be decoded.]\n"...)
	}
	a.text = a.back
}
