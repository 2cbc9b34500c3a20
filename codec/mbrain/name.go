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

// ParseFileName gives the account of a file name that FileName made, in any case.
func ParseFileName(file string) (name, domain string, ok bool) {
	if len(file) < len(Extension) || !strings.EqualFold(file[len(file)-len(Extension):], Extension) {
		return "", "", false
	}
	name, domain, at := strings.Cut(file[:len(file)-len(Extension)], "@")
	name, ok1 := unescape(name)
	domain, ok2 := unescape(domain)
	return name, domain, ok1 && ok2 && name != "" && (!at || domain != "")
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

func unescape(s string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case 'A' <= c && c <= 'Z':
			b.WriteByte(c - 'A' + 'a')
		case c == '%':
			if i+2 >= len(s) {
				return "", false
			}
			octet, err := hex.DecodeString(s[i+1 : i+3])
			if err != nil {
				return "", false
			}
			b.WriteByte(octet[0])
			i += 2
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), true
}
