package entity

import (
	"slices"
	"strconv"
	"strings"
)

// params reads a value with parameters (RFC 2045 section 5.1, RFC 2231): the text
// before the first ";" in lower case, and the parameters by name in lower case, in
// UTF-8. What can't be read is left out. If a name is given twice the first counts.
// At most maxParams are read.
func params(value string) (first string, named map[string]string) {
	first, rest, _ := strings.Cut(value, ";")
	first = strings.TrimSpace(stripComment(first))
	if i := strings.IndexAny(first, " \t,"); i >= 0 && strings.IndexByte(first, '=') > i { // "text/html charset=utf-8"
		first, rest = first[:i], first[i+1:]+";"+rest
	}
	first = strings.ToLower(first)
	named = make(map[string]string)
	pieces := make(map[string][]piece)
	for read := 0; rest != "" && read < maxParams; {
		var name, v string
		name, v, rest = param(rest)
		base, section, star := strings.Cut(name, "*")
		if base == "" {
			continue
		}
		read++
		if !star {
			if _, twice := named[name]; !twice {
				named[name] = encodedWords(v)
			}
			continue
		}
		coded := section == "" || strings.HasSuffix(section, "*")
		n, err := strconv.Atoi(strings.TrimSuffix(section, "*"))
		if err != nil && section != "" || n < 0 {
			continue
		}
		pieces[base] = append(pieces[base], piece{n, coded, v})
	}
	for name, list := range pieces { // RFC 2231 wins over a plain twin for old programs
		if text, ok := joined(list); ok {
			named[name] = text
		}
	}
	return first, named
}

// maxParams is how many parameters are read. The longest file name in sections of the
// shortest lines has some hundred.
const maxParams = 500

// specials are what a "\" in quotes makes plain (RFC 2045 section 5.1). Before other
// characters it means itself: some programs write whole paths of Windows.
const specials = `()<>@,;:\"/[]?=`

// param reads one parameter off the text.
func param(text string) (name, value, rest string) {
	text = strings.TrimLeft(text, "; \t\r\n")
	end := strings.IndexAny(text, "=;")
	if end < 0 {
		return "", "", ""
	}
	name = strings.ToLower(strings.TrimSpace(text[:end]))
	if text[end] == ';' {
		return "", "", text[end:]
	}
	text = strings.TrimLeft(text[end+1:], " \t\r\n")
	if text == "" || text[0] != '"' {
		value, rest, _ = strings.Cut(text, ";")
		if i := nextParam(value); i >= 0 {
			value, rest = value[:i], text[i:]
		}
		return name, strings.TrimSpace(value), rest
	}
	var b strings.Builder
	i := 1
	for ; i < len(text) && text[i] != '"'; i++ {
		if text[i] == '\\' && i+1 < len(text) && strings.IndexByte(specials, text[i+1]) >= 0 {
			i++
		}
		b.WriteByte(text[i])
	}
	_, rest, _ = strings.Cut(text[min(i, len(text)):], ";")
	return name, b.String(), rest
}

// nextParam is where in a value without quotes another parameter begins that lacks the ";"
// before it: "utf-8 format=flowed". -1: nowhere. Names of files have blanks, so only
// parameters of text count.
func nextParam(value string) int {
	for _, name := range []string{"charset=", "format=", "delsp=", "boundary=", "name=", "filename=", "reply-type="} {
		for i := 1; i+len(name) <= len(value) && i < maxEarly; i++ {
			if (value[i-1] == ' ' || value[i-1] == '\t') && strings.EqualFold(value[i:i+len(name)], name) {
				return i
			}
		}
	}
	return -1
}

// maxEarly is how far a value is searched for a parameter without its ";".
const maxEarly = 200

// stripComment cuts what some programs put after a type: "text/plain (plain text)".
func stripComment(s string) string {
	before, _, _ := strings.Cut(s, "(")
	return before
}

// piece is one of the sections that a parameter's value is cut into (RFC 2231).
type piece struct {
	section int
	coded   bool
	value   string
}

// joined puts the sections of a value together. They may come in any order; sections
// after a missing one are lost.
func joined(list []piece) (string, bool) {
	slices.SortStableFunc(list, func(a, b piece) int { return a.section - b.section })
	var octets strings.Builder
	set := ""
	for i, p := range list {
		if p.section != i {
			break
		}
		v := p.value
		if i == 0 && p.coded {
			parts := strings.SplitN(v, "'", 3)
			if len(parts) == 3 {
				set, v = parts[0], parts[2]
			}
		}
		if p.coded {
			v = percentDecoded(v)
		}
		octets.WriteString(v)
	}
	if octets.Len() == 0 {
		return "", false
	}
	return inUTF8(octets.String(), set), true
}

func percentDecoded(v string) string {
	var b strings.Builder
	for i := 0; i < len(v); i++ {
		if v[i] == '%' && i+2 < len(v) {
			if n, err := strconv.ParseUint(v[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(n))
				i += 2
				continue
			}
		}
		b.WriteByte(v[i])
	}
	return b.String()
}
