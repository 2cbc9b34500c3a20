// Command gosmtp is the smallest durable server on github.com/emersion/go-smtp: a
// peer to measure beside ours. A message is one file in the maildir of each
// recipient, synced together with its folder before the 250.
package main

import (
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/emersion/go-smtp"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: gosmtp HOST:PORT FOLDER")
		os.Exit(64)
	}
	s := smtp.NewServer(&store{dir: os.Args[2]})
	s.Addr, s.Domain = os.Args[1], "bench.test"
	s.MaxMessageBytes = 200 << 20
	log.Fatal(s.ListenAndServe())
}

type store struct {
	dir string
	n   atomic.Uint64
}

// NewSession is called for each connection.
func (s *store) NewSession(*smtp.Conn) (smtp.Session, error) { return &session{store: s}, nil }

type session struct {
	store *store
	to    []string
}

// Reset forgets the transaction.
func (s *session) Reset() { s.to = nil }

// Logout ends the session.
func (s *session) Logout() error { return nil }

// Mail takes any sender.
func (s *session) Mail(string, *smtp.MailOptions) error { return nil }

// Rcpt takes the accounts that have a maildir.
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	local, _, _ := strings.Cut(to, "@")
	dir := filepath.Join(s.store.dir, filepath.Base(local))
	if _, err := os.Stat(filepath.Join(dir, "new")); err != nil {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"}
	}
	s.to = append(s.to, dir)
	return nil
}

// Data writes the message for the first recipient and links it for the others.
func (s *session) Data(r io.Reader) error {
	name := fmt.Sprintf("%d.%d", os.Getpid(), s.store.n.Add(1))
	temporary := filepath.Join(s.to[0], "tmp", name)
	f, err := os.Create(temporary)
	if err != nil {
		return err
	}
	defer os.Remove(temporary)
	if _, err = io.Copy(f, r); err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	for _, dir := range s.to {
		if err == nil {
			err = os.Link(temporary, filepath.Join(dir, "new", name))
		}
		if err == nil {
			err = syncFolder(filepath.Join(dir, "new"))
		}
	}
	return err
}

func syncFolder(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
