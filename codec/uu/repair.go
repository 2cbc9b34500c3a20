package uu

import (
	"bytes"
	"fmt"
	"strings"
)

// Repaired is what was made of a damaged file.
type Repaired struct {
	Header Header
	Octets []byte
	Done   []string // what was changed, for people
	Doubts []string // what may be wrong all the same
}

// Repair finds the files in a text and repairs what a web page or a word processor
// has damaged: quotes that became typographic ones, characters that became
// entities of HTML, lines that were indented or wrapped again. It knows how long each
// line was from its first character. A text without a begin line is an [*Error], and so
// is a file in base64, which has no lengths.
func Repair(text []byte) ([]Repaired, error) {
	var files []Repaired
	number := 0
	for len(text) > 0 {
		var line []byte
		line, text, _ = bytes.Cut(text, []byte("\n"))
		number++
		h, ok := ParseBegin(bytes.TrimSpace(line))
		if !ok {
			continue
		}
		if h.Base64 {
			return files, &Error{number, "base64 can't be repaired"}
		}
		f := Repaired{Header: h}
		var lines []string
		ended := false
		for len(text) > 0 && !ended {
			line, text, _ = bytes.Cut(text, []byte("\n"))
			number++
			if ended = isEnd(bytes.TrimSpace(line)); !ended {
				lines = append(lines, string(bytes.TrimRight(line, "\r")))
			}
		}
		if !ended {
			f.Doubts = append(f.Doubts, "no line \"end\": octets may be missing")
		}
		f.repair(lines)
		files = append(files, f)
	}
	if len(files) == 0 {
		return nil, &Error{max(number, 1), "no line \"begin MODE NAME\" is in the text"}
	}
	return files, nil
}

// spoilt are characters that programs put in the place of others.
var spoilt = strings.NewReplacer(
	"\u2018", "'", "\u2019", "'", "\u201a", "'", "\u2032", "'", "\u00b4", "'",
	"\u201c", `"`, "\u201d", `"`, "\u201e", `"`, "\u2033", `"`, "\u00ab", "<<", "\u00bb", ">>",
	"\u2010", "-", "\u2011", "-", "\u2012", "-", "\u2013", "-", "\u2014", "--", "\u2212", "-",
	"\u2026", "...", "\u00a0", " ",
	"&lt;", "<", "&gt;", ">", "&quot;", `"`, "&#34;", `"`, "&#39;", "'", "&nbsp;", " ", "&amp;", "&",
)

// repair decodes the lines of a file.
func (f *Repaired) repair(lines []string) {
	mended := 0
	for i, line := range lines {
		if better := spoilt.Replace(line); better != line {
			lines[i] = better
			mended++
		}
	}
	if mended > 0 {
		f.Done = append(f.Done, fmt.Sprintf("%d lines with typographic characters or HTML entities were made plain", mended))
	}
	var d Decoder
	d.state = within
	var octets []byte
	for _, line := range lines {
		if octets, _ = d.take(octets, []byte(line)); d.err != nil {
			break
		}
	}
	if d.err == nil {
		f.Octets = octets
		return
	}
	f.rewrap(lines)
}

// rewrap takes no notice of where lines end: their length is in them.
func (f *Repaired) rewrap(lines []string) {
	var b strings.Builder
	foreign := 0
	for _, line := range lines {
		for _, r := range strings.TrimLeft(line, " \t") { // an indentation: no line begins with a blank but the last
			if r < ' ' || r > '`' {
				foreign++
				r = '`'
			}
			b.WriteByte(byte(r))
		}
	}
	if foreign > 0 {
		f.Doubts = append(f.Doubts, fmt.Sprintf("%d characters are not uuencode and were read as zero", foreign))
	}
	count := f.recut(b.String())
	f.Done = append(f.Done, fmt.Sprintf("%d lines were joined and split again into %d, by the length that each begins with", len(lines), count))
}

// maxDoubts is how many doubts about the lines of a file are kept.
const maxDoubts = 50

// doubt keeps a doubt about a line.
func (f *Repaired) doubt(format string, args ...any) {
	switch n := len(f.Doubts); {
	case n < maxDoubts:
		f.Doubts = append(f.Doubts, fmt.Sprintf(format, args...))
	case n == maxDoubts:
		f.Doubts = append(f.Doubts, "and so are more lines")
	}
}

// recut decodes text as one line after the other and counts them.
func (f *Repaired) recut(text string) (count int) {
	zeros := len(text) - len(strings.TrimRight(text, " `")) // at the end
	for len(text) > 0 {
		n := int(value[text[0]])
		need := (n + 2) / 3 * 4
		if n == 0 {
			if rest := strings.Trim(text, " `"); rest != "" {
				f.Doubts = append(f.Doubts, fmt.Sprintf("%d characters after the line of zero octets were left out", len(rest)))
			}
			break
		}
		count++
		chars := text[1:]
		got := min(need, len(chars))
		if n == perLine {
			got = min(need+slip(chars, need), len(chars))
		} else if len(chars) > need+zeros {
			f.doubt("line %d of the file has %d octets: every line but the last should have %d", count, n, perLine)
		}
		text = chars[got:]
		if got != need {
			f.doubt("line %d of the file has %d characters, expected %d: some of its octets are wrong", count, got, need)
		}
		d := Decoder{state: within}
		line := chars[:min(got, need)] + strings.Repeat("`", need-min(got, need))
		f.Octets = d.takeLine(f.Octets, append([]byte{byte(n + ' ')}, line...))
	}
	return count
}

// slip is by how many characters a line of 45 octets is too long, or too short if
// negative: up to three, if so the lines after it begin where they should, and 0
// does not.
func slip(chars string, need int) int {
	fits := func(at int) bool {
		for range 2 {
			if at >= len(chars) {
				return true
			}
			if chars[at] != 'M' && len(chars)-at > 1+need { // only the last one may have another length
				return false
			}
			at += 1 + need
		}
		return true
	}
	for _, by := range []int{0, -1, 1, -2, 2, -3, 3} {
		if fits(need + by) {
			return by
		}
	}
	return 0
}
