package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"postrider/engine/mail/entity"
	"postrider/storage"
)

// composePage is the data of pages/compose.html, with the values of its form.
type composePage struct {
	Frame                 Frame
	Addresses             []string
	From, To, Cc, Bcc     string
	Subject, Text         string
	InReplyTo, References string // message ids without brackets, with blanks between
	Of                    string // the message whose files may be forwarded
	UU                    bool
	Kept                  []keptFile
	Back                  string
	MaxSize               int64
}

// keptFile is an attachment that is there already: uploaded, or of the message that
// is forwarded.
type keptFile struct {
	Field  string // "kept" or "part"
	ID     string // ID of the upload, or path of the part
	Name   string
	Octets int64
	On     bool
}

// quotedText is how much of a message is quoted, in octets.
const quotedText = 256 << 10

// compose is the page for writing: new (?to=), a reply (?reply=, ?all=), or a message
// that is sent on (?forward=).
func (c *Client) compose(w http.ResponseWriter, r *http.Request) {
	s, ok := c.session(w, r)
	if !ok {
		return
	}
	q := r.URL.Query()
	d := c.blank(s)
	d.To, d.Frame.Title = q.Get("to"), "New message"
	for _, how := range []string{"reply", "all", "forward"} {
		if !q.Has(how) {
			continue
		}
		if err := c.answer(r.Context(), &d, s, how, q.Get(how)); err != nil {
			failed(w, s.frame(), err)
			return
		}
	}
	show(w, http.StatusOK, "compose", d)
}

// blank is the form without anything.
func (c *Client) blank(s *session) composePage {
	return composePage{Frame: s.frame(), Addresses: c.cfg.Load().Addresses(s.account), Back: "/", MaxSize: c.cfg.Load().MaxSize}
}

// answer fills the form from the message that is answered or sent on.
func (c *Client) answer(ctx context.Context, d *composePage, s *session, how, text string) error {
	id, err := storage.ParseMessageID(text)
	if err != nil {
		return fmt.Errorf("%w: %w", storage.ErrNotFound, err)
	}
	m, err := Mailbox{Store: c.cfg.Load().Store, Account: s.account.ID}.open(id)
	if err != nil {
		return err
	}
	defer m.Close()
	l, err := read(ctx, storage.NewPlain(m), nil)
	if err != nil {
		return err
	}
	d.Back = "/m/" + id.String()
	if how == "forward" {
		d.forward(l, id)
		return nil
	}
	d.reply(l, how == "all")
	return nil
}

// reply fills in a reply (RFC 5322 section 3.6.4), from the address that the message
// was sent to.
func (d *composePage) reply(l *content, all bool) {
	d.Frame.Title = "Reply"
	d.Subject = prefixed("Re: ", l.head.Subject)
	own := func(address string) bool {
		return slices.ContainsFunc(d.Addresses, func(a string) bool { return strings.EqualFold(a, address) })
	}
	to := l.head.ReplyTo
	if len(to) == 0 {
		to = l.head.From
	}
	if len(to) > 0 && own(to[0].Address) && len(l.head.To) > 0 {
		to = l.head.To // an answer to what we have sent ourselves
	}
	seen := make(map[string]bool)
	d.To = list(to, seen, func(string) bool { return false })
	if all {
		d.Cc = list(append(slices.Clone(l.head.To), l.head.Cc...), seen, own)
	}
	for _, a := range append(slices.Clone(l.head.To), l.head.Cc...) {
		if own(a.Address) {
			d.From = strings.ToLower(a.Address)
			break
		}
	}
	refs := l.head.References
	if len(refs) == 0 {
		refs = l.head.InReplyTo
	}
	if l.head.MessageID != "" {
		d.InReplyTo = l.head.MessageID
		refs = append(slices.Clone(refs), l.head.MessageID)
	}
	if len(refs) > maxReferences {
		refs = append(refs[:1:1], refs[len(refs)-maxReferences+1:]...)
	}
	d.References = strings.Join(refs, " ")
	d.Text = "\n\n" + attribution(l) + "\n" + quoted(readable(l))
}

// maxReferences is how many messages of a thread a reply names: its first and the last.
const maxReferences = 20

