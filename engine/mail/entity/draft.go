package entity

import (
	"crypto/rand"
	"fmt"
	"io"
	netmail "net/mail"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/emersion/go-message"

	"postrider/codec/uu"
)

// Draft is a message to be written.
type Draft struct {
	From                  netmail.Address
	To, Cc                []netmail.Address
	Subject               string
	Date                  time.Time
	MessageID             string // without angle brackets
	InReplyTo, References []string
	Text                  string // UTF-8, lines end with LF, CRLF or CR
	// Attachments are MIME parts after the text, or files uuencoded within it with
	// UU. A Draft without any is a single text/plain entity.
	Attachments []Attachment
	UU          bool
}

// Attachment is a file of a Draft. Open is called once, while the message is written.
type Attachment struct {
	Name string // as the receiver sees it; made safe
	Type string // "": by the name's extension, else application/octet-stream
	Open func() (io.ReadCloser, error)
}

// maxPlainLine is how long lines may be that go without an encoding (RFC 5322 section
// 2.1.1).
const maxPlainLine = 998

// WriteTo writes the message in plain form with CRLF, 7-bit throughout, no line longer
// than 998 octets. An Attachment that can't be read ends it with an error; the output
// is not a whole message then.
//
// Text that isn't ASCII is quoted-printable, and files that are uuencoded in it with it:
// a reader that knows MIME undoes both.
func (d *Draft) WriteTo(w io.Writer) (int64, error) {
	out := &counter{to: w}
	err := d.write(out)
	if out.err != nil {
		err = out.err
	}
	return out.octets, err
}

func (d *Draft) write(out io.Writer) error {
	f := d.header()
	f.add("MIME-Version", []string{"1.0"})
	if d.UU || len(d.Attachments) == 0 {
		d.addText(&f)
		var h message.Header
		f.set(&h)
		body, err := message.CreateWriter(out, h)
		if err != nil {
			return err
		}
		return d.writeText(body)
	}
	f.add("Content-Type", []string{"multipart/mixed;", " boundary=" + rand.Text()})
	var h message.Header
	f.set(&h)
	parts, err := message.CreateWriter(out, h)
	if err != nil {
		return err
	}
	f = nil
	d.addText(&f)
	var inline message.Header
	f.set(&inline)
	body, err := parts.CreatePart(inline)
	if err != nil {
		return err
	}
	if err := d.writeText(body); err != nil {
		return err
	}
	for _, a := range d.Attachments {
		if err := a.write(parts); err != nil {
			return err
		}
	}
	return parts.Close()
}

// header has the fields that people see, in the order that they are used to.
func (d *Draft) header() (f fields) {
	f.add("From", addressPieces([]netmail.Address{d.From}, len("From: ")))
	for _, list := range []struct {
		name string
		to   []netmail.Address
	}{{"To", d.To}, {"Cc", d.Cc}} {
		if len(list.to) > 0 {
			f.add(list.name, addressPieces(list.to, len(list.name)+2))
		}
	}
	f.add("Subject", textPieces(Printable(d.Subject), len("Subject: ")))
	if !d.Date.IsZero() {
		f.add("Date", []string{d.Date.Format("Mon, 02 Jan 2006 15:04:05 -0700")})
	}
	for _, list := range []struct {
		name string
		ids  []string
	}{{"Message-ID", []string{d.MessageID}}, {"In-Reply-To", d.InReplyTo}, {"References", d.References}} {
		if pieces := idPieces(list.ids); len(pieces) > 0 {
			f.add(list.name, pieces)
		}
	}
	return f
}

// addText adds the fields about how the text is written: as it is, if it and the names of
// the files that are uuencoded in it are ASCII (RFC 2045 section 2.7).
func (d *Draft) addText(f *fields) {
	f.add("Content-Type", []string{"text/plain;", " charset=utf-8"})
	plain := isPlain(d.Text)
	for _, a := range d.Attachments {
		plain = plain && (!d.UU || isPlain(uu.SafeName(a.Name)))
	}
	if plain {
		f.add("Content-Transfer-Encoding", []string{"7bit"})
	} else {
		f.add("Content-Transfer-Encoding", []string{"quoted-printable"})
	}
}

