package transfer

import (
	"encoding/base64"
	"io"
	"mime"
	"mime/quotedprintable"
	"strings"

	"github.com/emersion/go-message/charset"

	"postrider/codec/uu"
)

// letter reads a message as people do: its text, and behind it its attachments as
// uuencoded files. It streams; a line in brackets tells of whatever can't be shown.
type letter struct {
	leaves leaves
	now    io.Reader // what is read; nil: the next leaf comes
	texts  int       // shown so far
	ended  bool
}

// newLetter reads a message from its header's fields and its body on. nil: nothing of
// it can be told apart, and it had better be shown as it is.
func newLetter(field fields, body io.Reader) io.Reader {
	l := new(letter)
	first, ok := l.leaves.enter(field, body, false)
	if ok && first.kind == "" {
		return nil
	}
	if !ok {
		if first, ok = l.leaves.next(); !ok {
			return nil
		}
	}
	l.now = l.shown(first)
	return l
}

// Read implements io.Reader.
func (l *letter) Read(p []byte) (int, error) {
	for {
		for l.now == nil {
			next, ok := l.leaves.next()
			switch {
			case ok:
				l.now = l.shown(next)
			case l.ended:
				return 0, io.EOF
			case l.leaves.cut != "":
				l.now, l.ended = note(l.leaves.cut), true
			default:
				return 0, io.EOF
			}
		}
		n, err := l.now.Read(p)
		if err != nil {
			l.now = nil
		}
		if n > 0 {
			return n, nil
		}
	}
}

// shown is how a leaf is shown; nil: not at all, for it says once more what was said.
func (l *letter) shown(f leaf) io.Reader {
	isText := f.kind == "text/plain" || f.kind == "text/html"
	if isText && !f.file && f.name == "" {
		switch {
		case l.texts > 0 && f.choice:
			return nil
		case f.kind == "text/plain" || l.texts == 0:
			l.texts++
			text := f.octets()
			if utf8, err := charset.Reader(f.charset, text); f.charset != "" && err == nil {
				text = utf8 // else as it is: better than nothing
			}
			return &lenient{in: text, what: "the text"}
		}
	}
	return newAttached(f)
}

// octets are those of the leaf without its transfer encoding.
func (f *leaf) octets() io.Reader {
	switch strings.ToLower(strings.TrimSpace(f.encoding)) {
	case "base64":
		return base64.NewDecoder(base64.StdEncoding, &base64Text{in: f.body})
	case "quoted-printable":
		return quotedprintable.NewReader(f.body)
	}
	return f.body
}

// fileName is what an attachment is called.
func (f *leaf) fileName() string {
	if f.name != "" {
		return uu.SafeName(f.name)
	}
	name := "attachment"
	if f.kind == "message/rfc822" {
		return name + ".eml"
	}
	if extensions, err := mime.ExtensionsByType(f.kind); err == nil && len(extensions) > 0 {
		name += extensions[0]
	}
	return name
}

// note is a line about the message that is not of it.
func note(text string) io.Reader { return strings.NewReader("\n[" + text + "]\n") }

// lenient ends where its decoder fails, and says so.
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
	if err != nil && err != io.EOF {
		l.note, err = note("The rest of "+l.what+" can't be decoded."), nil
	}
	return n, err
}

// attached reads an attachment as a uuencoded file.
type attached struct {
	in     io.Reader
	name   string
	octets [45 * 100]byte
	have   int    // of octets
	text   []byte // not read yet
	back   []byte // memory of text
	ended  bool
}

func newAttached(f leaf) *attached {
	a := &attached{in: f.octets(), name: f.fileName()}
	a.text = uu.AppendBegin([]byte{'\n'}, uu.Header{Mode: 0o644, Name: a.name})
	return a
}

// Read implements io.Reader.
func (a *attached) Read(p []byte) (int, error) {
	for len(a.text) == 0 {
		if a.ended {
			return 0, io.EOF
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
	if err != nil {
		a.ended = true
		a.back = uu.AppendEnd(a.back, uu.Header{}, uu.Backtick)
		if err != io.EOF {
			a.back = append(a.back, "\n[The rest of "+a.name+" can't be decoded.]\n"...)
		}
	}
	a.text = a.back
}
