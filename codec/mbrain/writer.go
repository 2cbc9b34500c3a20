package mbrain

import (
	"bytes"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"postrider/codec/quote"
)

// Entry is the header lines of one message in the file. Empty ones are left out,
// except From and To.
type Entry struct {
	From, To, Date, Subject string

	// Raw: the text is a whole message of Octets octets.
	Raw     bool
	Octets  int64
	Arrived time.Time // zero: unknown; raw entries only
	UIDL    string    // unique-id of POP3; "": unknown; raw entries only

	Line int // where the entry begins, from 1; set by Reader
}

var rule = quote.Rule{Word: "from:", Fold: true, CR: true}

// headerNames are the header lines after From, in lower case with the colon.
var headerNames = [...]string{"to:", "date:", "subject:", "arrived:", "uidl:", "octets:"}

const longestName = len("arrived:")

// maxValue is the most octets of a header line's value.
const maxValue = 4096

// Writer writes entries, by appending: Begin, any number of Append, End. The zero
// Writer is ready.
type Writer struct {
	q     quote.Quoter
	raw   bool
	last  byte   // the last octet of the text so far
	first []byte // the text's beginning, until it is known whether an empty line is needed
	begun bool   // that is known
}

// Begin appends the header lines of e. With e.Raw, exactly e.Octets octets have
// to be appended before End.
func (w *Writer) Begin(dst []byte, e Entry) []byte {
	w.q, w.raw, w.last, w.begun = quote.Quoter{Rule: rule}, e.Raw, '\n', e.Raw
	w.first = w.first[:0]
	dst = appendLine(dst, "From:", e.From)
	dst = appendLine(dst, "To:", e.To)
	if e.Date != "" {
		dst = appendLine(dst, "Date:", e.Date)
	}
	if e.Subject != "" {
		dst = appendLine(dst, "Subject:", e.Subject)
	}
	if !e.Raw {
		return dst
	}
	if !e.Arrived.IsZero() {
		dst = appendLine(dst, "Arrived:", e.Arrived.UTC().Format("2006-01-02T15:04:05.000Z07:00"))
	}
	if e.UIDL != "" && !e.Arrived.IsZero() {
		dst = appendLine(dst, "UIDL:", e.UIDL)
	}
	dst = appendLine(dst, "Octets:", strconv.FormatInt(e.Octets, 10))
	return append(dst, '\n')
}

// Append appends the next octets of the text, cut anywhere.
func (w *Writer) Append(dst, run []byte) []byte {
	if len(run) == 0 {
		return dst
	}
	w.last = run[len(run)-1]
	if !w.begun {
		n := min(len(run), longestName-len(w.first))
		w.first = append(w.first, run[:n]...)
		run = run[n:]
		if len(w.first) < longestName {
			return dst
		}
		dst = w.beginText(dst)
	}
	return w.q.Append(dst, run)
}

// beginText appends the empty line if the text needs it, and what was held back.
func (w *Writer) beginText(dst []byte) []byte {
	w.begun = true
	if needsEmptyLine(w.first) {
		dst = append(dst, '\n')
	}
	return w.q.Append(dst, w.first)
}

func needsEmptyLine(text []byte) bool {
	if len(text) > 0 && (text[0] == '\n' || text[0] == '\r') {
		return true
	}
	_, ok := headerName(text)
	return ok
}

// End appends what ends the entry.
func (w *Writer) End(dst []byte) []byte {
	if !w.begun {
		dst = w.beginText(dst)
	}
	dst = w.q.Flush(dst)
	if w.raw || w.last != '\n' {
		dst = append(dst, '\n')
	}
	return dst
}

func appendLine(dst []byte, name, value string) []byte {
	dst = append(dst, name...)
	if value = clean(value); value != "" {
		dst = append(append(dst, ' '), value...)
	}
	return append(dst, '\n')
}

// clean makes a value fit into one line.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || 0x7f <= r && r < 0xa0 || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))
	if len(s) > maxValue {
		s = s[:maxValue]
		for !utf8.ValidString(s) {
			s = s[:len(s)-1]
		}
	}
	return strings.Trim(s, " ")
}

// headerName returns which of headerNames text begins with.
func headerName(text []byte) (which int, ok bool) {
	for i, name := range headerNames {
		if len(text) >= len(name) && bytes.EqualFold(text[:len(name)], []byte(name)) {
			return i, true
		}
	}
	return 0, false
}
