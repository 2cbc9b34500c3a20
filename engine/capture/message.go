package capture

import (
	"bytes"
	"errors"
	"io"
	"net/mail"
	"slices"
	"strings"
	"time"

	"postrider/engine/entity"
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
	// Damage says what of the message could not be read.
	Damage []string `json:",omitempty"`
}

const (
	// maxGlance is how much of a message is read for a list: of longer ones attachments
	// further back are not counted.
	maxGlance  = 256 << 10
	maxSnippet = 250      // octets
	maxText    = 4 << 20  // octets of text, and of HTML, that are given
	maxLooked  = 64 << 10 // octets of text that are searched
)

// summarize reads what a list says of a message, and the beginning of its text into
// looked, unless that is nil.
func summarize(m storage.Message, looked *strings.Builder) (summary, error) {
	e := m.Entry()
	s := summary{ID: e.ID.String(), Created: e.Arrival, Tags: []string{}, Size: e.Octets(), Envelope: envelopeOf(e)}
	head, err := entity.Walk(io.LimitReader(storage.NewPlain(m), maxGlance), entity.DefaultLimits, func(leaf entity.Leaf, body io.Reader) error {
		if leaf.Attachment {
			s.Attachments++
			return nil
		}
		limit := 4 * maxSnippet
		if looked != nil {
			limit = maxLooked - looked.Len()
		}
		text, err := io.ReadAll(io.LimitReader(body, int64(limit)))
		if looked != nil {
			looked.Write(text)
		}
		if s.Snippet == "" && leaf.Type == "text/plain" {
			s.Snippet = snippet(text[:min(len(text), 4*maxSnippet)])
		}
		return unlessDamaged(err)
	})
	s.MessageID, s.Subject = head.MessageID, head.Subject
	s.From = first(head.From)
	s.To, s.Cc, s.ReplyTo = addresses(head.To), addresses(head.Cc), addresses(head.ReplyTo)
	s.Bcc = blind(s.Envelope, s.To, s.Cc)
	if errors.Is(err, entity.ErrLimit) {
		err = nil
	}
	return s, unlessDamaged(err)
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

// read reads a message to its end.
func read(m storage.Message) (whole, error) {
	e := m.Entry()
	w := whole{ID: e.ID.String(), Tags: []string{}, Size: e.Octets(), Inline: []file{}, Attachments: []file{}, Envelope: envelopeOf(e)}
	var text, html bytes.Buffer
	head, err := entity.Walk(storage.NewPlain(m), entity.DefaultLimits, func(leaf entity.Leaf, body io.Reader) error {
		var err error
		switch {
		case leaf.Attachment:
			f := file{PartID: leaf.Path, FileName: leaf.FileName(), ContentType: leaf.Type, ContentID: leaf.ContentID}
			f.Size, err = io.Copy(io.Discard, body)
			if leaf.ContentID != "" {
				w.Inline = append(w.Inline, f)
			} else {
				w.Attachments = append(w.Attachments, f)
			}
		case leaf.Type == "text/html":
			_, err = io.Copy(&html, io.LimitReader(body, int64(maxText-html.Len())))
		default:
			_, err = io.Copy(&text, io.LimitReader(body, int64(maxText-text.Len())))
		}
		if errors.Is(err, entity.ErrDamaged) {
			w.Damage, err = append(w.Damage, err.Error()), nil
		}
		return err
	})
	if errors.Is(err, entity.ErrLimit) {
		w.Damage, err = append(w.Damage, err.Error()), nil
	}
	w.Text, w.HTML = text.String(), html.String()
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
