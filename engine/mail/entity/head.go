package entity

import (
	"bufio"
	"io"
	"net/mail"
	"strings"
	"time"
	"unicode"

	"postrider/codec/message"
)

// Head is what people look at of a header, in UTF-8 without control characters. What
// can't be read of it is empty, and never an error.
type Head struct {
	From, To, Cc, ReplyTo []*mail.Address
	Subject               string
	Date                  time.Time // zero: none, or not readable
	DateField             string    // value of the Date field; "": there is no such field
	MessageID             string    // without angle brackets, as in References
	InReplyTo, References []string
	// Files: the message has several parts (multipart/mixed), so that it probably has
	// files. Only reading it shows them.
	Files bool
}

// ReadHead reads the header of the message r, and not further than the window of a
// reader at the body.
func ReadHead(r io.Reader, l Limits) (Head, error) {
	s := splitter{in: bufio.NewReaderSize(r, 4<<10)}
	s.mark()
	text, _, err := s.header(l.Header)
	return head(text), err
}

// head reads a header's text.
func head(text []byte) Head {
	kind, _ := params(field(text, "Content-Type"))
	h := Head{
		From:       ReadAddresses(list(text, "From")),
		To:         ReadAddresses(list(text, "To")),
		Cc:         ReadAddresses(list(text, "Cc")),
		ReplyTo:    ReadAddresses(list(text, "Reply-To")),
		Subject:    ReadText(field(text, "Subject")),
		DateField:  Printable(inUTF8(field(text, "Date"), "")),
		InReplyTo:  messageIDs(field(text, "In-Reply-To")),
		References: messageIDs(field(text, "References")),
		Files:      kind == "multipart/mixed",
	}
	if id := messageIDs(field(text, "Message-ID")); len(id) > 0 {
		h.MessageID = id[0]
	}
	if date, ok := ReadDate(field(text, "Date")); ok {
		h.Date = date
	}
	return h
}

// field is the first field's value in one line.
func field(text []byte, name string) string {
	f, ok := message.Find(text, name)
	if !ok {
		return ""
	}
	return string(f.Unfolded())
}

// list is what all fields of this name list: some programs write one for each address.
func list(text []byte, name string) string {
	var b strings.Builder
	for {
		f, rest, ok := message.Next(text)
		if !ok {
			return b.String()
		}
		if f.Is(name) {
			if b.Len() > 0 {
				b.WriteString(", ")
			}
			b.Write(f.Unfolded())
		}
		text = rest
	}
}

// messageIDs returns the ids between angle brackets, at most 100.
func messageIDs(value string) (ids []string) {
	for len(ids) < 100 {
		_, rest, ok := strings.Cut(value, "<")
		id, rest, closed := strings.Cut(rest, ">")
		if !ok || !closed {
			return ids
		}
		if id = Printable(strings.TrimSpace(id)); id != "" && !strings.ContainsAny(id, " <") {
			ids = append(ids, id)
		}
		value = rest
	}
	return ids
}

// Printable is text in one line that can do nothing to a terminal or a page: control
// characters become blanks; what is invisible or turns the direction of writing is gone.
func Printable(text string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r), r == '\u2028', r == '\u2029':
			return ' '
		case unicode.Is(unicode.Cf, r) && r != '\u200d' && r != '\u200c': // joiners make emoji and Persian
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, "\ufffd")))
}