// isPlain reports whether text can go as it is.
func isPlain(text string) bool {
	line := 0
	for i := range len(text) {
		switch c := text[i]; {
		case c == '\n':
			line = 0
		case c >= utf8.RuneSelf, c == 0, c == '\r' && !strings.HasPrefix(text[i:], "\r\n"), line == maxPlainLine-1:
			return false
		default:
			line++
		}
	}
	return true
}

// lineEnds makes LF of all line ends.
var lineEnds = strings.NewReplacer("\r\n", "\n", "\r", "\n")

// writeText writes the text and the files that are uuencoded in it.
func (d *Draft) writeText(body io.WriteCloser) error {
	text := lineEnds.Replace(strings.ToValidUTF8(d.Text, "\ufffd"))
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	if _, err := io.WriteString(body, strings.ReplaceAll(text, "\n", "\r\n")); err != nil {
		return err
	}
	if d.UU {
		for _, a := range d.Attachments {
			if err := a.writeUU(body); err != nil {
				return err
			}
		}
	}
	return body.Close()
}

// open opens the file and gives its name and type.
func (a *Attachment) open() (in io.ReadCloser, name, kind string, err error) {
	name, kind = uu.SafeName(a.Name), a.Type
	if kind == "" {
		kind = TypeByName(name)
	}
	if strings.HasPrefix(kind, "message/") || strings.HasPrefix(kind, "multipart/") || !strings.Contains(kind, "/") {
		kind = "application/octet-stream" // RFC 2046 section 5.2.1: these can't be in base64
	}
	in, err = a.Open()
	if err != nil {
		return nil, "", "", fmt.Errorf("attachment %s: %w", name, err)
	}
	return in, name, kind, nil
}

// write writes the file as a part. Its name is there twice: by RFC 2231, and for older
// programs by RFC 2047.
func (a *Attachment) write(parts *message.Writer) error {
	in, name, kind, err := a.open()
	if err != nil {
		return err
	}
	defer in.Close()
	var f fields
	f.add("Content-Type", typePieces(kind, name))
	f.add("Content-Transfer-Encoding", []string{"base64"})
	f.add("Content-Disposition", withParams("attachment", namePieces("filename", name)))
	var h message.Header
	f.set(&h)
	body, err := parts.CreatePart(h)
	if err != nil {
		return err
	}
	if _, err := io.Copy(body, in); err != nil {
		return fmt.Errorf("attachment %s: %w", name, err)
	}
	return body.Close()
}

// writeUU writes the file as lines of text.
func (a *Attachment) writeUU(body io.Writer) error {
	in, name, _, err := a.open()
	if err != nil {
		return err
	}
	defer in.Close()
	h := uu.Header{Mode: 0o644, Name: name}
	lines := uu.AppendBegin([]byte("\n"), h)
	var octets [45 * 500]byte
	for {
		n, err := io.ReadFull(in, octets[:])
		lines = uu.AppendEncode(lines, octets[:n], uu.Backtick)
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			lines = uu.AppendEnd(lines, h, uu.Backtick)
			_, err = io.WriteString(body, strings.ReplaceAll(string(lines), "\n", "\r\n"))
			return err
		}
		if err != nil {
			return fmt.Errorf("attachment %s: %w", name, err)
		}
		if _, err := io.WriteString(body, strings.ReplaceAll(string(lines), "\n", "\r\n")); err != nil {
			return err
		}
		lines = lines[:0]
	}
}

// counter counts what it writes, and remembers how that has failed.
type counter struct {
	to     io.Writer
	octets int64
	err    error
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.to.Write(p)
	c.octets += int64(n)
	if err != nil {
		c.err = err
	}
	return n, err
}
