package password

import (
	"fmt"
	"regexp"
	"strings"
)

// Kind is what a file of accounts has after a name and a colon.
type Kind uint8

// The kinds.
const (
	InClear Kind = iota // the password itself
	Hashed              // its hash
	Locked              // no password: a line of /etc/shadow with * or !
)

// plainSchemes say that what follows is the password itself.
var plainSchemes = []string{"{PLAIN}", "{CLEAR}", "{CLEARTEXT}"}

// Recognize reads what a file of accounts has after a name and a colon: a password; a hash
// with its scheme, or as crypt(3) writes it, with other fields after it or none; or the rest
// of a line of /etc/shadow. text is the password, or the hash with its scheme, which Check
// has found good.
//
// What looks like a hash and is none that is known is an error, never a password: the
// account would have its hash as its password. {PLAIN} before a password says that it is
// one, whatever it looks like.
func Recognize(rest string) (kind Kind, text string, err error) {
	first, others, _ := strings.Cut(rest, ":")
	fields := strings.Split(others, ":")
	switch {
	case isShadow(fields):
		if first == "" {
			return InClear, "", hashError("a line of /etc/shadow without a password: set one, or lock the user there")
		}
		if first[0] == '*' || first[0] == '!' {
			return Locked, "", nil
		}
	case isPasswd(fields) && (first == "x" || first == "*"):
		return InClear, "", hashError("a line of /etc/passwd: the hashes are in /etc/shadow")
	}
	for _, plain := range plainSchemes {
		if n := len(plain); len(first) >= n && strings.EqualFold(first[:n], plain) {
			return InClear, first[n:], nil
		}
	}
	if IsHash(first) {
		return Hashed, first, Check(first)
	}
	if mcf.MatchString(first) {
		hash, err := fromCrypt(first)
		return Hashed, hash, err
	}
	if why := looksHashed(first); why != "" {
		return InClear, "", hashError("%s; if it is the password itself, write {PLAIN} before it", why)
	}
	if isShadow(fields) || isPasswd(fields) {
		return InClear, "", hashError("the line has the fields of a file of users, and what is in the place of the password is no hash that is known; if it is the password itself, write {PLAIN} before it")
	}
	return InClear, rest, nil
}

// mcf is how hashes of crypt(3) and others like it begin.
var mcf = regexp.MustCompile(`^\$[A-Za-z0-9][A-Za-z0-9-]{0,20}\$`)

// fromCrypt gives a text that begins with $name$ its scheme.
func fromCrypt(text string) (hash string, err error) {
	_, name, err := cryptOf(text)
	if err == nil {
		hash = "{" + name + "}" + text
		return hash, Check(hash)
	}
	for _, p := range [...]struct{ prefix, name string }{
		{"$pbkdf2$", "PBKDF2"}, {"$pbkdf2-sha256$", "PBKDF2-SHA256"}, {"$pbkdf2-sha512$", "PBKDF2-SHA512"},
	} {
		if rest, ok := strings.CutPrefix(text, p.prefix); ok {
			hash = "{" + p.name + "}" + rest
			return hash, Check(hash)
		}
	}
	begins := text[:strings.IndexByte(text[1:], '$')+2]
	return "", fmt.Errorf("%w: if it is the password itself, write {PLAIN} before it", hashError("it begins with %s as a hash does, of a kind that is not known", begins))
}

// looksHashed says what a text without a scheme looks like; "": like a password.
func looksHashed(text string) string {
	digits := strings.TrimPrefix(text, "*") // MySQL
	switch n := len(digits); {
	case n >= 32 && isOf(digits, "0123456789abcdefABCDEF") && (n == 32 || n == 40 || n == 56 || n == 64 || n == 96 || n == 128):
		return fmt.Sprintf("%d hexadecimal digits look like a digest without a scheme", n)
	case len(text) == 13 && isOf(text, cryptAlphabet) && strings.ContainsAny(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") && strings.ContainsAny(text, "abcdefghijklmnopqrstuvwxyz") &&
		strings.IndexByte(".26AEIMQUYcgkosw", text[12]) >= 0: // 64 bits are 12 characters and two thirds
		return "13 such characters look like a DES hash of crypt(3), which is too weak to be kept"
	case strings.HasPrefix(text, "pbkdf2_sha") || strings.HasPrefix(text, "scrypt:") || strings.HasPrefix(text, "pbkdf2:"):
		return "it begins as a hash of a web framework"
	case text == "*" || text == "!" || text == "!!":
		return text + " is what a locked account has"
	}
	return ""
}

const cryptAlphabet = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

func isOf(text, alphabet string) bool { return strings.Trim(text, alphabet) == "" }

// isShadow reports whether the fields after the hash are a line of /etc/shadow (shadow(5)).
func isShadow(fields []string) bool {
	if len(fields) != 7 {
		return false
	}
	for _, f := range fields {
		if !isOf(f, "0123456789-") {
			return false
		}
	}
	return true
}

// isPasswd reports whether the fields after the hash are a line of /etc/passwd, or of
// Dovecot's passwd file: a user's number and a group's, and others.
func isPasswd(fields []string) bool {
	return len(fields) >= 5 && isNumber(fields[0]) && isNumber(fields[1])
}

func isNumber(text string) bool { return text != "" && isOf(text, "0123456789") }
