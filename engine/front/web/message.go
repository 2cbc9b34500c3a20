package web

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"postrider/codec/message"
	"postrider/engine/mail/entity"
	"postrider/storage"
)

// content is a message as it is read for a page: its text and HTML whole, and a
// description of each of its files.
type content struct {
	ctx      context.Context // context of the request that the message is read for
	head     entity.Head
	text     []byte // all text parts
	html     []byte // all HTML parts, as they came
	location string // Content-Location of the first of them
	files    []file
	warnings []string
}

// file is an attachment.
type file struct {
	Path, Name, Type    string
	ContentID, Location string
	Octets              int64
	Damaged             bool
}

// These bound the text and HTML that is shown for a message.
const (
	maxText = 1 << 20
	maxHTML = 2 << 20
)

// What reading a message costs in memory: its header and the window, and for each octet
// of text what is made of it.
const (
	readCost = 512 << 10
	textCost = 6
	htmlCost = 3 // before it is sanitised, see cleanCost
	lineCost = 256
)

// read reads a message. each gets the octets of each file, if it is not nil.
func read(ctx context.Context, r io.Reader, each func(f file) io.Writer) (*content, error) {
	l := &content{ctx: ctx}
	if err := Take(ctx, readCost); err != nil {
		return nil, err
	}
	var err error
	l.head, err = entity.Walk(attended{ctx, r}, entity.DefaultLimits, func(leaf entity.Leaf, body io.Reader) error {
		switch {
		case isFile(leaf):
			return l.addFile(leaf, body, each)
		case leaf.Type == "text/html":
			l.location = cmp.Or(l.location, leaf.Location)
			return l.addText(&l.html, maxHTML, htmlCost, body)
		}
		return l.addText(&l.text, maxText, textCost, body)
	})
	switch {
	case errors.Is(err, storage.ErrCorrupt), errors.Is(err, ErrOverloaded), ctx.Err() != nil:
		return nil, cmp.Or(ctx.Err(), err)
	case errors.Is(err, entity.ErrLimit):
		l.warnings = append(l.warnings, "This message has more parts, or deeper ones, than are shown here. Its raw source has all.")
	case err != nil:
		l.warnings = append(l.warnings, "This message could not be read to its end: "+err.Error())
	}
	return l, nil
}

// isFile reports whether a part is a file to save, and not shown.
func isFile(leaf entity.Leaf) bool {
	return leaf.Attachment || leaf.UU
}

// addText takes a text part up to a limit.
func (l *content) addText(to *[]byte, limit int, cost int64, body io.Reader) error {
	if len(*to) > 0 && (*to)[len(*to)-1] != '\n' {
		*to = append(*to, '\n')
	}
	got, err := readBooked(l.ctx, *to, body, limit-len(*to)+1, cost)
	*to = got
	if len(*to) > limit {
		*to = (*to)[:limit]
		l.warnings = append(l.warnings, fmt.Sprintf("Only the first %s of the text are shown. The raw source has all.", octets(int64(limit))))
	}
	return l.damage(err, "A part of the text")
}

// addFile takes note of a file.
func (l *content) addFile(leaf entity.Leaf, body io.Reader, each func(file) io.Writer) error {
	f := file{Path: leaf.Path, Name: leaf.FileName(), Type: leaf.Type, ContentID: leaf.ContentID, Location: leaf.Location}
	to := io.Discard
	if each != nil {
		if taker := each(f); taker != nil {
			to = taker
		}
	}
	var err error
	f.Octets, err = io.Copy(to, body)
	f.Damaged = errors.Is(err, entity.ErrDamaged)
	l.files = append(l.files, f)
	return l.damage(err, "“"+f.Name+"”")
}

// damage makes a warning of damage. Other errors end the reading.
func (l *content) damage(err error, what string) error {
	if errors.Is(err, entity.ErrDamaged) {
		l.warnings = append(l.warnings, what+" is damaged: "+err.Error())
		return nil
	}
	return err
}