// forward fills in a message with another one below, and its files to choose from.
func (d *composePage) forward(l *content, id storage.MessageID) {
	d.Frame.Title = "Forward"
	d.Subject, d.Of = prefixed("Fwd: ", l.head.Subject), id.String()
	var b strings.Builder
	b.WriteString("\n\n-------- Forwarded message --------\n")
	for _, f := range []Field{{"Subject", l.head.Subject}, {"Date", dateOf(l)}, {"From", people(l.head.From)}, {"To", people(l.head.To)}, {"Cc", people(l.head.Cc)}} {
		if f.Value != "" {
			b.WriteString(f.Name + ": " + f.Value + "\n")
		}
	}
	d.Text = b.String() + "\n" + readable(l)
	for _, f := range l.files {
		d.Kept = append(d.Kept, keptFile{"part", f.Path, f.Name, f.Octets, true})
	}
}

func prefixed(prefix, subject string) string {
	if len(subject) >= len(prefix) && strings.EqualFold(subject[:len(prefix)-1], strings.TrimSpace(prefix)) {
		return subject
	}
	return prefix + subject
}

func dateOf(l *content) string {
	if l.head.Date.IsZero() {
		return ""
	}
	return l.head.Date.Format("Mon, 2 Jan 2006 15:04 -0700")
}

func attribution(l *content) string {
	who := "somebody"
	if len(l.head.From) > 0 {
		who = people(l.head.From[:1])
	}
	if at := dateOf(l); at != "" {
		return "On " + at + ", " + who + " wrote:"
	}
	return who + " wrote:"
}

// readable returns the text of a message, or its HTML without the tags if it has no text.
func readable(l *content) string {
	text := string(l.text)
	if len(l.text) == 0 && len(l.html) > 0 {
		text = withoutTags(l.html)
	}
	text = strings.TrimRight(strings.ReplaceAll(text, "\r\n", "\n"), "\n ")
	if len(text) > quotedText {
		text = strings.ToValidUTF8(text[:quotedText], "") + "\n[…]"
	}
	return text
}

// quoted puts "> " before each line. Long lines are folded at blanks: paragraphs of one
// line each are hard to read, and to answer, as a quotation.
func quoted(text string) string {
	if text == "" {
		return ""
	}
	var b strings.Builder
	for line := range strings.SplitSeq(text, "\n") {
		depth := len(line) - len(strings.TrimLeft(line, ">"))
		prefix, rest := ">"+line[:depth], line[depth:]
		if depth > 0 {
			rest = strings.TrimPrefix(rest, " ")
		}
		for first := true; first || rest != ""; first = false {
			n := foldAt(rest, maxQuoted-len(prefix))
			b.WriteString(prefix)
			if n > 0 {
				b.WriteString(" " + rest[:n])
			}
			b.WriteByte('\n')
			if rest = rest[n:]; rest != "" {
				rest = rest[1:] // the blank
			}
		}
	}
	return b.String()
}

// maxQuoted is how long a line of a quotation is, in characters, if it has blanks.
const maxQuoted = 76

// foldAt is where to fold a line, at its end or at a blank, so that it has at most room
// characters if it can.
func foldAt(line string, room int) int {
	count, blank := 0, -1
	for i, r := range line {
		if r == ' ' && i > 0 {
			blank = i
		}
		if count++; count > room && blank > 0 {
			return blank
		}
	}
	return len(line)
}

// backPath is the page that a form came from: a message, or the list.
func backPath(text string) string {
	if u, err := url.Parse(text); err == nil && !u.IsAbs() && u.Host == "" && strings.HasPrefix(u.Path, "/m/") {
		return u.EscapedPath()
	}
	return "/"
}

// explainSending is what a failure to send is to the writer, and the status.
func explainSending(err error) (status int, text string) {
	var big *http.MaxBytesError
	switch {
	case errors.Is(err, errTooLarge), errors.As(err, &big):
		return http.StatusRequestEntityTooLarge, "The attachments are larger than a message may be."
	case errors.Is(err, errTooMuch):
		return http.StatusRequestEntityTooLarge, "Your uploaded attachments are larger than the server allows. Send or discard other messages first."
	case errors.Is(err, ErrRefused):
		return http.StatusForbidden, sentence(err, ErrRefused)
	case errors.Is(err, storage.ErrInvalid):
		return http.StatusUnprocessableEntity, sentence(err, storage.ErrInvalid)
	case errors.Is(err, entity.ErrDamaged):
		return http.StatusUnprocessableEntity, "A file of the message that you forward is damaged: take it out. " + err.Error()
	}
	_, _, text = explain(err)
	return http.StatusServiceUnavailable, "The message was not sent. " + text
}

// sentence is the text of an error without that of its kind.
func sentence(err, kind error) string {
	text := strings.TrimPrefix(err.Error(), kind.Error()+": ")
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:] + "."
}
