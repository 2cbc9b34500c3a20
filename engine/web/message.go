package web

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"postrider/engine/entity"
	"postrider/storage"
)

// letter is a message as it is read for a page: its text and HTML whole, of its files
// what to say about them.
type letter struct {
	head     entity.Head
	text     []byte // of all text parts
	html     []byte // of all HTML parts, as they came
	files    []file
	warnings []string
}

// file is an attachment.
type file struct {
	Path, Name, Type string
	ContentID        string
	Octets           int64
	Damaged          bool
}

// Of a message this much text and HTML is shown.
const (
	maxText = 1 << 20
	maxHTML = 2 << 20
)

// read reads a message. each gets the octets of each file, if it is not nil.
func read(r io.Reader, each func(f file) io.Writer) (*letter, error) {
	l := new(letter)
	var err error
	l.head, err = entity.Walk(r, entity.DefaultLimits, func(leaf entity.Leaf, body io.Reader) error {
		switch {
		case isFile(leaf):
			return l.addFile(leaf, body, each)
		case leaf.Type == "text/html":
			return l.addText(&l.html, maxHTML, body)
		}
		return l.addText(&l.text, maxText, body)
	})
	switch {
	case errors.Is(err, storage.ErrCorrupt):
		return nil, err
	case errors.Is(err, entity.ErrLimit):
		l.warnings = append(l.warnings, "This message has more parts, or deeper ones, than are shown here. Its raw source has all.")
	case err != nil:
		l.warnings = append(l.warnings, "This message could not be read to its end: "+err.Error())
	}
	return l, nil
}

// isFile says whether a part is a file to save, and not shown.
func isFile(leaf entity.Leaf) bool {
	return leaf.Attachment || leaf.UU
}

// addText takes a text part up to a limit.
func (l *letter) addText(to *[]byte, limit int, body io.Reader) error {
	if len(*to) > 0 && (*to)[len(*to)-1] != '\n' {
		*to = append(*to, '\n')
	}
	got, err := io.ReadAll(io.LimitReader(body, int64(limit-len(*to))+1))
	*to = append(*to, got...)
	if len(*to) > limit {
		*to = (*to)[:limit]
		l.warnings = append(l.warnings, fmt.Sprintf("Only the first %s of the text are shown. The raw source has all.", octets(int64(limit))))
	}
	return l.damage(err, "A part of the text")
}

// addFile takes note of a file.
func (l *letter) addFile(leaf entity.Leaf, body io.Reader, each func(file) io.Writer) error {
	f := file{Path: leaf.Path, Name: leaf.FileName(), Type: leaf.Type, ContentID: leaf.ContentID}
	to := io.Discard
	if each != nil {
		to = cmp.Or(each(f), to)
	}
	var err error
	f.Octets, err = io.Copy(to, body)
	f.Damaged = errors.Is(err, entity.ErrDamaged)
	l.files = append(l.files, f)
	return l.damage(err, "“"+f.Name+"”")
}

// damage makes a warning of damage. Other errors end the reading.
func (l *letter) damage(err error, what string) error {
	if errors.Is(err, entity.ErrDamaged) {
		l.warnings = append(l.warnings, what+" is damaged: "+err.Error())
		return nil
	}
	return err
}

// messagePage is the data of pages/message.html.
type messagePage struct {
	Frame            Frame
	ID, Older        string
	Subject          string
	Fields, Envelope []Field
	Date             time.Time
	Warnings         []string
	HTML, HasHTML    bool
	Lines            []block
	Files            []file
	Octets           int64
}

func (p *Pages) message(w http.ResponseWriter, r *http.Request) {
	v, m, ok := p.open(w, r)
	if !ok {
		return
	}
	defer m.Close()
	l, err := read(storage.NewPlain(m), nil)
	if err != nil {
		p.failed(w, v.Frame, err)
		return
	}
	e := m.Entry()
	d := messagePage{Frame: v.Frame, ID: e.ID.String(), Subject: cmp.Or(l.head.Subject, "(no subject)"),
		Date: l.head.Date, Warnings: l.warnings, Lines: blocks(string(l.text)), Files: l.files, Octets: e.Octets(),
		HasHTML: len(l.html) > 0}
	d.Frame.Title = d.Subject
	d.HTML = d.HasHTML && (r.URL.Query().Get("as") != "text" || len(l.text) == 0)
	for _, f := range []Field{
		{"From", people(l.head.From)}, {"Reply to", people(l.head.ReplyTo)}, {"To", people(l.head.To)}, {"Cc", people(l.head.Cc)},
	} {
		if f.Value != "" && (f.Name != "Reply to" || f.Value != people(l.head.From)) {
			d.Fields = append(d.Fields, f)
		}
	}
	if p.Fields != nil {
		d.Envelope = p.Fields(e)
	}
	if id := v.Mailbox.olderThan(e.ID); id != 0 {
		d.Older = id.String()
	}
	show(w, http.StatusOK, "message", d)
}

// open opens the message of a request, or answers why not. The caller closes it.
func (p *Pages) open(w http.ResponseWriter, r *http.Request) (View, *opened, bool) {
	v, ok := p.Of(w, r)
	if !ok {
		return v, nil, false
	}
	id, err := storage.ParseMessageID(r.PathValue("id"))
	if err != nil {
		p.failed(w, v.Frame, storage.ErrNotFound)
		return v, nil, false
	}
	m, err := v.Mailbox.open(id)
	if err != nil {
		p.failed(w, v.Frame, err)
		return v, nil, false
	}
	return v, m, true
}
