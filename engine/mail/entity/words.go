package entity

import "strings"

// ReadText reads the value of a header field without a structure, such as Subject: encoded
// words (RFC 2047) are decoded, octets beyond ASCII are UTF-8 or what they look like, and
// the text is Printable.
//
// Words are read as Python's package email reads them: wherever they are, in quotes as
// well; a language (RFC 2231 section 5) is cut off; base64 may lack its padding;
// neighbours of one charset are put together before they are decoded, because programs
// cut characters in two; white space between words is not text. A word that can't be
// read stays as it is, and alone.
func ReadText(value string) string { return Printable(encodedWords(value)) }

// encodedWords decodes them. RFC 2047 does not allow them in parameters and quotes; mail
// programs write them there.
func encodedWords(v string) string {
	if !strings.Contains(v, "=?") {
		return inUTF8(v, "")
	}
	var d wordDecoder
	d.decode(v)
	return d.out.String()
}

// wordDecoder decodes the words of a value from left to right.
type wordDecoder struct {
	out    strings.Builder
	octets []byte // octets of the encoded words that were read last
	label  string // their charset; "": there are none
	looked int    // octets that were looked at: what the work is
}

func (d *wordDecoder) decode(v string) {
	for v != "" {
		start, w, end, ok := nextWord(v)
		d.looked += end
		if !ok {
			break
		}
		between := v[:start]
		octets, good := w.octets()
		if good && decoderOf(w.label) == nil && !saysNothing(w.label) {
			good = false
		}
		if good && d.label != "" && strings.Trim(between, " \t\r\n") == "" {
			between = ""
		}
		if between != "" || !good || w.label != d.label {
			d.flush()
		}
		d.out.WriteString(inUTF8(between, ""))
		if good {
			d.octets, d.label = append(d.octets, octets...), w.label
		} else {
			d.out.WriteString(inUTF8(v[start:end], ""))
		}
		v = v[end:]
	}
	d.flush()
	d.out.WriteString(inUTF8(v, ""))
}

// flush decodes the octets of the neighbours that were read.
func (d *wordDecoder) flush() {
	if d.label != "" {
		d.out.WriteString(inUTF8(string(d.octets), d.label))
	}
	d.octets, d.label = d.octets[:0], ""
}

// encodedWord is a word as it was written.
type encodedWord struct {
	label    string // label of the charset, in lower case
	encoding byte   // 'q' or 'b'
	text     string
}

// maxLabel is longer than the label of any charset, with its language.
const maxLabel = 100

// nextWord finds the first encoded word of v; not ok: there is none. end is how far v was
// looked at, and where the word ends.
func nextWord(v string) (start int, w encodedWord, end int, ok bool) {
	for at := 0; ; {
		i := strings.Index(v[at:], "=?")
		if i < 0 {
			return 0, w, len(v), false
		}
		start = at + i
		rest := v[start+2:]
		set := strings.IndexByte(rest, '?')
		if set < 0 {
			return 0, w, len(v), false
		}
		at = start + 2
		if set == 0 || set > maxLabel || len(rest) < set+3 || rest[set+2] != '?' {
			continue
		}
		label, encoding := cleanLabel(rest[:set]), rest[set+1]|0x20
		if label == "" || encoding != 'q' && encoding != 'b' {
			continue
		}
		text := rest[set+3:]
		n := strings.Index(text, "?=")
		if n < 0 {
			return 0, w, len(v), false
		}
		end = len(v) - len(text) + n + 2
		return start, encodedWord{label, encoding, text[:n]}, end, true
	}
}

// octets undoes the transfer encoding.
func (w encodedWord) octets() ([]byte, bool) {
	if w.encoding == 'b' {
		octets := make([]byte, len(w.text)+4)
		n, _, err := new(base64Text).Transform(octets, []byte(w.text), true)
		return octets[:n], err == nil || n > 0 && strings.IndexByte(w.text, '=') >= 0 // it has ended before
	}
	octets := make([]byte, 0, len(w.text))
	for i := 0; i < len(w.text); i++ {
		c := w.text[i]
		if c == '_' {
			c = ' '
		}
		if c == '=' && i+2 < len(w.text) {
			if high, low := hexValue(w.text[i+1]), hexValue(w.text[i+2]); high < 16 && low < 16 {
				c, i = high<<4|low, i+2
			}
		}
		octets = append(octets, c)
	}
	return octets, true
}
