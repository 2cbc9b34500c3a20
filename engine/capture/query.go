package capture

import (
	"errors"
	"fmt"
	"strings"
)

// query is what a search asks for: all of its terms.
type query []term

type term struct {
	field string // "": anywhere
	word  string // in lower case
	not   bool   // it has to be absent
}

// maxQuery bounds the text of a query, in octets, and so its terms.
const maxQuery = 1000

// fields that a term may name.
var fields = map[string]bool{
	"from": true, "to": true, "cc": true, "bcc": true, "addressed": true, "subject": true, "message-id": true, "has": true,
}

// parseQuery reads a query; the empty one is true of every message.
func parseQuery(text string) (q query, err error) {
	if len(text) > maxQuery {
		return nil, fmt.Errorf("the query has %d octets, more than %d", len(text), maxQuery)
	}
	for {
		text = strings.TrimLeft(text, " \t")
		if text == "" {
			return q, nil
		}
		var t term
		if len(text) > 1 && text[1] != ' ' && (text[0] == '-' || text[0] == '!') {
			t.not, text = true, text[1:]
		}
		if name, rest, ok := strings.Cut(text, ":"); ok && fields[strings.ToLower(name)] {
			t.field, text = strings.ToLower(name), rest
		}
		if strings.HasPrefix(text, `"`) {
			t.word, text, _ = strings.Cut(text[1:], `"`)
		} else {
			t.word, text, _ = strings.Cut(text, " ")
		}
		t.word = strings.ToLower(t.word)
		if t.word == "" {
			return nil, errors.New("something of the query is empty: " + t.field + ":")
		}
		if t.field == "has" && !strings.HasPrefix("attachments", t.word) {
			return nil, errors.New("has:" + t.word + " is not known; there is has:attachment")
		}
		q = append(q, t)
	}
}

// needsText says whether a term is looked for in the text as well.
func (q query) needsText() bool {
	for _, t := range q {
		if t.field == "" {
			return true
		}
	}
	return false
}

// matches says whether a message with this text, in lower case, is what is asked for.
func (q query) matches(s *summary, text string) bool {
	for _, t := range q {
		if found := t.in(s) || t.field == "" && strings.Contains(text, t.word); found == t.not {
			return false
		}
	}
	return true
}

// in looks for a term in what a list says of a message.
func (t term) in(s *summary) bool {
	has := func(text string) bool { return strings.Contains(strings.ToLower(text), t.word) }
	any := func(as ...address) bool {
		for _, a := range as {
			if has(a.Name) || has(a.Address) {
				return true
			}
		}
		return false
	}
	from := func() bool { return s.From != nil && any(*s.From) || has(s.Envelope.From) }
	to := func() bool {
		for _, a := range s.Envelope.To {
			if has(a) {
				return true
			}
		}
		return any(s.To...)
	}
	switch t.field {
	case "from":
		return from()
	case "to":
		return to()
	case "cc":
		return any(s.Cc...)
	case "bcc":
		return any(s.Bcc...)
	case "addressed":
		return from() || to() || any(s.Cc...) || any(s.ReplyTo...)
	case "subject":
		return has(s.Subject)
	case "message-id":
		return has(s.MessageID)
	case "has":
		return s.Attachments > 0
	}
	return has(s.Subject) || from() || to() || any(s.Cc...) || any(s.ReplyTo...)
}
