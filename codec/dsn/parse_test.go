package dsn

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"net/textproto"
	"strings"
	"testing"

	gomessage "github.com/emersion/go-message"
)

// parsed is a notification as a mail program sees it.
type parsed struct {
	header     mail.Header
	boundary   string
	parts      []part
	message    textproto.MIMEHeader   // the per-message fields of the second part
	recipients []textproto.MIMEHeader // and its per-recipient fields
}

type part struct {
	header textproto.MIMEHeader
	kind   string // media type
	params map[string]string
	text   string
}

// parse reads a notification with the standard library, and then with go-message,
// which has to see the same.
func parse(t *testing.T, b []byte) *parsed {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(b))
	if err != nil {
		t.Fatalf("%v in\n%s", err, b)
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/report" || params["report-type"] != "delivery-status" {
		t.Fatalf("Content-Type %q, %v: %v", kind, params, err)
	}
	p := &parsed{header: m.Header, boundary: params["boundary"]}
	for in := multipart.NewReader(m.Body, p.boundary); ; {
		raw, err := in.NextRawPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, b)
		}
		text, err := io.ReadAll(raw)
		if err != nil {
			t.Fatal(err)
		}
		kind, params, err := mime.ParseMediaType(raw.Header.Get("Content-Type"))
		if err != nil {
			t.Fatal(err)
		}
		p.parts = append(p.parts, part{raw.Header, kind, params, string(text)})
	}
	if len(p.parts) != 3 && len(p.parts) != 2 {
		t.Fatalf("%d parts in\n%s", len(p.parts), b)
	}
	p.readStatus(t)
	p.compare(t, b)
	return p
}

// readStatus reads the groups of fields of the second part.
func (p *parsed) readStatus(t *testing.T) {
	t.Helper()
	in := textproto.NewReader(bufio.NewReader(strings.NewReader(p.parts[1].text)))
	for {
		fields, err := in.ReadMIMEHeader()
		if err != nil && err != io.EOF {
			t.Fatalf("%v in\n%s", err, p.parts[1].text)
		}
		if p.message == nil {
			p.message = fields
		} else if len(fields) > 0 {
			p.recipients = append(p.recipients, fields)
		}
		if err == io.EOF {
			return
		}
	}
}

// compare reads the notification with go-message.
func (p *parsed) compare(t *testing.T, b []byte) {
	t.Helper()
	m, err := gomessage.Read(bytes.NewReader(b))
	if err != nil {
		t.Fatalf("go-message: %v in\n%s", err, b)
	}
	in := m.MultipartReader()
	if in == nil {
		t.Fatalf("go-message sees no multipart in\n%s", b)
	}
	for i := 0; ; i++ {
		e, err := in.NextPart()
		if errors.Is(err, io.EOF) {
			if i != len(p.parts) {
				t.Fatalf("go-message sees %d parts in\n%s", i, b)
			}
			return
		}
		if err != nil && !gomessage.IsUnknownCharset(err) || i >= len(p.parts) {
			t.Fatalf("go-message: part %d: %v in\n%s", i, err, b)
		}
		text, err := io.ReadAll(e.Body)
		kind, _, typeErr := e.Header.ContentType()
		if err != nil || typeErr != nil || kind != p.parts[i].kind || string(text) != p.parts[i].text {
			t.Fatalf("go-message: part %d is %q %q, %v, %v; want %q %q", i, kind, text, err, typeErr, p.parts[i].kind, p.parts[i].text)
		}
	}
}

// want checks fields; "" wants none.
func want(t *testing.T, got map[string][]string, fields map[string]string) {
	t.Helper()
	for name, value := range fields {
		is := got[textproto.CanonicalMIMEHeaderKey(name)]
		if value == "" && len(is) == 0 || len(is) == 1 && is[0] == value {
			continue
		}
		t.Errorf("%s is %q, want %q", name, is, value)
	}
}
