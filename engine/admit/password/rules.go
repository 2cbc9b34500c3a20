package password

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Rules are what a new password has to be. What is stored already is not looked at.
type Rules struct {
	MinLength int                 // in characters; from 2 on the name of the account is refused too
	Refused   map[string]struct{} // in lower case; see ReadRefused
}

// Check returns why the account local@domain can't have the password; nil: it can.
func (r *Rules) Check(password []byte, local, domain string) error {
	folded := strings.ToLower(string(password))
	_, refused := r.Refused[folded]
	switch n := utf8.RuneCount(password); {
	case n == 0:
		return fmt.Errorf("the password is empty")
	case n < r.MinLength:
		return fmt.Errorf("the password has %d characters: auth.min_password wants at least %d", n, r.MinLength)
	case r.MinLength > 1 && (folded == strings.ToLower(local) || folded == strings.ToLower(local+"@"+domain)):
		return fmt.Errorf("the password is the name of the account: it would be guessed first")
	case refused:
		return fmt.Errorf("the password is in the list of refused passwords (auth.refused_passwords)")
	}
	return nil
}

// maxRefused bounds a line of a list of refused passwords.
const maxRefused = 4096

// ReadRefused reads a list of refused passwords, one a line, in any case.
func ReadRefused(in io.Reader) (map[string]struct{}, error) {
	refused := make(map[string]struct{})
	scanner := bufio.NewScanner(in)
	scanner.Buffer(nil, maxRefused)
	for scanner.Scan() {
		if line := bytes.TrimRight(scanner.Bytes(), "\r"); len(line) > 0 {
			refused[strings.ToLower(string(line))] = struct{}{}
		}
	}
	return refused, scanner.Err()
}
