package lsm

import (
	"encoding/binary"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"postrider/storage"
)

// loginNote is a login to be kept.
type loginNote struct {
	account storage.AccountID
	at      time.Time
}

// loginNotes are the accounts with a loginNote on its way to the committer: one each.
type loginNotes struct {
	mu  sync.Mutex
	all map[storage.AccountID]struct{}
}

// NoteLogin implements storage.Directory.
func (s *Store) NoteLogin(id storage.AccountID, at time.Time) {
	s.dir.mu.RLock()
	r := s.dir.recordOf(id)
	known := r == nil || at.Sub(timeOf(r.number(3))) < storage.LoginGrain
	s.dir.mu.RUnlock()
	if known {
		return
	}
	s.logins.mu.Lock()
	_, there := s.logins.all[id]
	if !there {
		s.logins.all[id] = struct{}{}
	}
	s.logins.mu.Unlock()
	if !there {
		s.queue.put(op{login: &loginNote{id, at}})
	}
}

// noteLogin writes the L row of an account. It need not be synced.
func (c *committer) noteLogin(n *loginNote) {
	s := c.s
	s.logins.mu.Lock()
	delete(s.logins.all, n.account)
	s.logins.mu.Unlock()
	if s.refusal() != nil {
		return
	}
	if !s.dir.setLogin(n.account, n.at) {
		return // it was removed
	}
	g := c.open()
	g.unwaited++
	setLogin(g.batch, n.account, n.at)
	if g.full() {
		c.flush()
	}
}

// setLogin sets the L row of an account.
func setLogin(b *pebble.Batch, id storage.AccountID, at time.Time) {
	var k [accountKeyLen]byte
	_ = b.Set(putAccountKey(&k, tagLogin, id), binary.BigEndian.AppendUint64(nil, uint64(at.UnixMilli())), nil)
}

// setLogin keeps a login in the account's record; false: there is no such account.
func (d *directory) setLogin(id storage.AccountID, at time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.recordOf(id)
	if r == nil {
		return false
	}
	binary.LittleEndian.PutUint64(r.rest()[8*3:], uint64(at.UnixMilli()))
	return true
}

// loadLogins reads the L rows.
func (s *Store) loadLogins() error {
	return scan(s.db, []byte{tagLogin}, func(k, v []byte) (bool, error) {
		if len(v) == 8 {
			s.dir.setLogin(accountOfKey(k), time.UnixMilli(int64(binary.BigEndian.Uint64(v))))
		}
		return true, nil // a row that can't be read is no reason not to start; Check reports it
	})
}
