package mbrain

import (
	"encoding/hex"
	"strings"
)

// Extension is how the name of a file ends.
const Extension = ".TXT"

// FileName is the name of an account's file, without a folder; it has no "/" and
// does not begin with a dot whatever the account is called. domain is empty for
// the default domain. Names are in lower case, as the store keeps them.
func FileName(name, domain string) string {
	file := escape(name)
	if domain != "" {
		file += "@" + escape(domain)
	}
	return file + Extension
}

func escape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z':
			b.WriteByte(c - 'a' + 'A')
		case '0' <= c && c <= '9', c == '-', c == '_', c == '+', c == '.' && i > 0:
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteString(strings.ToUpper(hex.EncodeToString([]byte{c})))
		}
	}
	return b.String()
}
