package message

import (
	"bytes"
	"strings"
)

// Mailbox is one entry of an address list as it was written: encoded words (RFC 2047)
// and octets beyond ASCII are not decoded.
type Mailbox struct {
	Name    string // the display name, or the comment after the address; perhaps ""
	Address string // "": the entry has none that can be read
}

// Mailboxes reads an unfolded list of addresses, such as a To field has it. It never
// fails, and loses and merges no address: the list is cut at commas and semicolons that
// are outside of quotes, comments, angle brackets and encoded words, each entry is read
// for itself, and what can't be read as an address is a Name without one. Groups give
// their members (RFC 5322 section 3.4). A source route (section 4.4), "mailto:" and
// blanks around an address are taken off it. The work is linear in the value.
func Mailboxes(value string) []Mailbox {
	s := listScanner{text: value, odd: strings.Count(value, `"`)%2 == 1}
	for s.at < len(s.text) {
		s.token()
	}
	s.endEntry()
	return s.found
}

// listScanner reads an address list from left to right. An entry is collected as words
// until a separator ends it.
type listScanner struct {
	text  string
	at    int
	odd   bool // a quote has no partner: see quoted
	found []Mailbox
	// The entry that is being read.
	words   []listWord
	comment string
	glued   bool // the next piece belongs to the last word
	angles  int  // mailboxes that the entry has given
	// Openers that have no end anywhere in the rest are plain octets. So are the quotes up
	// to plainTo, which are within a quoted string that was taken for none.
	noQuote, noComment bool
	plainTo            int
	looked             int // octets that were looked at: what the work is
}

// listWord is a word of an entry.
type listWord struct {
	text []byte
	at   bool // it has an "@" outside of quotes
}

// token reads what begins at the current octet.
func (s *listScanner) token() {
	switch c := s.text[s.at]; c {
	case ' ', '\t', '\r', '\n':
		s.at, s.glued = s.at+1, false
	case ',', ';':
		s.endEntry()
		s.at++
	case '"':
		s.quoted()
	case '(':
		s.remark()
	case '<':
		s.angle()
	case '>':
		s.at++
	case ':':
		s.colon()
	default:
		s.atom()
	}
	s.looked++
}

// specialsOfLists end an atom.
const specialsOfLists = " \t\r\n,;\"(<>:"

// atom reads octets up to the next special, or an encoded word, which may have specials.
func (s *listScanner) atom() {
	end := encodedWordEnd(s.text[s.at:])
	if end == 0 {
		rest := s.text[s.at:]
		for end = 1; end < len(rest) && strings.IndexByte(specialsOfLists, rest[end]) < 0 && !strings.HasPrefix(rest[end:], "=?"); {
			end++
		}
	}
	s.add(s.text[s.at:s.at+end], false)
	s.at += end
}

// maxEncodedWord is far more than RFC 2047 allows for an encoded word.
const maxEncodedWord = 1000

// encodedWordEnd is the length of the encoded word that text begins with; 0: none.
func encodedWordEnd(text string) int {
	if !strings.HasPrefix(text, "=?") {
		return 0
	}
	text = text[:min(len(text), maxEncodedWord)]
	set := strings.IndexAny(text[2:], "? \t<>\"")
	if set < 0 {
		return 0
	}
	i := 2 + set
	if i+2 >= len(text) || text[i] != '?' || text[i+2] != '?' || !strings.ContainsRune("qQbB", rune(text[i+1])) {
		return 0
	}
	i += 3
	end := strings.IndexAny(text[i:], "? \t")
	if end < 0 || !strings.HasPrefix(text[i+end:], "?=") {
		return 0
	}
	return i + end + 2
}

// add puts a piece to the words of the entry.
func (s *listScanner) add(piece string, quoted bool) {
	at := !quoted && strings.IndexByte(piece, '@') >= 0
	// Blanks around "@" and "." are of an address (RFC 5322 section 4.4).
	if n := len(s.words); n > 0 && (s.glued || piece[0] == '@' || s.words[n-1].at && bytes.HasSuffix(s.words[n-1].text, []byte("@"))) {
		w := &s.words[n-1]
		if at && !w.at && bytes.ContainsAny(w.text, " \"<>(),:;") && piece[0] == '@' {
			w.text = quotedLocal(w.text)
		}
		w.text, w.at = append(w.text, piece...), w.at || at
	} else {
		s.words = append(s.words, listWord{[]byte(piece), at})
	}
	s.looked += len(piece)
	s.glued = true
}

