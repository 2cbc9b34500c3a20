package smtp

import (
	"bytes"
	"net/netip"
)

// Limits of RFC 5321 section 4.5.3.1, in octets.
const (
	maxDomain = 255 // without a final dot
	maxPath   = 256 // with angle brackets and source route
	maxLabel  = 63  // RFC 1035 section 2.3.4
)

// cutPath reads a path at the start of s and returns its mailbox and the rest of
// s. The null path and a bare <Postmaster> come back as a mailbox
// without a domain: the caller knows which of them it may take.
func cutPath(s []byte) (m mailbox, rest []byte, ok bool) {
	var inner []byte
	if len(s) > 0 && s[0] == '<' {
		end := scanTo(s[1:], func(c byte) bool { return c == '>' })
		if end < 0 {
			return m, nil, false
		}
		inner, rest = s[1:1+end], s[end+2:]
	} else {
		end := scanTo(s, isBlank)
		if end < 0 {
			end = len(s)
		}
		inner, rest = s[:end], s[end:]
		if len(inner) == 0 {
			return m, nil, false // nothing at all is not the null path
		}
	}
	if len(rest) > 0 && !isBlank(rest[0]) || len(inner)+2 > maxPath {
		return m, nil, false
	}
	if len(inner) > 0 && inner[0] == '@' {
		if inner, ok = dropRoute(inner); !ok {
			return m, nil, false
		}
	}
	m, ok = parseMailbox(inner)
	return m, rest, ok && m.written()+2 <= maxPath
}

// scanTo returns the index of the first octet in s, outside quotes, for which stop
// holds, or -1.
func scanTo(s []byte, stop func(byte) bool) int {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && stop(c):
			return i
		}
	}
	return -1
}

// dropRoute drops the source route "@a,@b:" in front of a mailbox.
func dropRoute(s []byte) ([]byte, bool) {
	colon := bytes.IndexByte(s, ':')
	if colon < 0 || colon+1 == len(s) {
		return nil, false
	}
	for hop := range bytes.SplitSeq(s[:colon], []byte(",")) {
		if len(hop) < 2 || hop[0] != '@' || !isDomain(hop[1:]) {
			return nil, false
		}
	}
	return s[colon+1:], true
}

// parseMailbox reads Local-part ["@" Domain]; nothing at all is read as the
// empty mailbox.
func parseMailbox(s []byte) (m mailbox, ok bool) {
	var rest []byte
	if len(s) > 0 && s[0] == '"' {
		m.local, rest, ok = cutQuoted(s)
		m.quote = !isDotString(m.local)
	} else {
		i := 0
		for i < len(s) && s[i] != '@' {
			i++
		}
		m.local, rest = s[:i], s[i:]
		ok = len(s) == 0 || isAtoms(m.local)
		m.quote = ok && len(s) > 0 && !isDotString(m.local)
	}
	if !ok || len(rest) == 0 {
		return m, ok
	}
	m.domain = rest[1:]
	if n := len(m.domain); n > 1 && m.domain[n-1] == '.' {
		m.domain = m.domain[:n-1]
	}
	return m, rest[0] == '@' && isHost(m.domain)
}

// cutQuoted reads a quoted string at the start of s and undoes its quotes and
// backslashes.
func cutQuoted(s []byte) (local, rest []byte, ok bool) {
	escaped := false
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c < ' ' || c == 0x7F:
			return nil, nil, false
		case c == '\\':
			escaped = true
			i++
			if i == len(s) || s[i] < ' ' || s[i] >= 0x7F {
				return nil, nil, false
			}
		case c == '"':
			local = s[1:i]
			if escaped {
				local = unescape(local)
			}
			return local, s[i+1:], true
		}
	}
	return nil, nil, false
}

// unescape undoes quoted pairs, in memory of its own: the line is borrowed.
func unescape(s []byte) []byte {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' {
			i++
		}
		out = append(out, s[i])
	}
	return out
}

// isDotString reports whether s is a Dot-string: atoms with single dots between.
func isDotString(s []byte) bool {
	dot := true // a dot is not allowed here
	for _, c := range s {
		switch {
		case c == '.':
			if dot {
				return false
			}
			dot = true
		case is(c, atext):
			dot = false
		default:
			return false
		}
	}
	return !dot
}

// isAtoms reports whether s is octets of atoms and dots, with dots anywhere: mobile
// phones in Japan have had mailboxes such as "a..b" and "a." for decades. They are written
// with quotes, in which the RFC allows them.
func isAtoms(s []byte) bool {
	for _, c := range s {
		if c != '.' && !is(c, atext) {
			return false
		}
	}
	return len(s) > 0
}

// isHost reports whether s is a Domain or an address literal.
func isHost(s []byte) bool {
	if len(s) > 0 && s[0] == '[' {
		return isLiteral(s)
	}
	return isDomain(s)
}

// isDomain reports whether s is labels of letters, digits, "-" and "_" with single
// dots between; a label neither begins nor ends with "-". "_" is not the RFC's,
// but it is on the net.
func isDomain(s []byte) bool {
	if len(s) == 0 || len(s) > maxDomain {
		return false
	}
	label, last := 0, byte('.')
	for _, c := range s {
		switch {
		case c == '.':
			if label == 0 || last == '-' {
				return false
			}
			label = 0
		case c == '-' && label > 0, c == '_', is(c, letDig):
			if label++; label > maxLabel {
				return false
			}
		default:
			return false
		}
		last = c
	}
	return label > 0 && last != '-'
}

// isLiteral reports whether s is an address literal: [192.0.2.1] or
// [IPv6:2001:db8::1]. No other kind was ever registered (RFC 5321 section 4.1.3).
func isLiteral(s []byte) bool {
	if len(s) < 3 || s[len(s)-1] != ']' {
		return false
	}
	s = s[1 : len(s)-1]
	if len(s) > 5 && equalFoldASCII(s[:5], "ipv6:") {
		a, err := netip.ParseAddr(string(s[5:]))
		return err == nil && a.Is6() && a.Zone() == ""
	}
	a, err := netip.ParseAddr(string(s))
	return err == nil && a.Is4()
}
