package web

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/mail"
	"os"
	"strings"
	"time"

	"postrider/codec/uu"
	"postrider/engine/mail/entity"
	"postrider/engine/mail/incoming"
	"postrider/storage"
)

const (
	maxField   = 2 << 20          // octets of the text
	maxLine    = 256 << 10        // octets of a line of addresses
	maxFields  = 1500             // parts of a form
	fieldCost  = 4                // octets of memory for one of a field, until it is sent
	uploadTime = 30 * time.Second // how long nothing may come of an upload
	sendTime   = 5 * time.Minute  // how long storing a message may take
)

// form is what the compose page sends.
type form struct {
	values  map[string][]string
	uploads []upload // that came with it
}

func (f *form) get(name string) string {
	if v := f.values[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// send handles the form. An error is shown above the form, which is returned with all
// that it had, attachments too.
func (c *Client) send(w http.ResponseWriter, r *http.Request) {
	s, ok := c.session(w, r)
	if !ok {
		return
	}
	f, err := c.readForm(w, r, s)
	if errors.Is(err, errToken) {
		say(w, http.StatusForbidden, s.frame(), "Refused", "This page is too old. Go back, copy your text, and load the page again.")
		return
	}
	d := c.filled(s, f)
	var refused []incoming.Refusal
	if err == nil {
		refused, err = c.submit(r, s, f, &d)
	}
	if err != nil {
		status, text := explainSending(err)
		if status >= http.StatusInternalServerError {
			c.cfg.Load().Log.Error("web: sending for "+s.name(), "err", err)
		}
		d.Frame.Bad = text
		show(w, status, "compose", d)
		return
	}
	c.spool.remove(s, s.kept(append(f.values["kept"], idsOf(f.uploads)...)))
	if len(refused) > 0 {
		say(w, http.StatusOK, s.frame(), "Sent, but not to all", "No such user: "+names(refused)+". The message was sent to all others.")
		return
	}
	http.Redirect(w, r, "/?sent=1", http.StatusSeeOther)
}

func names(rs []incoming.Refusal) string {
	words := make([]string, len(rs))
	for i, r := range rs {
		words[i] = r.Address
	}
	return strings.Join(words, ", ")
}

func idsOf(us []upload) []string {
	ids := make([]string, len(us))
	for i, u := range us {
		ids[i] = u.ID
	}
	return ids
}

// errToken: the form is not from a page of the session.
var errToken = errors.New("the form does not have the session's token")

// readForm reads the parts of a form as they come; files go to the spool. The token
// comes before the first file. What came until an error is in the form.
func (c *Client) readForm(w http.ResponseWriter, r *http.Request, s *session) (*form, error) {
	f := &form{values: make(map[string][]string)}
	r.Body = http.MaxBytesReader(w, patientBody{r.Body, http.NewResponseController(w)}, c.cfg.Load().MaxSize+8*maxField)
	parts, err := r.MultipartReader()
	if err != nil {
		return f, errToken
	}
	left := c.cfg.Load().MaxSize
	for n := 0; ; n++ {
		p, err := parts.NextPart()
		switch {
		case err == io.EOF && n > 0:
			return f, nil
		case err == io.EOF:
			return f, errToken
		case err != nil:
			return f, err
		case n == maxFields:
			return f, errTooMuch
		case n == 0 && p.FormName() != "token":
			return f, errToken // it is the first field of the page
		}
		if p.FileName() == "" && p.FormName() != "file" {
			err = f.field(r.Context(), p)
		} else if p.FileName() != "" { // without a name no file was chosen
			err = c.takeFile(f, s, p, &left)
		}
		if err == nil && n == 0 && !s.owns(f.get("token")) {
			err = errToken
		}
		if err != nil {
			return f, err
		}
	}
}

// fields are the fields of the page, with the octets that one may have, and how often
// it may come.
var fields = map[string]struct{ octets, times int }{
	"token": {200, 1}, "back": {2000, 1}, "inreplyto": {2000, 1}, "references": {64 << 10, 1}, "of": {200, 1}, "from": {2000, 1},
	"to": {maxLine, 1}, "cc": {maxLine, 1}, "bcc": {maxLine, 1}, "subject": {4000, 1}, "text": {maxField, 1}, "uu": {10, 1},
	"kept": {200, maxUploads}, "part": {200, 1000},
}

// field keeps a field that the page has, and passes over others.
func (f *form) field(ctx context.Context, p *multipart.Part) error {
	name := p.FormName()
	may := fields[name]
	if len(f.values[name]) >= may.times {
		return nil
	}
	text, err := readBooked(ctx, nil, p, may.octets+1, fieldCost)
	if err == nil && len(text) > may.octets {
		err = fmt.Errorf("%w: %s is longer than %s", storage.ErrInvalid, name, octets(int64(may.octets)))
	}
	if err != nil {
		return err
	}
	f.values[name] = append(f.values[name], string(text))
	return nil
}

// takeFile spools a file of the form.
func (c *Client) takeFile(f *form, s *session, p *multipart.Part, left *int64) error {
	if err := c.cfg.Load().Store.Admit(0); err != nil { // no room, or soon none: mail comes first
		return err
	}
	u, err := c.spool.put(s, uu.SafeName(p.FileName()), p, *left)
	if err != nil {
		return err
	}
	*left -= u.Octets
	f.uploads = append(f.uploads, u)
	return nil
}

// patientBody is a body whose read deadline is set again for each piece.
type patientBody struct {
	io.ReadCloser
	turn *http.ResponseController
}

func (p patientBody) Read(b []byte) (int, error) {
	_ = p.turn.SetReadDeadline(time.Now().Add(uploadTime)) // not every writer knows deadlines
	_ = p.turn.SetWriteDeadline(time.Now().Add(sendTime + time.Minute))
	return p.ReadCloser.Read(b)
}

// filled returns the page with the values of a form.
func (c *Client) filled(s *session, f *form) composePage {
	d := c.blank(s)
	d.Frame.Title = "New message"
	d.From, d.To, d.Cc, d.Bcc = f.get("from"), f.get("to"), f.get("cc"), f.get("bcc")
	d.Subject, d.Text, d.UU = f.get("subject"), f.get("text"), f.get("uu") != ""
	d.InReplyTo, d.References, d.Of, d.Back = f.get("inreplyto"), f.get("references"), f.get("of"), backPath(f.get("back"))
	for _, u := range append(s.kept(f.values["kept"]), f.uploads...) {
		d.Kept = append(d.Kept, keptFile{"kept", u.ID, u.Name, u.Octets, true})
	}
	return d
}

// submit sends the message of a form. It adds the files of a forwarded message to the page.
func (c *Client) submit(r *http.Request, s *session, f *form, d *composePage) ([]incoming.Refusal, error) {
	ctx, cancel := context.WithTimeout(r.Context(), sendTime)
	defer cancel()
	attachments := c.uploaded(s, f)
	forwarded, kept, err := c.forwarded(ctx, s, f)
	if err != nil {
		return nil, err
	}
	d.Kept = append(d.Kept, kept...)
	draft := entity.Draft{
		From: mail.Address{Address: cmp.Or(d.From, s.name())}, Subject: d.Subject, Date: time.Now(),
		MessageID: rand.Text() + "@" + c.cfg.Load().Hostname, Text: d.Text, UU: d.UU, Attachments: append(attachments, forwarded...),
		InReplyTo: ids(d.InReplyTo), References: ids(d.References),
	}
	m := incoming.Mail{Sender: draft.From.Address, Local: "web client", Origin: s.name() + " by the web client", At: draft.Date}
	var bcc []mail.Address
	for _, line := range []struct {
		name, text string
		to         *[]mail.Address
	}{{"To", d.To, &draft.To}, {"Cc", d.Cc, &draft.Cc}, {"Bcc", d.Bcc, &bcc}} {
		if *line.to, err = entity.TypedAddresses(line.text, c.cfg.Load().DefaultDomain); err != nil {
			return nil, fmt.Errorf("%w: %s: %w", storage.ErrInvalid, line.name, err)
		}
		for _, a := range *line.to {
			m.Recipients = append(m.Recipients, a.Address)
		}
	}
	if len(m.Recipients) == 0 {
		return nil, fmt.Errorf("%w: no recipients", storage.ErrInvalid)
	}
	return c.pass(ctx, s, &draft, m)
}

// pass writes the draft into submission, as it is taken.
func (c *Client) pass(ctx context.Context, s *session, draft *entity.Draft, m incoming.Mail) ([]incoming.Refusal, error) {
	reader, writer := io.Pipe()
	written := make(chan error, 1)
	go func() {
		_, err := draft.WriteTo(writer)
		writer.CloseWithError(err)
		written <- err
	}()
	m.Text = reader
	result, err := c.cfg.Load().Submit(ctx, s.account, m)
	reader.CloseWithError(errors.New("the message is not read on"))
	failed := <-written
	if err != nil {
		return nil, err
	}
	if result.Receipt.ID() == 0 {
		if len(result.Refused) == 0 {
			return nil, cmp.Or(failed, errors.New("the message was not stored"))
		}
		return nil, fmt.Errorf("%w: no such user: %s", storage.ErrInvalid, names(result.Refused))
	}
	return result.Refused, nil
}

// ids are message ids of a form.
func ids(text string) []string {
	words := strings.Fields(text)
	return words[:min(len(words), maxReferences)]
}

// uploaded are the attachments that were uploaded, now or before.
func (c *Client) uploaded(s *session, f *form) (as []entity.Attachment) {
	for _, u := range s.kept(append(f.values["kept"], idsOf(f.uploads)...)) {
		path := c.spool.path(u.ID)
		as = append(as, entity.Attachment{Name: u.Name, Open: func() (io.ReadCloser, error) { return os.Open(path) }})
	}
	return as
}
