package message

import (
	"slices"
	"strings"
)

// Claims are the addresses that a reader may find in an unfolded list of addresses, each
// once: what [Mailboxes] finds, and every word with "@" that is not within a quoted string or
// a comment, whatever is around it. Readers differ about text that breaks the rules, such
// as a name with an address in it that has no quotes; a caller that vouches for all of a
// field needs every address that any reader may see. The work is linear in the value, but
// for finding duplicates among at most limit addresses; more are cut off, and the result
// has limit+1.
func Claims(value string, limit int) (found []string) {
	add := func(address string) bool {
		if !slices.Contains(found, address) {
			found = append(found, address)
		}
		return len(found) <= limit
	}
	for _, m := range Mailboxes(value) {
		if m.Address != "" && !add(m.Address) {
			return found
		}
	}
	for word := range strings.FieldsFuncSeq(withoutStrings(value), endsClaim) {
		if i := strings.IndexByte(word, '@'); i > 0 && i < len(word)-1 && !add(word) {
			return found
		}
	}
	return found
}

// endsClaim reports whether r is around addresses and not in them.
func endsClaim(r rune) bool { return r <= ' ' || strings.ContainsRune(",;:<>()\"\x7f", r) }

// withoutStrings replaces each quoted string and each comment by a blank. If one has no
// end, the value is left as it is, because its strings are not known then.
func withoutStrings(value string) string {
	var b strings.Builder
	depth, quoted := 0, false
	for i := 0; i < len(value); i++ {
		c := value[i]
		switch {
		case c == '\\' && (quoted || depth > 0):
			i++
		case quoted:
			quoted = c != '"'
		case c == '(':
			depth++
			b.WriteByte(' ')
		case c == ')' && depth > 0:
			depth--
		case depth > 0:
		case c == '"':
			quoted = true
			b.WriteByte(' ')
		default:
			b.WriteByte(c)
		}
	}
	if quoted || depth > 0 {
		return value
	}
	return b.String()
}
