package address

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// FoldDomain returns the form of a domain in which domains are compared and kept:
// its A-labels in lower case. An address literal, "[192.0.2.1]", is only put into
// lower case. See the package comment for a domain without A-labels.
func FoldDomain(domain string) string {
	if isFolded(domain) {
		return domain
	}
	switch {
	case isASCII(domain) || !utf8.ValidString(domain):
		return lowerASCII(domain)
	case len(domain) > maxDomain:
		return FoldLocal(domain)
	}
	folded := domain
	for range 2 { // what IDNA refuses may be fit for it once it is folded
		ascii, err := profile.ToASCII(folded)
		if err == nil && isName(ascii) {
			return ascii
		}
		folded = FoldLocal(folded)
	}
	return folded
}

// maxDomain is more than any U-labels have whose A-labels fit into the 255 octets of
// a domain. Punycode takes time by the square of a label's length.
const maxDomain = 1024

// FoldLocal returns the form of a local part in which the mailboxes of this host
// are compared and kept: lower case in NFC.
func FoldLocal(local string) string {
	switch {
	case isFolded(local):
		return local
	case isASCII(local) || !utf8.ValidString(local):
		return lowerASCII(local)
	}
	return norm.NFC.String(strings.ToLower(norm.NFC.String(local)))
}

// Fold is FoldLocal and FoldDomain for a mailbox as text, quotes included; text
// without "@" is a local part.
func Fold(mailbox string) string {
	if isFolded(mailbox) {
		return mailbox
	}
	local, domain, found := Cut(mailbox)
	if !found {
		return FoldLocal(mailbox)
	}
	return FoldLocal(local) + "@" + FoldDomain(domain)
}

// Key is FoldDomain for a mailbox as text: equal keys are one mailbox at any host.
func Key(mailbox string) string {
	local, domain, found := Cut(mailbox)
	if !found || isFolded(domain) {
		return mailbox
	}
	return local + "@" + FoldDomain(domain)
}

// Cut splits a mailbox as text at the "@" before its domain. Quotes stay in local.
func Cut(mailbox string) (local, domain string, found bool) {
	i := strings.LastIndexByte(mailbox, '@')
	if i < 0 || strings.IndexByte(mailbox[i:], '"') >= 0 {
		return mailbox, "", false
	}
	return mailbox[:i], mailbox[i+1:], true
}

// Unquote takes the quotes and backslashes off a local part that has quotes.
func Unquote(local string) string {
	if len(local) < 2 || local[0] != '"' || local[len(local)-1] != '"' {
		return local
	}
	inner := local[1 : len(local)-1]
	b := make([]byte, 0, len(inner))
	for i := 0; i < len(inner); i++ {
		if inner[i] == '\\' && i+1 < len(inner) {
			i++
		}
		b = append(b, inner[i])
	}
	return string(b)
}

// IsDNS reports whether a folded domain, or a mailbox with one, is ASCII: the domain can be
// asked for in DNS and named in a certificate.
func IsDNS(folded string) bool { return isASCII(folded) }

// profile is UTS 46 without the mappings of IDNA2003 for ß, ς and joiners, as all
// registries and browsers have it. Checks of STD3 are isName's, which takes "_".
var profile = idna.New(
	idna.MapForLookup(),
	idna.Transitional(false),
	idna.BidiRule(),
	idna.StrictDomainName(false),
	idna.VerifyDNSLength(true),
)

// isName reports whether an ASCII domain has only the characters of host names and
// "_": mapping can make others, such as "@" of its wide form.
func isName(domain string) bool {
	for i := range len(domain) {
		switch c := domain[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return true
}

// isFolded reports whether s is ASCII without capitals.
func isFolded(s string) bool {
	for i := range len(s) {
		if c := s[i]; 'A' <= c && c <= 'Z' || c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// lowerASCII folds the letters of ASCII and keeps all other octets.
func lowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
