package capture

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net/mail"
	"slices"
	"strings"
	"time"

	"postrider/engine/front/web"
	"postrider/engine/mail/entity"
	"postrider/engine/mail/hypertext"
	"postrider/storage"
)

// The shapes of the API are Mailpit's: field for field what its clients look for.

// address is one of a header, or a forward-path.
type address struct{ Name, Address string }

// summary is a message in a list.
type summary struct {
	ID          string
	MessageID   string
	Read        bool
	From        *address
	To          []address
	Cc          []address
	Bcc         []address // forward-paths that the header does not name
	ReplyTo     []address
	Subject     string
	Created     time.Time
	Tags        []string
	Size        int64 // octets
	Attachments int
	Snippet     string
	Envelope    Envelope

	inline   int  // parts within the text: images
	strictly bool // the query is true of the header alone, see query.matches
}

// file is an attachment of a message.
type file struct {
	PartID      string
	FileName    string
	ContentType string
	ContentID   string
	Size        int64 // octets
}

// whole is a message with its text.
type whole struct {
	ID, MessageID string
	From          *address
	To, Cc, Bcc   []address
	ReplyTo       []address
	ReturnPath    string
	Subject       string
	Date          time.Time
	// DateSource is "arrival" when the message has no Date that can be read, and Date is
	// when it arrived.
	DateSource  string `json:",omitempty"`
	Tags        []string
	Size        int64
	Text, HTML  string
	Inline      []file
	Attachments []file
	Envelope    Envelope
	// Damage lists what could not be read.
	Damage []string `json:",omitempty"`
}

const (
	// maxGlance is how much of a message is always read for a list, and maxGlances how
	// much of all messages of one list: of longer ones attachments further back are not
	// counted.
	maxGlance  = 256 << 10
	maxGlances = 64 << 20
	maxSnippet = 250      // octets
	maxText    = 4 << 20  // octets of text, and of HTML, that are given
	maxLooked  = 4 << 20  // octets of text that are searched
	maxStyled  = 64 << 10 // octets of HTML that are read for a snippet
)

// looked is what a search reads of a message.
type looked struct {
	ctx   context.Context
	peak  *int            // octets of words that memory is booked for
	limit int64           // octets of the message
	text  bool            // the text is wanted
	words strings.Builder // text, HTML and names of files, a line each
	read  int             // octets of text
	whole bool            // all of the message was read, and all of its text
}

// add takes the words of a text up to maxLooked.
func (l *looked) add(r io.Reader) error {
	if err := web.Take(l.ctx, 0); err != nil { // the client has gone
		return err
	}
	text, err := io.ReadAll(io.LimitReader(booked{l, r}, int64(maxLooked-l.words.Len())+1))
	if l.words.Len()+len(text) > maxLooked {
		text, l.whole = text[:maxLooked-l.words.Len()], false
	}
	l.words.WriteString(fold(string(text)))
	l.words.WriteByte('\n')
	return err
}

// booked books memory for what is read, once for all messages of a search.
type booked struct {
	l  *looked
	in io.Reader
}

// wordsCost is what an octet of text costs while it is searched: as it came, folded, joined.
const wordsCost = 5

func (b booked) Read(p []byte) (int, error) {
	n, err := b.in.Read(p)
	if b.l.read += n; b.l.read > *b.l.peak {
		if err := web.Take(b.l.ctx, int64(b.l.read-*b.l.peak)*wordsCost); err != nil {
			return 0, err
		}
		*b.l.peak = b.l.read
	}
	return n, err
}

// isInline sorts parts as Mailpit does: the disposition decides. A part without one that
// has a Content-ID is shown within the text.
func isInline(leaf entity.Leaf) bool {
	return leaf.Attachment && leaf.Disposition != "attachment" && !leaf.UU && (leaf.Disposition == "inline" || leaf.ContentID != "")
}

// summarize reads the entry that a list has for a message, and what l needs.
func summarize(m storage.Message, l *looked) (summary, error) {
	e := m.Entry()
	s := summary{ID: e.ID.String(), Created: e.Arrival, Tags: []string{}, Size: e.Octets(), Envelope: envelopeOf(e)}
	l.whole = l.limit >= e.Octets()
	html := ""
	head, err := entity.Walk(io.LimitReader(storage.NewPlain(m), l.limit), entity.DefaultLimits, func(leaf entity.Leaf, body io.Reader) error {
		switch {
		case isInline(leaf):
			s.inline++
			return unlessDamaged(l.name(leaf))
		case leaf.Attachment:
			s.Attachments++
			return unlessDamaged(l.name(leaf))
		case leaf.Type == "text/html":
			return unlessDamaged(s.lookHTML(l, body, &html))
		}
		return unlessDamaged(s.lookText(l, body))
	})
	s.Snippet = cmp.Or(s.Snippet, html)
	s.MessageID, s.Subject = head.MessageID, head.Subject
	s.From = first(head.From)
	s.To, s.Cc, s.ReplyTo = addresses(head.To), addresses(head.Cc), addresses(head.ReplyTo)
	s.Bcc = blind(s.Envelope, s.To, s.Cc)
	switch {
	case errors.Is(err, entity.ErrLimit):
		err, l.whole = nil, false
	case errors.Is(err, storage.ErrCorrupt): // the others are still to be seen
		s.Subject, s.Snippet = cmp.Or(s.Subject, "(damaged)"), "This message can't be read to its end: the stored data is damaged."
		err, l.whole = nil, false
	}
	return s, unlessDamaged(err)
}