// quotedLocal writes the left side of an address that needs quotes.
func quotedLocal(text []byte) []byte {
	return []byte(`"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(string(text)) + `"`)
}

// quoted reads a quoted string. One without an end is a plain octet; so is one that seems
// to hold the end of another entry, where the value has an odd number of quotes.
func (s *listScanner) quoted() {
	end := s.quoteEnd(s.at)
	if end < 0 {
		s.at++
		return
	}
	inner := s.text[s.at+1 : end]
	if s.odd && holdsEntry(inner) {
		s.at, s.plainTo = s.at+1, end
		return
	}
	var b strings.Builder
	for i := 0; i < len(inner); i++ {
		if inner[i] == '\\' && i+1 < len(inner) {
			i++
		}
		b.WriteByte(inner[i])
	}
	if b.Len() > 0 {
		s.add(b.String(), true)
	}
	s.at = end + 1
}

// quoteEnd is where the quoted string that begins at i has its closing quote; -1: nowhere.
func (s *listScanner) quoteEnd(i int) int {
	if s.noQuote || i < s.plainTo {
		return -1
	}
	for j := i + 1; j < len(s.text); j++ {
		s.looked++
		switch s.text[j] {
		case '\\':
			j++
		case '"':
			return j
		}
	}
	s.noQuote = true
	return -1
}

// holdsEntry reports whether text has the end of an address and then a separator.
func holdsEntry(text string) bool {
	for {
		_, rest, ok := strings.Cut(text, ">")
		if !ok {
			return false
		}
		if next := strings.TrimLeft(rest, " \t"); next != "" && (next[0] == ',' || next[0] == ';') {
			return true
		}
		text = rest
	}
}

// remark reads a comment, which may have comments in it.
func (s *listScanner) remark() {
	depth, end := 0, -1
	for j := s.at; j < len(s.text) && !s.noComment && end < 0; j++ {
		s.looked++
		switch s.text[j] {
		case '\\':
			j++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				end = j
			}
		}
	}
	if end < 0 {
		s.noComment = true
		s.add("(", false)
		s.at++
		return
	}
	if s.comment == "" {
		s.comment = strings.TrimSpace(s.text[s.at+1 : end])
	}
	s.at, s.glued = end+1, false
}

// angle reads an address in angle brackets. It ends with ">", or where the next entry
// seems to begin, and what was read of the entry before is its name.
func (s *listScanner) angle() {
	start := s.at + 1
	i := start
	closed := false
loop:
	for ; i < len(s.text); i++ {
		s.looked++
		switch s.text[i] {
		case '>':
			closed = true
			break loop
		case '"':
			if end := s.quoteEnd(i); end >= 0 && strings.HasPrefix(s.text[end+1:], "@") {
				i = end
			} else if end >= 0 {
				s.plainTo = end
			}
		case ',', ';':
			if !strings.HasPrefix(strings.TrimLeft(s.text[start:min(i, start+20)], " \t"), "@") {
				break loop
			}
		case '<': // "<<ann@a.example>>", or a name after a "<"
			if text := strings.TrimSpace(s.text[start:i]); text != "" {
				s.words = append(s.words, listWord{text: []byte(text)})
			}
			start = i + 1
		}
	}
	address := cleanAddress(s.text[start:i])
	s.at, s.glued = i, false
	if closed {
		s.at++
	}
	name := s.takeName()
	if address != "" || name != "" {
		s.found = append(s.found, Mailbox{name, address})
		s.angles++
	}
}

// takeName is the words of the entry so far as a name.
func (s *listScanner) takeName() string {
	words := make([]string, len(s.words))
	for i, w := range s.words {
		words[i] = string(w.text)
	}
	s.words = s.words[:0]
	return strings.Join(words, " ")
}

// cleanAddress takes off an address what is not of it.
func cleanAddress(text string) string {
	text = strings.TrimSpace(text)
	if len(text) >= 7 && strings.EqualFold(text[:7], "mailto:") {
		text, _, _ = strings.Cut(strings.TrimSpace(text[7:]), "?")
	}
	if strings.HasPrefix(text, "@") { // a route: "@x.example,@y.example:ann@a.example"
		if _, last, ok := strings.Cut(text, ":"); ok {
			text = strings.TrimSpace(last)
		}
	}
	if strings.IndexByte(text, '"') >= 0 {
		return text
	}
	if before, rest, ok := strings.Cut(text, "("); ok {
		if i := strings.LastIndexByte(rest, ')'); i >= 0 {
			text = before + rest[i+1:]
		}
	}
	if len(text) > 2 && text[0] == '\'' && text[len(text)-1] == '\'' {
		text = text[1 : len(text)-1]
	}
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == '\t' || r == '\r' || r == '\n' || r == '>' }), "")
}

// colon begins a group, or is part of "mailto:" or of an address literal.
func (s *listScanner) colon() {
	n := len(s.words)
	switch {
	case n > 0 && bytes.EqualFold(s.words[n-1].text, []byte("mailto")) && s.glued:
		s.words = s.words[:n-1]
		s.glued = false
	case n > 0 && s.words[n-1].at:
		s.add(":", false)
	case s.angles > 0:
	default:
		s.words, s.comment, s.glued = s.words[:0], "", false
	}
	s.at++
}

// endEntry makes mailboxes of the words that no address in angle brackets has taken.
func (s *listScanner) endEntry() {
	var before []string
	bare, first := 0, len(s.found)
	for _, w := range s.words {
		address := ""
		if w.at && s.angles == 0 {
			address = cleanAddress(string(w.text))
		}
		if i := strings.LastIndexByte(address, '@'); i <= 0 || i == len(address)-1 {
			before = append(before, string(w.text))
			continue
		}
		s.found = append(s.found, Mailbox{strings.Join(before, " "), address})
		before, bare = before[:0], bare+1
	}
	rest := strings.Join(before, " ")
	last := len(s.found) - 1
	switch {
	case bare == 1 && s.found[first].Name == "" && (rest != "" || s.comment != ""):
		s.found[first].Name = rest
		if rest == "" {
			s.found[first].Name = s.comment
		}
	case s.angles > 0 && s.found[last].Name == "" && rest+s.comment != "":
		if s.found[last].Name = rest; rest == "" {
			s.found[last].Name = s.comment
		}
	case rest != "" && s.angles == 0:
		s.found = append(s.found, Mailbox{Name: rest})
	}
	s.words, s.comment, s.glued, s.angles = s.words[:0], "", false, 0
}
