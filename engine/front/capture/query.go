package capture

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
)

// query is what a search asks for: all of its terms.
type query []term

type term struct {
	field  string // "": anywhere
	word   string // folded, see fold
	not    bool   // it has to be absent
	at     time.Time
	octets int64
}

// maxQuery bounds the text of a query, in octets, and so its terms.
const maxQuery = 1000

// fields are the filters of Mailpit, each with the function that reads its value.
var fields = map[string]func(t *term, value string, zone *time.Location) error{
	"from": asWord, "to": asWord, "cc": asWord, "bcc": asWord, "reply-to": asWord, "addressed": asWord, "subject": asWord, "message-id": asWord,
	"has": asChoice("attachment", "attachments", "inline"), "is": asChoice("unread", "read"),
	"after": asTime, "before": asTime, "larger": asSize, "smaller": asSize,
	"tag": func(*term, string, *time.Location) error { return errTags },
}

var errTags = errors.New("tags are not supported: tag: and is:tagged can't be searched for")

func asWord(t *term, value string, _ *time.Location) error {
	t.word = fold(value)
	return nil
}

func asChoice(choices ...string) func(*term, string, *time.Location) error {
	return func(t *term, value string, _ *time.Location) error {
		t.word = strings.ToLower(value)
		for _, c := range choices {
			if t.word == c {
				return nil
			}
		}
		if t.field == "is" && t.word == "tagged" {
			return errTags
		}
		return fmt.Errorf("%s:%s is unknown; use %s:%s", t.field, value, t.field, strings.Join(choices, " or "+t.field+":"))
	}
}

func asTime(t *term, value string, zone *time.Location) (err error) {
	if t.at, err = parseTime(value, zone); err != nil {
		return fmt.Errorf("%s:%s is not a date; use one such as %s:2026-11-29 or %s:\"2026-11-29 18:00\"", t.field, value, t.field, t.field)
	}
	return nil
}

// layouts are the ways to write a date that are read. Month and day in numbers are in
// the order of the United States, as Mailpit reads them.
var layouts = []string{
	"2006-1-2", "2006/1/2", "2006.1.2", "20060102", "1/2/2006", "1-2-2006", "2 Jan 2006", "2 January 2006", "Jan 2, 2006", "January 2, 2006", "Jan 2 2006", "January 2 2006",
	"2006-01", "2006", time.RFC3339, "2006-01-02 15:04:05-07:00", "2006-01-02 15:04:05 -0700", time.RFC1123Z, time.RFC1123, time.ANSIC,
}

// clocks are times of day that may follow the first of the layouts.
var clocks = []string{" 15:04", " 15:04:05", "T15:04", "T15:04:05", " 3:04PM", " 3:04 PM", " 3PM"}

func parseTime(value string, zone *time.Location) (at time.Time, err error) {
	for i, layout := range layouts {
		if at, err = time.ParseInLocation(layout, value, zone); err == nil {
			return at, nil
		}
		for _, clock := range clocks {
			if i < 12 {
				if at, err = time.ParseInLocation(layout+clock, strings.ToUpper(value), zone); err == nil {
					return at, nil
				}
			}
		}
	}
	return at, err
}

func asSize(t *term, value string, _ *time.Location) error {
	number, factor := strings.ToLower(strings.TrimSpace(value)), 1.0
	for _, unit := range []struct {
		names  []string
		factor float64
	}{{[]string{"kib", "kb", "k"}, 1 << 10}, {[]string{"mib", "mb", "m"}, 1 << 20}, {[]string{"gib", "gb", "g"}, 1 << 30}, {[]string{"b"}, 1}} {
		for _, name := range unit.names {
			if rest, ok := strings.CutSuffix(number, name); ok && factor == 1 {
				number, factor = strings.TrimSpace(rest), unit.factor
			}
		}
	}
	var n float64
	var more string
	if got, _ := fmt.Sscanf(number+" ", "%f%s", &n, &more); got != 1 || n < 0 || n*factor > 1<<50 || strings.Trim(number, "0123456789.") != "" {
		return fmt.Errorf("%s:%s is not a size; use octets, or a number with K or M, such as %s:200K", t.field, value, t.field)
	}
	t.octets = int64(n * factor)
	return nil
}

// parseQuery reads a query in Mailpit's syntax; the empty one is true of every message.
// Dates without a zone are in zone.
func parseQuery(text string, zone *time.Location) (q query, err error) {
	if len(text) > maxQuery {
		return nil, fmt.Errorf("the query has %d octets, more than %d", len(text), maxQuery)
	}
	for {
		text = strings.TrimLeftFunc(text, unicode.IsSpace)
		if text == "" {
			return q, nil
		}
		var word string
		word, text = nextWord(text)
		t, err := parseTerm(word, zone)
		if err != nil {
			return nil, err
		}
		q = append(q, t)
	}
}