// name takes the name of a file.
func (l *looked) name(leaf entity.Leaf) error {
	if !l.text {
		return nil
	}
	return l.add(strings.NewReader(leaf.Name))
}

// lookText reads a plain text for the snippet and the search.
func (s *summary) lookText(l *looked, body io.Reader) error {
	begin, err := io.ReadAll(io.LimitReader(body, 4*maxSnippet))
	s.Snippet = cmp.Or(s.Snippet, snippet(begin))
	if err == nil && l.text {
		err = l.add(io.MultiReader(bytes.NewReader(begin), body))
	}
	return err
}

// lookHTML reads HTML for the search, and for the snippet of a message without text.
func (s *summary) lookHTML(l *looked, body io.Reader, html *string) error {
	var begin bytes.Buffer
	words, err := io.ReadAll(io.LimitReader(hypertext.Words(io.TeeReader(io.LimitReader(body, maxStyled), &begin)), 4*maxSnippet))
	*html = cmp.Or(*html, snippet(words))
	if err == nil && l.text {
		err = l.add(hypertext.WholeText(io.MultiReader(&begin, body)))
	}
	return err
}

// snippet is the beginning of a text in one line.
func snippet(text []byte) string {
	line := entity.Printable(strings.Join(strings.Fields(string(text)), " "))
	if len(line) > maxSnippet {
		line = strings.ToValidUTF8(line[:maxSnippet], "") + "..."
	}
	return line
}

// unlessDamaged is err, if it is the store's and not the message's.
func unlessDamaged(err error) error {
	if errors.Is(err, entity.ErrDamaged) {
		return nil
	}
	return err
}

// kept is a buffer whose memory is booked: as it is, and as JSON.
type kept struct {
	ctx context.Context
	b   bytes.Buffer
}

func (k *kept) Write(p []byte) (int, error) {
	if err := web.Take(k.ctx, 5*int64(len(p))); err != nil {
		return 0, err
	}
	return k.b.Write(p)
}

// read reads a message to its end.
func read(ctx context.Context, m storage.Message) (whole, error) {
	e := m.Entry()
	w := whole{ID: e.ID.String(), Tags: []string{}, Size: e.Octets(), Inline: []file{}, Attachments: []file{}, Envelope: envelopeOf(e)}
	text, html := kept{ctx: ctx}, kept{ctx: ctx}
	head, err := entity.Walk(storage.NewPlain(m), entity.DefaultLimits, func(leaf entity.Leaf, body io.Reader) error {
		var err error
		switch {
		case leaf.Attachment:
			f := file{PartID: leaf.Path, FileName: leaf.FileName(), ContentType: leaf.Type, ContentID: leaf.ContentID}
			f.Size, err = io.Copy(io.Discard, body)
			if isInline(leaf) {
				w.Inline = append(w.Inline, f)
			} else {
				w.Attachments = append(w.Attachments, f)
			}
		case leaf.Type == "text/html":
			_, err = io.Copy(&html, io.LimitReader(body, int64(maxText-html.b.Len())))
		default:
			_, err = io.Copy(&text, io.LimitReader(body, int64(maxText-text.b.Len())))
		}
		if errors.Is(err, entity.ErrDamaged) {
			w.Damage, err = append(w.Damage, err.Error()), nil
		}
		return err
	})
	if errors.Is(err, entity.ErrLimit) {
		w.Damage, err = append(w.Damage, err.Error()), nil
	}
	w.Text, w.HTML = text.b.String(), html.b.String()
	if text.b.Len() == 0 && html.b.Len() > 0 {
		plain, _ := io.ReadAll(io.LimitReader(hypertext.PlainText(&html.b), maxText)) // reads octets in memory
		w.Text = string(plain)
	}
	w.MessageID, w.Subject, w.Date, w.ReturnPath = head.MessageID, head.Subject, head.Date, w.Envelope.From
	if w.Date.IsZero() {
		w.Date, w.DateSource = e.Arrival, "arrival"
		if head.DateField != "" {
			w.Damage = append(w.Damage, "the Date field can't be read: "+head.DateField)
		}
	}
	w.From = first(head.From)
	w.To, w.Cc, w.ReplyTo = addresses(head.To), addresses(head.Cc), addresses(head.ReplyTo)
	w.Bcc = blind(w.Envelope, w.To, w.Cc)
	return w, err
}

func first(list []*mail.Address) *address {
	if len(list) == 0 {
		return nil
	}
	return &address{list[0].Name, list[0].Address}
}

func addresses(list []*mail.Address) []address {
	as := make([]address, len(list))
	for i, a := range list {
		as[i] = address{a.Name, a.Address}
	}
	return as
}

// blind are the forward-paths that no one of the lists has.
func blind(env Envelope, lists ...[]address) []address {
	named := make(map[string]bool)
	for _, a := range slices.Concat(lists...) {
		named[strings.ToLower(a.Address)] = true
	}
	as := []address{}
	for _, to := range env.To {
		if !named[strings.ToLower(to)] {
			as = append(as, address{Address: to})
		}
	}
	return as
}
