// Package quote hides a separator word in text and shows it again, as mboxrd does
// with "From ": a line of any number of ">" and then the word gets one more ">",
// and reading takes one away. So a line that begins with the bare word is always
// a separator, also for a reader that knows nothing of quoting, and every text
// survives the round trip. Used by the text forms of a maildrop (codec/mbrain,
// codec/mbox).
//
// Both ways work on pieces cut anywhere and hold back no more than the word. The
// new ">" is put after the others, which gives the same line as before them and
// needs no look ahead however many there are.
package quote

// Rule is what is to be hidden.
type Rule struct {
	Word string // at most maxWord octets, none of them ">", CR or LF; in lower case if Fold
	Fold bool   // ASCII case doesn't matter
	CR   bool   // a line begins after a CR too: some readers see a line end there
}

const maxWord = 8

func (r Rule) begins(after byte) bool { return after == '\n' || r.CR && after == '\r' }

func (r Rule) matches(c byte, at int) bool {
	if r.Fold && 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c == r.Word[at]
}

// held is the part of the word that was seen and not passed on yet.
type held struct {
	b [maxWord]byte
	n int
}

func (h *held) add(c byte) { h.b[h.n] = c; h.n++ }

func (h *held) appendTo(dst []byte) []byte {
	dst = append(dst, h.b[:h.n]...)
	h.n = 0
	return dst
}

// Quoter hides the word of its Rule. It is ready for a text that begins a line.
type Quoter struct {
	Rule
	inLine bool // past where the word could be
	held   held
}

// Append appends src to dst, quoted. Up to a word's octets may be held back.
func (q *Quoter) Append(dst, src []byte) []byte {
	for _, c := range src {
		switch {
		case q.inLine:
		case c == '>' && q.held.n == 0:
			dst = append(dst, c)
			continue
		case q.matches(c, q.held.n):
			q.held.add(c)
			if q.held.n == len(q.Word) {
				dst = q.held.appendTo(append(dst, '>'))
				q.inLine = true
			}
			continue
		default:
			dst = q.held.appendTo(dst)
		}
		dst = append(dst, c)
		q.inLine = !q.begins(c)
	}
	return dst
}

// Flush appends what was held back, at the end of the text. q is ready again.
func (q *Quoter) Flush(dst []byte) []byte {
	q.inLine = false
	return q.held.appendTo(dst)
}

// Unquoter undoes a Quoter and finds the bare word. It is ready for a text that
// begins a line.
type Unquoter struct {
	Rule
	inLine bool
	quoted bool // the last ">" of the line's beginning is held back
	held   held
}

// Append appends src to dst, unquoted, up to a line that begins with the bare
// word: then found is true, used is how many octets of src there are up to the word's end, and
// the word is not in dst. Another Append goes on within that line.
func (u *Unquoter) Append(dst, src []byte) (out []byte, used int, found bool) {
	for i, c := range src {
		switch {
		case u.inLine:
		case c == '>' && u.held.n == 0:
			if u.quoted {
				dst = append(dst, '>')
			}
			u.quoted = true
			continue
		case u.matches(c, u.held.n):
			u.held.add(c)
			if u.held.n < len(u.Word) {
				continue
			}
			u.inLine = true
			if !u.quoted {
				u.held.n = 0
				return dst, i + 1, true
			}
			u.quoted = false
			dst = u.held.appendTo(dst)
			continue
		default:
			dst = u.letGo(dst)
		}
		dst = append(dst, c)
		u.inLine = !u.begins(c)
	}
	return dst, len(src), false
}

// Flush appends what was held back, at the end of the text. u is ready again.
func (u *Unquoter) Flush(dst []byte) []byte {
	u.inLine = false
	return u.letGo(dst)
}

func (u *Unquoter) letGo(dst []byte) []byte {
	if u.quoted {
		dst = append(dst, '>')
		u.quoted = false
	}
	return u.held.appendTo(dst)
}
