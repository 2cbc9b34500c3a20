package transfer

import (
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/textproto"
	"strings"
)

// What is looked at of a message: how deep parts are within parts, and how many. A
// message beyond it is a trap, or a mistake.
const (
	maxDepth = 8
	maxParts = 1000
)

// leaf is a part of a message that has no parts itself.
type leaf struct {
	kind     string // "text/plain", in lower case; "" when it can't be read
	charset  string
	encoding string // Content-Transfer-Encoding
	name     string // that the message gives it; ""
	file     bool   // it is an attachment, by its own word
	choice   bool   // one of several forms of the same (multipart/alternative)
	body     io.Reader
}

// leaves goes through the leaves of a message, one after the other: the body of one is
// gone when the next one is asked for.
type leaves struct {
	open  []level
	count int
	cut   string // why there are more than were given; ""
}

type level struct {
	*multipart.Reader
	choice bool
}

// fields are those of a part's header, or of the message's.
type fields func(name string) string

// enter takes a part in: a leaf is returned, of a multipart its parts come next.
func (l *leaves) enter(field fields, body io.Reader, choice bool) (leaf, bool) {
	contentType := field("Content-Type")
	if contentType == "" {
		contentType = "text/plain"
	}
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil && !errors.Is(err, mime.ErrInvalidMediaParameter) {
		kind = ""
	}
	if strings.HasPrefix(kind, "multipart/") && params["boundary"] != "" && len(l.open) < maxDepth {
		l.open = append(l.open, level{multipart.NewReader(body, params["boundary"]), kind == "multipart/alternative"})
		return leaf{}, false
	}
	disposition, more, _ := mime.ParseMediaType(field("Content-Disposition"))
	name := more["filename"]
	if name == "" {
		name = params["name"]
	}
	if plain, err := words.DecodeHeader(name); err == nil { // RFC 2047 does not have it there, mail programs do
		name = plain
	}
	return leaf{kind, params["charset"], field("Content-Transfer-Encoding"), name, disposition == "attachment", choice, body}, true
}

// next is the next leaf.
func (l *leaves) next() (leaf, bool) {
	for len(l.open) > 0 {
		top := &l.open[len(l.open)-1]
		if l.count == maxParts {
			l.cut = "There are more parts than are shown here."
			l.open = nil
			break
		}
		p, err := top.NextRawPart()
		if err != nil {
			if err != io.EOF {
				l.cut = "The parts behind this can't be told apart."
			}
			l.open = l.open[:len(l.open)-1]
			continue
		}
		l.count++
		if f, ok := l.enter(textproto.MIMEHeader(p.Header).Get, p, top.choice); ok {
			return f, true
		}
	}
	return leaf{}, false
}
