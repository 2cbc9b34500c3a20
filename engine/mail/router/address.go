package router

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"postrider/codec/address"
)

// mailbox is a local part, without quotes, under a folded domain. Under a domain of
// ours the local part is folded too; elsewhere it is as it was written.
type mailbox struct{ local, domain string }

// String writes m as RFC 5321 has it.
func (m mailbox) String() string { return Mailbox(m.local, m.domain) }

// Mailbox writes an address as RFC 5321 section 4.1.2 has it: with quotes about
// a local part that needs them, and without "@" when the domain is empty.
func Mailbox(local, domain string) string {
	if !isDotString(local) {
		local = `"` + quoter.Replace(local) + `"`
	}
	if domain == "" {
		return local
	}
	return local + "@" + domain
}

var quoter = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

// isDotString reports whether local can be written without quotes (RFC 5321
// Dot-string; octets from 128 on belong to an atom by RFC 6531).
func isDotString(local string) bool {
	for atom := range strings.SplitSeq(local, ".") {
		if atom == "" {
			return false
		}
		for i := range len(atom) {
			if !isAtext(atom[i]) {
				return false
			}
		}
	}
	return true
}

func isAtext(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c >= utf8.RuneSelf || strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) >= 0
}

// cut splits a Mailbox at its last "@" and takes the quotes off; a text without
// "@" is a local part.
func cut(text string) (local, domain string) {
	local = text
	if i := strings.LastIndexByte(text, '@'); i >= 0 && !strings.HasSuffix(text, `"`) {
		local, domain = text[:i], text[i+1:]
	}
	return address.Unquote(local), domain
}

// The limits of RFC 5321 section 4.5.3.1, in octets.
const (
	maxLocal = 64  // for accounts and aliases here
	maxPath  = 256 // with angle brackets
)

// ParseMailbox reads an address that an operator wrote, NAME or NAME@DOMAIN, with
// quotes or without. The local part comes back without quotes and in its case, the
// domain folded; without a domain it is defaultDomain. An empty local part, "@domain",
// is returned as such: it is the catch-all's name, which only code that makes aliases
// uses. The error tells what is wrong with the text.
func ParseMailbox(text, defaultDomain string) (local, domain string, err error) {
	local, domain = cut(strings.TrimSpace(text))
	if domain == "" && strings.HasSuffix(text, "@") {
		return "", "", fmt.Errorf("%q has no domain after the @", text)
	}
	if domain == "" {
		domain = defaultDomain
	}
	for i := range len(local) {
		if local[i] < ' ' || local[i] == 0x7f {
			return "", "", fmt.Errorf("the name in %q has a control character in it", text)
		}
	}
	if !utf8.ValidString(local) {
		return "", "", fmt.Errorf("the name in %q is not UTF-8", text)
	}
	if strings.ContainsAny(local, "<>\" \\,:;@()[]") && !strings.HasPrefix(strings.TrimSpace(text), `"`) {
		return "", "", fmt.Errorf("the name in %q has characters that need quotes about it", text)
	}
	if domain, err = address.ParseDomain(domain); err != nil {
		return "", "", err
	}
	if n := len(Mailbox(local, domain)); n > maxPath-2 {
		return "", "", fmt.Errorf("the address %q is %d octets long; at most %d are possible", text, n, maxPath-2)
	}
	return local, domain, nil
}

// ParseAddress reads the address of an account or alias here, as ParseMailbox does,
// and returns it as the directory keeps it: folded.
func ParseAddress(text, defaultDomain string) (local, domain string, err error) {
	local, domain, err = ParseMailbox(text, defaultDomain)
	if err != nil {
		return "", "", err
	}
	if local = address.FoldLocal(local); len(local) > maxLocal {
		return "", "", fmt.Errorf("the name in %q is longer than %d octets", text, maxLocal)
	}
	return local, domain, nil
}
