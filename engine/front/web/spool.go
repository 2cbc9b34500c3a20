package web

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	"postrider/storage"
)

// spool is where uploads are until their message is sent: files of a folder.
type spool struct {
	folder string
	octets atomic.Int64 // octets of all files, with files that still arrive

	mu sync.Mutex
	of map[storage.AccountID]int64 // octets of each account
}

// upload is a file of the spool.
type upload struct {
	ID     string // also the file's name
	Name   string // as its sender calls it; safe
	Octets int64
}

// spooled are the uploads of a session.
type spooled struct {
	mu      sync.Mutex
	uploads []upload
	octets  int64
	closed  bool // the session has ended
}

// Limits of uploads.
const (
	maxUploads = 100       // uploads of one session
	maxSpooled = 512 << 20 // octets of one session
	maxAccount = 1 << 30   // octets of all sessions of an account
	maxSpool   = 4 << 30   // octets of all
)

var (
	errTooMuch  = errors.New("the uploaded attachments are larger than allowed")
	errTooLarge = errors.New("the attachments are larger than a message may be")
)

// openSpool makes the folder, and empties it of what a process before has left.
func openSpool(folder string) (*spool, error) {
	if err := os.RemoveAll(folder); err != nil {
		return nil, fmt.Errorf("the folder for uploads: %w", err)
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("the folder for uploads: %w", err)
	}
	return &spool{folder: folder}, nil
}

// put keeps what r has for the session s, at most limit octets: errTooLarge, errTooMuch.
func (sp *spool) put(s *session, name string, r io.Reader, limit int64) (u upload, err error) {
	u = upload{ID: rand.Text(), Name: name}
	path := sp.path(u.ID)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return u, err
	}
	to := &booked{f, sp, s.account.ID, 0}
	_, err = io.Copy(to, io.LimitReader(r, limit+1))
	u.Octets = to.octets
	if err == nil && u.Octets > limit {
		err = errTooLarge
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = s.keep(u)
	}
	if err != nil {
		_ = os.Remove(path)
		sp.free(s.account.ID, u.Octets)
	}
	return u, err
}

// book takes room for octets of an account, if it has its share still.
func (sp *spool) book(account storage.AccountID, n int64) bool {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	if sp.of[account]+n > maxAccount || sp.octets.Load()+n > maxSpool {
		return false
	}
	if sp.of == nil {
		sp.of = make(map[storage.AccountID]int64)
	}
	sp.of[account] += n
	sp.octets.Add(n)
	return true
}

func (sp *spool) free(account storage.AccountID, n int64) {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	sp.octets.Add(-n)
	if sp.of[account] -= n; sp.of[account] <= 0 {
		delete(sp.of, account)
	}
}

// booked is a file of the spool that is written; what it has is counted at once.
type booked struct {
	f      *os.File
	sp     *spool
	of     storage.AccountID
	octets int64
}

func (b *booked) Write(p []byte) (int, error) {
	if !b.sp.book(b.of, int64(len(p))) {
		return 0, errTooMuch
	}
	b.octets += int64(len(p))
	return b.f.Write(p)
}

func (sp *spool) path(id string) string { return filepath.Join(sp.folder, id) }

// keep books an upload.
func (s *spooled) keep(u upload) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.uploads) >= maxUploads || s.octets+u.Octets > maxSpooled {
		return errTooMuch
	}
	s.uploads = append(s.uploads, u)
	s.octets += u.Octets
	return nil
}

// kept returns the uploads among ids that the session has.
func (s *spooled) kept(ids []string) (us []upload) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, u := range s.uploads {
		if slices.Contains(ids, u.ID) {
			us = append(us, u)
		}
	}
	return us
}

// remove deletes uploads of a session.
func (sp *spool) remove(s *session, us []upload) {
	s.mu.Lock()
	for _, u := range us {
		if i := slices.Index(s.uploads, u); i >= 0 {
			s.uploads = slices.Delete(s.uploads, i, i+1)
			s.octets -= u.Octets
			sp.free(s.account.ID, u.Octets)
		}
	}
	s.mu.Unlock()
	for _, u := range us {
		_ = os.Remove(sp.path(u.ID)) // else the next start does
	}
}

// drop deletes all uploads of a session that has ended.
func (sp *spool) drop(s *session) {
	s.mu.Lock()
	s.closed = true
	us := slices.Clone(s.uploads)
	s.mu.Unlock()
	sp.remove(s, us)
}