// nextWord cuts text at the first blank outside quotes.
func nextWord(text string) (word, rest string) {
	quoted := false
	for i, r := range text {
		switch {
		case r == '"':
			quoted = !quoted
		case !quoted && unicode.IsSpace(r):
			return text[:i], text[i:]
		}
	}
	return text, ""
}

func parseTerm(word string, zone *time.Location) (t term, err error) {
	if len(word) > 1 && (word[0] == '-' || word[0] == '!') {
		t.not, word = true, word[1:]
	}
	bare := strings.ReplaceAll(word, `"`, "")
	name, value, ok := strings.Cut(bare, ":")
	name = strings.ToLower(name)
	if read := fields[name]; ok && read != nil {
		t.field = name
		if value = strings.TrimSpace(value); value == "" {
			return t, fmt.Errorf("%s: has no value; write %s:VALUE without a blank, or leave it out", name, name)
		}
		err := read(&t, value, zone)
		if err == nil && t.word == "" && t.at.IsZero() && name != "larger" && name != "smaller" {
			err = fmt.Errorf("%s: has no value", name)
		}
		return t, err
	}
	if ok && t.not && word[0] != '"' && isName(name) && !strings.HasPrefix(value, "//") {
		return t, fmt.Errorf(`unknown filter %s:, and as text -%s would match nearly every message; put quotes around text: -"%s"`, name, bare, bare)
	}
	if t.word = fold(bare); t.word == "" {
		return t, fmt.Errorf("a term of the query is empty: %s", word)
	}
	return t, nil
}

// isName reports whether a word looks like the name of a filter.
func isName(word string) bool {
	return word != "" && strings.Trim(word, "abcdefghijklmnopqrstuvwxyz-_") == ""
}

// fold is text as it is compared: in lower case, in one line with single blanks, and
// without invisible characters.
func fold(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case r == '\u00ad' || r == '\u034f' || unicode.Is(unicode.Cf, r):
			return -1
		case r == '\u2019' || r == '\u2018':
			return '\''
		}
		return r
	}, text)
	return strings.ToLower(strings.Join(strings.Fields(text), " "))
}

// needsText reports whether a term is looked for in the text as well; needsFiles, whether
// the parts of the message decide.
func (q query) needsText() bool { return q.names("") }

func (q query) needsFiles() bool { return q.names("has") }

func (q query) names(field string) bool {
	for _, t := range q {
		if t.field == field {
			return true
		}
	}
	return false
}

// matches reports whether a message with this text, folded, is one that the query asks
// for. sure is false if more of its text could change the answer; then ok is false.
//
// Mailpit's from: and to: look at the header alone. With loose they look at the envelope
// too, where tests look for the recipients of a message.
func (q query) matches(s *summary, text string, whole, loose bool) (ok, sure bool) {
	ok, sure = true, true
	for _, t := range q {
		found := t.in(s, loose) || t.field == "" && strings.Contains(text, t.word)
		if !found && !whole && (t.field == "" || t.field == "has") {
			ok, sure = false, false
			continue
		}
		if found == t.not {
			return false, true
		}
	}
	return ok, sure
}

// in looks for a term in the summary of a message.
func (t term) in(s *summary, loose bool) bool {
	has := func(text string) bool { return strings.Contains(fold(text), t.word) }
	anyOf := func(as ...address) bool {
		for _, a := range as {
			if has(a.Name) || has(a.Address) || a.Name != "" && has(a.Name+" <"+a.Address+">") {
				return true
			}
		}
		return false
	}
	from := func() bool { return s.From != nil && anyOf(*s.From) }
	switch t.field {
	case "from":
		return from() || (loose || s.From == nil) && has(s.Envelope.From)
	case "to":
		return anyOf(s.To...) || loose && anyOf(s.Bcc...)
	case "cc":
		return anyOf(s.Cc...)
	case "bcc":
		return anyOf(s.Bcc...)
	case "reply-to":
		return anyOf(s.ReplyTo...)
	case "addressed":
		return from() || anyOf(s.To...) || anyOf(s.Cc...) || anyOf(s.Bcc...) || anyOf(s.ReplyTo...)
	case "subject":
		return has(s.Subject)
	case "message-id":
		return has(s.MessageID)
	case "has":
		return t.word == "inline" && s.inline > 0 || t.word != "inline" && s.Attachments > 0
	case "is":
		return t.word == "unread" // there are no read marks
	case "after":
		return !s.Created.Before(t.at)
	case "before":
		return s.Created.Before(t.at)
	case "larger":
		return s.Size > t.octets
	case "smaller":
		return s.Size < t.octets
	}
	return has(s.Subject) || from() || has(s.Envelope.From) || anyOf(s.To...) || anyOf(s.Cc...) || anyOf(s.Bcc...) || anyOf(s.ReplyTo...)
}
