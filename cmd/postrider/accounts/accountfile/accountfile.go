// Package accountfile reads files of accounts: a line NAME[@DOMAIN]:PASSWORD for each.
//
// In place of the password a hash may be given, as in a Dovecot passwd file, in /etc/shadow
// and as crypt(3) writes it: package password recognizes them. Fields after a hash are
// ignored. So are empty lines and lines that begin with #. Lines of /etc/shadow without a
// password are passed over. What looks like a hash and is none that is known is wrong. A
// quoted name may hold a colon. A password may hold all characters except a line end.
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

// File is what is in a file.
type File struct {
	Accounts []Account
	// Locked are the names of users whose lines of /etc/shadow have no password.
	Locked []string
}

// Directory says which accounts can be made.
type Directory interface {
	// ParseName reads NAME or NAME@DOMAIN.
	ParseName(text string) (local, domain string, err error)
	// Free returns why an account can't be made, for each; nil: it can. The second error
	// is about the directory.
	Free(accounts []Account) ([]error, error)
	// Accepts returns why an account can't have a password; nil: it can.
	Accepts(password []byte, local, domain string) error
}

// Read reads the lines of in and checks all of them. from is the file's name in errors.
func Read(in io.Reader, from string, d Directory) (*File, error) {
	wrong := lines.Faults{From: from}
	file := new(File)
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
		a, kind, err := parse(string(text), d)
		switch {
		case err != nil:
			wrong.Add(n, "%v", err)
			continue
		case kind == password.Locked:
			file.Locked = append(file.Locked, a.New.Name)
			continue
		}
		a.Line = n
		name := [2]string{a.New.Name, a.New.Domain}
		if first, ok := seen[name]; ok {
			wrong.Add(n, "%s is in line %d already", router.Mailbox(name[0], name[1]), first)
			continue
		}
		seen[name] = n
		file.Accounts = append(file.Accounts, a)
	}
	if err := wrong.Stopped(n, scanner.Err()); err != nil {
		return nil, err
	}
	taken, err := d.Free(file.Accounts)
	if err != nil {
		return nil, err
	}
	for i, err := range taken {
		if err != nil {
			wrong.Add(file.Accounts[i].Line, "%v", err)
		}
	}
	if err := wrong.Err(); err != nil {
		return nil, err
	}
	return file, nil
}

// parse reads one line.
func parse(text string, d Directory) (a Account, kind password.Kind, err error) {
	from := quotedLen(text)
	i := strings.IndexByte(text[from:], ':')
	if i < 0 {
		return a, kind, errors.New("no colon: expected NAME[@DOMAIN]:PASSWORD")
	}
	name := text[:from+i]
	kind, word, err := password.Recognize(text[from+i+1:])
	if err != nil {
		return a, kind, err
	}
	if a.New.Name = name; kind == password.Locked {
		return a, kind, nil
	}
	if a.New.Name, a.New.Domain, err = d.ParseName(name); err != nil {
		return a, kind, err
	}
	if kind == password.Hashed {
		a.New.Hash = word
		return a, kind, nil
	}
	if word == "" {
		return a, kind, errors.New("the password is empty")
	}
	a.Password = []byte(word)
	return a, kind, d.Accepts(a.Password, a.New.Name, a.New.Domain)
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
