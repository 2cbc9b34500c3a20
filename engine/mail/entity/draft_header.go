package entity

import (
	"encoding/base64"
	"fmt"
	netmail "net/mail"
	"strings"
	"unicode/utf8"

	"github.com/emersion/go-message"
)

// Header fields are folded here: go-message folds only at blanks that a reader would put
// back, and between encoded words it has none.

const (
	// maxFolded is how long a line is that has an encoded word (RFC 2047 section 2), and
	// any other where that can be.
	maxFolded = 76
	// maxWord is how long an encoded word is (RFC 2047 section 2).
	maxWord = 75
)

// fields are header fields in the order in which they are written.
type fields []string

// add appends a field of these pieces. A line ends between two pieces,
// which begin with the blank that is between them, where it would get too long.
func (f *fields) add(name string, pieces []string) {
	var b strings.Builder
	b.WriteString(name + ":")
	column := len(name) + 1
	for i, piece := range pieces {
		if i == 0 {
			piece = " " + piece
		}
		if i > 0 && column+len(piece) > maxFolded {
			b.WriteString("\r\n")
			column = 0
		}
		b.WriteString(piece)
		column += len(piece)
	}
	*f = append(*f, b.String()+"\r\n")
}

// set gives a header the fields.
func (f fields) set(h *message.Header) {
	for i := len(f) - 1; i >= 0; i-- { // each new field comes before the others
		h.AddRaw([]byte(f[i]))
	}
}

// words are pieces of text that is cut at its blanks.
func words(text string) (pieces []string) {
	for text != "" {
		blank := len(text) - len(strings.TrimLeft(text, " "))
		end := strings.IndexByte(text[blank:], ' ')
		if end < 0 {
			return append(pieces, text)
		}
		pieces = append(pieces, text[:blank+end])
		text = text[blank+end:]
	}
	return pieces
}

// textPieces are the pieces of a text in a field whose name takes this many octets.
func textPieces(text string, column int) []string {
	if needsWords(text) {
		return codedWords(text, maxFolded-column)
	}
	return words(text)
}

// maxBare is how long a word may be that isn't encoded: encoded words can be folded.
const maxBare = 900

// needsWords reports whether a text can't be in a header as it is, or would be read as
// something else.
func needsWords(text string) bool {
	run := 0
	for _, r := range text {
		if r == ' ' {
			run = 0
			continue
		}
		if run++; r < ' ' || r > '~' || run > maxBare {
			return true
		}
	}
	return strings.Contains(text, "=?")
}

// codedWords writes text as encoded words in UTF-8, each of whole characters. The first
// has this much room.
func codedWords(text string, room int) (pieces []string) {
	const frame = len("=?utf-8?q??=")
	quoted := quotedWord(text)
	encode, cost := quotedWord, func(r rune) int { return len(quotedWord(string(r))) }
	if len(quoted) > base64.StdEncoding.EncodedLen(len(text)) {
		encode, cost = nil, nil
	}
	for text != "" {
		n, length := 0, 0
		for n < len(text) {
			r, size := utf8.DecodeRuneInString(text[n:])
			next := base64.StdEncoding.EncodedLen(n + size)
			if encode != nil {
				next = length + cost(r)
			}
			if n > 0 && next+frame > min(room, maxWord) {
				break
			}
			n, length = n+size, next
		}
		word := "=?utf-8?b?" + base64.StdEncoding.EncodeToString([]byte(text[:n])) + "?="
		if encode != nil {
			word = "=?utf-8?q?" + encode(text[:n]) + "?="
		}
		if len(pieces) > 0 {
			word = " " + word
		}
		pieces = append(pieces, word)
		text, room = text[n:], maxWord
	}
	return pieces
}

// quotedWord is text in the Q encoding, with the characters that a name may have (RFC 2047
// section 5).
func quotedWord(text string) string {
	var b strings.Builder
	for i := range len(text) {
		switch c := text[i]; {
		case c == ' ':
			b.WriteByte('_')
		case c >= '0' && c <= '9', c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', strings.IndexByte("!*+-/", c) >= 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "=%02X", c)
		}
	}
	return b.String()
}

// addressPieces are the pieces of a list of addresses.
func addressPieces(list []netmail.Address, column int) (pieces []string) {
	for i, a := range list {
		var one []string
		name, address := Printable(a.Name), (&netmail.Address{Address: Printable(a.Address)}).String()
		switch {
		case needsWords(name):
			one = codedWords(name, maxFolded-column)
		case name != "":
			one = words(`"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`)
		}
		one = append(one, address)
		if n := len(one); n > 1 {
			one[n-1] = " " + address
		}
		if i < len(list)-1 {
			one[len(one)-1] += ","
		}
		if i > 0 {
			one[0] = " " + one[0]
		}
		pieces, column = append(pieces, one...), 1
	}
	return pieces
}

// idPieces are the pieces of a list of message ids. An id that is not ASCII is not one
// that others could refer to, and is left out.
func idPieces(ids []string) (pieces []string) {
	for _, id := range ids {
		if id == "" || len(id) > maxBare || strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' || r == '<' || r == '>' }) {
			continue
		}
		piece := "<" + id + ">"
		if len(pieces) > 0 {
			piece = " " + piece
		}
		pieces = append(pieces, piece)
	}
	return pieces
}

// namePieces are the pieces of a parameter that is the name of a file (RFC 2231): in
// sections, where it is long or not ASCII.
func namePieces(parameter, name string) (pieces []string) {
	if plain := `; ` + parameter + `="` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`; len(plain) < maxFolded && isPlain(name) {
		return []string{plain}
	}
	const room = 50
	coded := "utf-8''"
	for i := 0; i < len(name); {
		_, size := utf8.DecodeRuneInString(name[i:])
		for _, c := range []byte(name[i : i+size]) {
			if c < utf8.RuneSelf && strings.IndexByte("!#$&+-.^_`{|}~", c) >= 0 || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' {
				coded += string(rune(c))
			} else {
				coded += fmt.Sprintf("%%%02X", c)
			}
		}
		if i += size; len(coded) > room && i < len(name) {
			pieces = append(pieces, fmt.Sprintf("; %s*%d*=%s", parameter, len(pieces), coded))
			coded = ""
		}
	}
	if len(pieces) == 0 {
		return []string{"; " + parameter + "*=" + coded}
	}
	return append(pieces, fmt.Sprintf("; %s*%d*=%s", parameter, len(pieces), coded))
}

// withParams is a value with parameters in pieces: the ";" ends the line before.
func withParams(value string, params []string) (pieces []string) {
	for _, p := range params {
		pieces = append(pieces, value+";")
		value = strings.TrimPrefix(p, ";")
	}
	return append(pieces, value)
}

// typePieces are the pieces of the type of a file with its name, for older programs by
// RFC 2047.
func typePieces(kind, name string) []string {
	if isPlain(name) && len(name) < maxFolded-len(` name="",`) {
		return withParams(kind, namePieces("name", name))
	}
	pieces := codedWords(name, maxFolded-len(` name="",`))
	pieces[0] = ` name="` + pieces[0]
	pieces[len(pieces)-1] += `"`
	return append([]string{kind + ";"}, pieces...)
}
