package message

import "bytes"

// Field is one field of a header that is whole in memory. Its slices are parts
// of the text that it was read from.
type Field struct {
	Name []byte // as written
	// Value is what follows the colon, folded as it came, with its last line end.
	Value []byte
}

// Is reports whether the field has this name, in any case.
func (f Field) Is(name string) bool {
	return len(f.Name) == len(name) && bytes.EqualFold(f.Name, []byte(name))
}

// Unfolded is the value in one line (RFC 5322 section 2.2.3): no CR and LF, no
// white space around it. It shares Value's octets when they are in one line.
func (f Field) Unfolded() []byte {
	v := bytes.Trim(f.Value, " \t\r\n")
	if bytes.IndexByte(v, '\n') < 0 && bytes.IndexByte(v, '\r') < 0 {
		return v
	}
	one := make([]byte, 0, len(v))
	for _, c := range v {
		if c != '\r' && c != '\n' {
			one = append(one, c)
		}
	}
	return one
}

// Next reads the field that text, a message without stuffed dots, begins with;
// rest is what follows it. Not ok means that the header has ended; rest is then
// the body. Lines may end with CRLF or LF.
func Next(text []byte) (f Field, rest []byte, ok bool) {
	if body, empty := cutEmptyLine(text); empty {
		return Field{}, body, false
	}
	n := 0
	for n < len(text) && isNameOctet(text[n]) {
		n++
	}
	colon := n
	for colon < len(text) && isWSP(text[colon]) {
		colon++
	}
	if n == 0 || colon == len(text) || text[colon] != ':' {
		return Field{}, text, false
	}
	end := colon + 1
	for end < len(text) {
		end += lineLen(text[end:])
		if end == len(text) || !isWSP(text[end]) {
			break
		}
	}
	return Field{Name: text[:n], Value: text[colon+1 : end]}, text[end:], true
}

// Find is the first field of text with this name, in any case.
func Find(text []byte, name string) (Field, bool) {
	for {
		f, rest, ok := Next(text)
		if !ok {
			return Field{}, false
		}
		if f.Is(name) {
			return f, true
		}
		text = rest
	}
}

// Address is the first address in an unfolded From or To value, as [Mailboxes] reads it:
// "alice@example.com" of "Alice <alice@example.com>". A value without an address gives
// all of it: mail with a From of "jsmith" exists, and a listing has to show something.
func Address(value []byte) string {
	for _, m := range Mailboxes(string(value)) {
		if m.Address != "" {
			return m.Address
		}
	}
	return string(bytes.TrimSpace(value))
}

// cutEmptyLine reports whether text begins with an empty line, and gives the rest.
func cutEmptyLine(text []byte) (rest []byte, ok bool) {
	if rest, ok := bytes.CutPrefix(text, []byte("\r\n")); ok {
		return rest, true
	}
	return bytes.CutPrefix(text, []byte("\n"))
}

// lineLen is the length of the line that text begins with, with its end.
func lineLen(text []byte) int {
	if n := bytes.IndexByte(text, '\n'); n >= 0 {
		return n + 1
	}
	return len(text)
}
