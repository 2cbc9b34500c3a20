package e2e

import (
	"bufio"
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	netmail "net/mail"
	"net/textproto"
	"strings"
	"testing"

	gomessage "github.com/emersion/go-message"
)

// notice is a delivery status notification (RFC 3464) as a mail program reads it.
type notice struct {
	header     netmail.Header
	words      string // the part for people
	message    textproto.MIMEHeader
	recipients []textproto.MIMEHeader
	kind       string // media type of the returned part
	returned   string
	raw        []byte
}

// parseNotice reads a notification with two parsers, go-message and the standard
// library's, which have to see the same three parts.
func parseNotice(t *testing.T, raw []byte) *notice {
	t.Helper()
	m, err := netmail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatalf("%v in\n%s", err, raw)
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/report" || params["report-type"] != "delivery-status" {
		t.Fatalf("a notification was expected, not %q, %v: %v in\n%s", kind, params, err, raw)
	}
	kinds, texts := standardParts(t, m.Body, params["boundary"])
	otherKinds, otherTexts := publicParts(t, raw)
	if strings.Join(kinds, " ") != strings.Join(otherKinds, " ") || strings.Join(texts, "\x00") != strings.Join(otherTexts, "\x00") {
		t.Fatalf("two parsers see different parts, %v and %v, of\n%s", kinds, otherKinds, raw)
	}
	if len(kinds) != 3 || kinds[0] != "text/plain" || kinds[1] != "message/delivery-status" {
		t.Fatalf("the parts are %v in\n%s", kinds, raw)
	}
	n := &notice{header: m.Header, words: texts[0], kind: kinds[2], returned: texts[2], raw: raw}
	in := textproto.NewReader(bufio.NewReader(strings.NewReader(texts[1])))
	for {
		fields, err := in.ReadMIMEHeader()
		if err != nil && err != io.EOF {
			t.Fatalf("%v in\n%s", err, texts[1])
		}
		switch {
		case len(fields) == 0:
		case n.message == nil:
			n.message = fields
		default:
			n.recipients = append(n.recipients, fields)
		}
		if err == io.EOF {
			break
		}
	}
	if n.message.Get("Reporting-Mta") != "dns; mx.localhost" || len(n.recipients) == 0 {
		t.Fatalf("the status part is\n%s", texts[1])
	}
	if n.header.Get("Auto-Submitted") == "" || n.header.Get("From") == "" || n.header.Get("Date") == "" || n.header.Get("Message-Id") == "" {
		t.Errorf("a field is missing in the header %v", n.header)
	}
	return n
}

func standardParts(t *testing.T, body io.Reader, boundary string) (kinds, texts []string) {
	t.Helper()
	for in := multipart.NewReader(body, boundary); ; {
		part, err := in.NextRawPart()
		if err == io.EOF {
			return kinds, texts
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(part)
		if err != nil {
			t.Fatal(err)
		}
		kind, _, err := mime.ParseMediaType(part.Header.Get("Content-Type"))
		if err != nil {
			t.Fatal(err)
		}
		kinds, texts = append(kinds, kind), append(texts, string(text))
	}
}

func publicParts(t *testing.T, raw []byte) (kinds, texts []string) {
	t.Helper()
	whole, err := gomessage.Read(bytes.NewReader(raw))
	if err != nil {
		t.Fatalf("go-message: %v", err)
	}
	parts := whole.MultipartReader()
	if parts == nil {
		t.Fatalf("go-message sees no parts in\n%s", raw)
	}
	for {
		part, err := parts.NextPart()
		if err == io.EOF {
			return kinds, texts
		}
		if err != nil && !gomessage.IsUnknownCharset(err) {
			t.Fatalf("go-message: %v", err)
		}
		text, err := io.ReadAll(part.Body)
		if err != nil {
			t.Fatalf("go-message: %v", err)
		}
		kind, _, err := part.Header.ContentType()
		if err != nil {
			t.Fatalf("go-message: %v", err)
		}
		kinds, texts = append(kinds, kind), append(texts, string(text))
	}
}

// notices are the notifications in a maildrop that are about a recipient.
func (s *server) notices(account, recipient string) (about []*notice) {
	s.t.Helper()
	for _, raw := range s.fetch(account, false) {
		n := parseNotice(s.t, raw)
		for _, fields := range n.recipients {
			if fields.Get("Final-Recipient") == "rfc822; "+recipient {
				about = append(about, n)
			}
		}
	}
	return about
}

// notice waits for a notification with this action about a recipient,
// and returns it with the fields that are about that one.
func (s *server) notice(account, recipient, action string) (*notice, textproto.MIMEHeader) {
	s.t.Helper()
	var found *notice
	var about textproto.MIMEHeader
	eventually(s.t, "a notification says "+action+" of "+recipient, func() bool {
		for _, n := range s.notices(account, recipient) {
			for _, fields := range n.recipients {
				if fields.Get("Final-Recipient") == "rfc822; "+recipient && fields.Get("Action") == action {
					found, about = n, fields
				}
			}
		}
		return found != nil
	})
	return found, about
}
