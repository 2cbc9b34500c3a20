package uidlist

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// DefaultFormat is Dovecot's default of pop3_uidl_format.
const DefaultFormat = "%08Xu%08Xv"

// Facts are what a unique-id of Dovecot is made of.
type Facts struct {
	UID, Validity uint32
	File          string // the file's name without flags
	GUID          string
}

// Format is a pop3_uidl_format.
type Format struct{ parts []part }

// part is text, or a variable.
type part struct {
	text      string
	variable  byte // 'u', 'v', 'f' or 'g'; 0: text
	offset    int
	width     int
	zeros     bool
	modifiers string // in their order
}

// variables are the long names.
var variables = map[string]byte{"uid": 'u', "uidvalidity": 'v', "filename": 'f', "guid": 'g', "md5": 'm'}

// errHeader is for %m.
const errHeader = "%m is made of the header in a way that only mbox files have: list the unique-ids in a file (--uidl-map)"

// ParseFormat reads a pop3_uidl_format, as Dovecot 2.3 has it ("%08Xu%08Xv") or as 2.4 has
// it ("%{uid | hex(8)}%{uidvalidity | hex(8)}").
func ParseFormat(s string) (*Format, error) {
	f := new(Format)
	wrong := func(why string) (*Format, error) {
		return nil, fmt.Errorf("the format %q of unique-ids: %s", s, why)
	}
	for rest := s; rest != ""; {
		text, after, found := strings.Cut(rest, "%")
		if text != "" {
			f.parts = append(f.parts, part{text: text})
		}
		if !found {
			break
		}
		p, after, why := parseVariable(after)
		if why != "" {
			return wrong(why)
		}
		f.parts = append(f.parts, p)
		rest = after
	}
	for _, p := range f.parts {
		if p.variable == 'u' || p.variable == 'f' || p.variable == 'g' {
			return f, nil
		}
	}
	return wrong("it has none of %u, %f and %g: all messages would have the same unique-id")
}

// parseVariable reads what is after "%". why is what is wrong.
func parseVariable(s string) (p part, rest, why string) {
	n, zeros, s := parseWidth(s)
	p.width, p.zeros = max(n, -n), zeros // as in Dovecot, where only an offset and the width after it have a sign
	if strings.HasPrefix(s, ".") {
		p.offset = n
		p.width, p.zeros, s = parseWidth(s[1:])
	}
	end := 0
	for end < len(s) && strings.IndexByte("LUXRMT", s[end]) >= 0 {
		end++
	}
	p.modifiers, s = s[:end], s[end:]
	if s == "" {
		return p, "", "it ends in the middle of a variable"
	}
	if s[0] == '{' {
		inside, after, closed := strings.Cut(s[1:], "}")
		if !closed {
			return p, "", "\"{\" has no \"}\""
		}
		why = p.long(inside)
		return p, after, why
	}
	switch s[0] {
	case 'u', 'v', 'f', 'g':
		p.variable = s[0]
	case '%':
		p = part{text: "%"}
	case 'm':
		why = errHeader
	default:
		why = fmt.Sprintf("%%%c is not known; known are %%u, %%v, %%f, %%g and the modifiers L, U, X, R, M and T", s[0])
	}
	return p, s[1:], why
}

// parseWidth reads "-08": a minus, a zero, and a number, all of which may be missing.
func parseWidth(s string) (n int, zeros bool, rest string) {
	s, minus := strings.CutPrefix(s, "-")
	zeros = strings.HasPrefix(s, "0")
	for s != "" && '0' <= s[0] && s[0] <= '9' {
		n = min(n*10+int(s[0]-'0'), 1000)
		s = s[1:]
	}
	if minus {
		n = -n
	}
	return n, zeros, s
}

// long reads what is between "{" and "}": a name, and filters after "|".
func (p *part) long(inside string) (why string) {
	name, filters, piped := strings.Cut(inside, "|")
	if p.variable = variables[strings.TrimSpace(name)]; p.variable == 'm' {
		return errHeader
	}
	if p.variable == 0 {
		return fmt.Sprintf("the variable %q is not known; known are uid, uidvalidity, filename and guid", name)
	}
	for piped {
		var one string
		one, filters, piped = strings.Cut(filters, "|")
		switch one = strings.TrimSpace(one); {
		case one == "lower":
			p.modifiers += "L"
		case one == "upper":
			p.modifiers += "U"
		case one == "hex":
			p.modifiers += "X"
		case strings.HasPrefix(one, "hex(") && strings.HasSuffix(one, ")"):
			n, err := strconv.Atoi(one[len("hex(") : len(one)-1])
			if err != nil || n < 0 || n > 64 {
				return fmt.Sprintf("the filter %q has no number from 0 to 64", one)
			}
			p.modifiers += "X"
			p.width, p.zeros = n, true
		default:
			return fmt.Sprintf("the filter %q is not known; known are hex, lower and upper", one)
		}
	}
	return ""
}

// NeedsUID reports whether the unique-id is made of the UID or the UIDVALIDITY, which only
// a list of Dovecot has.
func (f *Format) NeedsUID() bool {
	for _, p := range f.parts {
		if p.variable == 'u' || p.variable == 'v' {
			return true
		}
	}
	return false
}

// UIDL is the unique-id of a message. It may be one that is not valid.
func (f *Format) UIDL(m Facts) string {
	var s strings.Builder
	for _, p := range f.parts {
		switch p.variable {
		case 0:
			s.WriteString(p.text)
		case 'u':
			p.write(&s, strconv.FormatUint(uint64(m.UID), 10))
		case 'v':
			p.write(&s, strconv.FormatUint(uint64(m.Validity), 10))
		case 'f':
			p.write(&s, m.File)
		case 'g':
			p.write(&s, m.GUID)
		}
	}
	return s.String()
}

// write writes a value as Dovecot's var_expand does.
func (p *part) write(s *strings.Builder, value string) {
	for i := range len(p.modifiers) {
		value = modify(p.modifiers[i], value)
	}
	switch {
	case p.offset < 0 && len(value) > -p.offset:
		value = value[len(value)+p.offset:]
	case p.offset > 0:
		value = value[min(p.offset, len(value)):]
	}
	switch {
	case p.width == 0:
	case p.zeros:
		for range p.width - len(value) {
			s.WriteByte('0')
		}
	case p.width < 0:
		value = value[:max(len(value)+p.width, 0)]
	default:
		value = value[:min(p.width, len(value))]
	}
	s.WriteString(value)
}

// modify is a modifier.
func modify(modifier byte, value string) string {
	switch modifier {
	case 'L':
		return strings.ToLower(value)
	case 'U':
		return strings.ToUpper(value)
	case 'X':
		n, _ := strconv.ParseUint(value, 10, 64) // what is no number is 0, as in Dovecot
		return strconv.FormatUint(n, 16)
	case 'R':
		b := []byte(value)
		for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
			b[i], b[j] = b[j], b[i]
		}
		return string(b)
	case 'M':
		sum := md5.Sum([]byte(value))
		return hex.EncodeToString(sum[:])
	}
	return strings.TrimRight(value, " \t\r\n\v\f") // T
}
