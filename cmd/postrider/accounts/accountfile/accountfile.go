// Package accountfile reads files of accounts: a line NAME[@DOMAIN]:PASSWORD for each.
//
// In place of the password a hash may be given, as in a Dovecot passwd file; fields
// after the hash are ignored. So are empty lines and lines that begin with #. A quoted name may hold a colon. A password may hold all characters except a
// line end.
//
// The lines are checked against each other and against the directory. If one is wrong,
// the error lists every wrong line, and there are no accounts. A line has at most 64
// KiB.
package accountfile

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"

	"postrider/cmd/postrider/accounts/lines"
	"postrider/engine/admit/password"
	"postrider/engine/mail/router"
	"postrider/storage"
)

// maxLine bounds a line.
const maxLine = 64 << 10

// Account is one line of a file.
type Account struct {
	Line int
	New  storage.NewAccount
	// Password is yet to be hashed into New.Hash; nil: the line had a hash.
	Password []byte
}

// Directory says which accounts can be made.
type Directory interface {
	// ParseName reads NAME or NAME@DOMAIN.
	ParseName(text string) (local, domain string, err error)
	// Free returns why no account can be made under the name; nil: it can.
	Free(local, domain string) error
}

// Read reads the lines of in and checks all of them. from is the file's name in errors.
func Read(in io.Reader, from string, d Directory) ([]Account, error) {
	wrong := lines.Faults{From: from}
	var accounts []Account
	seen := make(map[[2]string]int)
	scanner := bufio.NewScanner(in)
	scanner.Buffer(nil, maxLine)
	n := 0
	for scanner.Scan() {
		n++
		text := bytes.TrimRight(scanner.Bytes(), "\r")
		if len(bytes.TrimSpace(text)) == 0 || text[0] == '#' {
			continue
		}
		a, err := parse(string(text), d)
		if err != nil {
			wrong.Add(n, "%v", err)
			continue
		}
		a.Line = n
		name := [2]string{a.New.Name, a.New.Domain}
		if first, ok := seen[name]; ok {
			wrong.Add(n, "%s is in line %d already", router.Mailbox(name[0], name[1]), first)
			continue
		}
		seen[name] = n
		accounts = append(accounts, a)
	}
	if err := wrong.Stopped(n, scanner.Err()); err != nil {
		return nil, err
	}
	if err := wrong.Err(); err != nil {
		return nil, err
	}
	return accounts, nil
}

// parse reads one line.
func parse(text string, d Directory) (a Account, err error) {
	from := quotedLen(text)
	i := strings.IndexByte(text[from:], ':')
	if i < 0 {
		return a, errors.New("no colon: expected NAME[@DOMAIN]:PASSWORD")
	}
	name, word := text[:from+i], text[from+i+1:]
	local, domain, err := d.ParseName(name)
	if err != nil {
		return a, err
	}
	if err := d.Free(local, domain); err != nil {
		return a, err
	}
	a.New = storage.NewAccount{Name: local, Domain: domain}
	if !password.IsHash(word) {
		a.Password = []byte(word)
		if word == "" {
			err = errors.New("the password is empty")
		}
		return a, err
	}
	a.New.Hash, _, _ = strings.Cut(word, ":")
	return a, password.Check(a.New.Hash)
}

// quotedLen is the length of the quoted string that text begins with (RFC 5321
// section 4.1.2); 0: it begins with none.
func quotedLen(text string) int {
	if !strings.HasPrefix(text, `"`) {
		return 0
	}
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return 0
}
