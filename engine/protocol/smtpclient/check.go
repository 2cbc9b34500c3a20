package smtpclient

import (
	"fmt"
)

// check decides, before anything of the transaction is sent, what the peer's
// offer rules out, and reports whether any recipient is left to be tried.
func (s *Session) check() bool {
	tx, o := s.tx, &s.offer
	from := s.path(tx.ReversePath, tx.ASCIIReversePath)
	international := tx.SMTPUTF8 || !isASCII(from)
	switch {
	case from != "" && !isPath(from):
		s.rest = s.own("5.1.7", "the sender's address is not valid in a MAIL command", ScopeMessage)
	case o.maxSize > 0 && tx.Size > o.maxSize:
		s.rest = s.own("5.3.4", fmt.Sprintf("message size %d exceeds size limit %d of the host", tx.Size, o.maxSize), ScopeMessage)
	case international && !o.utf8:
		s.rest = s.own("5.6.7", "SMTPUTF8 is required, but was not offered by the host", ScopeMessage)
	}
	if s.rest.Verdict != Undecided {
		return false
	}
	left := 0
	for i := range tx.Recipients {
		to := s.path(tx.Recipients[i].ForwardPath, tx.Recipients[i].ASCIIPath)
		beyond := !isASCII(to)
		switch {
		case !isPath(to):
			s.results[i] = s.own("5.1.3", "the recipient's address is not valid in a RCPT command", ScopeRecipient)
		case beyond && !o.utf8:
			s.results[i] = s.own("5.6.7", "SMTPUTF8 is required, but was not offered by the host", ScopeRecipient)
		case o.rcptMax > 0 && left == o.rcptMax:
			s.results[i] = s.own("4.5.3", fmt.Sprintf("the host takes %d recipients at a time", o.rcptMax), ScopeRecipient)
			s.results[i].Again = true
		default:
			left++
			international = international || beyond
		}
	}
	s.utf8 = international && o.utf8
	return left > 0
}

// path is what goes between the brackets of a command: the path as it is, or its
// form in ASCII for a peer that takes no other. A domain in A-labels is the same
// domain (RFC 5890); a local part has no such form.
func (s *Session) path(path, ascii string) string {
	if !s.offer.utf8 && ascii != "" && !isASCII(path) {
		return ascii
	}
	return path
}

// isPath reports whether s may be between the angle brackets of a command:
// nothing in it ends the line or the path. Paths come from a parser that makes
// sure of it; this is the last check.
func isPath(s string) bool {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c < ' ' || c == 0x7F:
			return false
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted:
			i++
			if i == len(s) || s[i] < ' ' || s[i] == 0x7F {
				return false
			}
		case !quoted && (c == ' ' || c == '<' || c == '>'):
			return false
		}
	}
	return s != "" && !quoted
}

// isValue reports whether s may be the value of a parameter.
func isValue(s string, international bool) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c <= ' ' || c == '=' || c == 0x7F || c > 0x7F && !international {
			return false
		}
	}
	return true
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