// messagePage is the data of pages/message.html.
type messagePage struct {
	Frame            Frame
	ID, Newer, Older string
	Subject          string
	Fields, Envelope []Field
	Date             time.Time
	HasDate          bool // there is a field that can't be read
	Arrival          time.Time
	Warnings         []string
	As               string // what is shown: html, text, source, headers
	Views            []view
	Lines            []block
	Source           string  // source of the HTML
	Header           []Field // all fields
	Blocked          int     // pictures of other hosts
	Remote           bool    // which may be loaded
	Files            []file
	Octets           int64
}

// view is a way to look at a message.
type view struct {
	As, Name string
	On       bool
}

func (p *Pages) message(w http.ResponseWriter, r *http.Request) {
	v, m, ok := p.open(w, r)
	if !ok {
		return
	}
	defer m.Close()
	g := gallery{names: true}
	l, err := read(r.Context(), storage.NewPlain(m), g.take)
	if err != nil {
		p.failed(w, v.Frame, err)
		return
	}
	if err := Take(r.Context(), int64(min(bytes.Count(l.text, []byte("\n")), maxLines))*lineCost); err != nil {
		p.failed(w, v.Frame, err)
		return
	}
	e := m.Entry()
	d := messagePage{Frame: v.Frame, ID: e.ID.String(), Subject: cmp.Or(l.head.Subject, "(no subject)"),
		Date: l.head.Date, Arrival: e.Arrival, Warnings: l.warnings, Files: l.files, Octets: e.Octets()}
	d.Frame.Title = d.Subject
	d.choose(r.URL.Query().Get("as"), l)
	switch d.As {
	case "html":
		g.base = l.location
		prepare(l.html, &g)
		d.Blocked, d.Remote = g.blocked, g.blocked > 0 && r.URL.Query().Get("pictures") == "1"
	case "text":
		d.Lines = blocks(string(l.text))
	case "source":
		d.Source = plainControls(string(l.html))
	case "headers":
		if d.Header, err = v.Mailbox.header(e.ID); err != nil {
			p.failed(w, v.Frame, err)
			return
		}
	}
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
	if d.Date.IsZero() {
		fields, err := v.Mailbox.header(e.ID)
		d.HasDate = err == nil && slices.ContainsFunc(fields, func(f Field) bool { return strings.EqualFold(f.Name, "Date") })
	}
	if id := v.Mailbox.olderThan(e.ID); id != 0 {
		d.Older = id.String()
	}
	if id := v.Mailbox.newerThan(e.ID); id != 0 {
		d.Newer = id.String()
	}
	show(w, http.StatusOK, "message", d)
}

// choose picks what is shown: what was asked for if the message has it, else HTML, else text.
func (d *messagePage) choose(as string, l *content) {
	if len(l.html) > 0 {
		d.Views = append(d.Views, view{As: "html", Name: "HTML"})
	}
	if len(l.text) > 0 || len(l.html) == 0 {
		d.Views = append(d.Views, view{As: "text", Name: "Text"})
	}
	if len(l.html) > 0 {
		d.Views = append(d.Views, view{As: "source", Name: "HTML source"})
	}
	d.Views = append(d.Views, view{As: "headers", Name: "Headers"})
	at := max(slices.IndexFunc(d.Views, func(v view) bool { return v.As == as }), 0)
	d.Views[at].On, d.As = true, d.Views[at].As
}

// maxHeader and maxFields bound the header that is shown: octets, and fields.
const (
	maxHeader       = 256 << 10
	maxHeaderFields = 1000
)

// header are the fields of a message as they came, unfolded.
func (b Mailbox) header(id storage.MessageID) (fields []Field, err error) {
	m, err := b.open(id)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	text, err := io.ReadAll(io.LimitReader(storage.NewPlain(m), maxHeader))
	if err != nil {
		return nil, err
	}
	for {
		f, rest, ok := message.Next(text)
		switch {
		case !ok:
			return fields, nil
		case len(fields) == maxHeaderFields:
			return append(fields, Field{"…", "The raw source has all."}), nil
		}
		fields = append(fields, Field{plainControls(strings.ToValidUTF8(string(f.Name), "\ufffd")), plainControls(strings.ToValidUTF8(string(f.Unfolded()), "\ufffd"))})
		text = rest
	}
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
