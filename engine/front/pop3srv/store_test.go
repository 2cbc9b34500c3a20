package pop3srv

import (
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"postrider/storage"
)

// shelf is a store in memory with one maildrop.
type shelf struct {
	texts []string // the messages in wire form; the first one has the id 1
	// on is called for each call of a method, by its name, with the message that it is about.
	// An error is the method's.
	on func(call string, id storage.MessageID) error

	mu      sync.Mutex
	taken   bool
	locks   int // how often the maildrop was locked
	open    int // messages and sequences
	deleted []storage.MessageID
}

const trace = "Return-Path: <a@client.test>\r\n"

var traceOctets = []byte(trace)

func (s *shelf) ask(call string, id storage.MessageID) error {
	if s.on == nil {
		return nil
	}
	return s.on(call, id)
}

func (s *shelf) isFree() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.taken
}

// gone is what was deleted.
func (s *shelf) gone() []storage.MessageID {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.deleted)
}

func (s *shelf) count(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open += n
}

func (s *shelf) MailExpiry() (time.Duration, bool) { return 0, false }

func (s *shelf) LockMaildrop(storage.AccountID) (storage.Lock, error) {
	if err := s.ask("lock", 0); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken {
		return nil, storage.ErrInUse
	}
	s.taken = true
	s.locks++
	return (*lock)(s), nil
}

// lock is the shelf while a session has it.
type lock shelf

func (l *lock) shelf() *shelf { return (*shelf)(l) }

func (l *lock) Release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.taken = false
}

func (l *lock) List(most int) (*storage.Listing, error) {
	if err := l.shelf().ask("list", 0); err != nil {
		return nil, err
	}
	all := new(storage.Listing)
	for i, text := range l.texts[:min(most, len(l.texts))] {
		all.Append(storage.MessageID(i+1), int64(len(trace)+len(text)))
	}
	return all, nil
}

func (l *lock) Purge(ids []storage.MessageID) error { return l.Expunge(ids) }

func (l *lock) Expunge(ids []storage.MessageID) error {
	if err := l.shelf().ask("expunge", 0); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deleted = append(l.deleted, ids...)
	return nil
}

func (l *lock) Open(id storage.MessageID) (storage.Message, error) {
	if err := l.shelf().ask("open", id); err != nil {
		return nil, err
	}
	l.shelf().count(1)
	return &message{shelf: l.shelf(), id: id, rest: l.texts[id-1]}, nil
}

// Sequence is the lock itself: it allocates nothing.
func (l *lock) Sequence() (storage.Sequence, error) {
	if err := l.shelf().ask("sequence", 0); err != nil {
		return nil, err
	}
	l.shelf().count(1)
	return l, nil
}

func (l *lock) Close() { l.shelf().count(-1) }

func (l *lock) Append(dst []byte, id storage.MessageID) ([]byte, storage.Entry, error) {
	if err := l.shelf().ask("append", id); err != nil {
		return dst, storage.Entry{}, err
	}
	text := l.texts[id-1]
	if len(dst)+len(trace)+len(text) > cap(dst) {
		return dst, storage.Entry{}, io.ErrShortBuffer
	}
	return append(append(dst, trace...), text...), entryOf(id, text), nil
}

func entryOf(id storage.MessageID, text string) storage.Entry {
	return storage.Entry{ID: id, Trace: traceOctets, Wire: int64(len(text)), Size: int64(len(text))}
}

// message is an open message of a shelf.
type message struct {
	shelf  *shelf
	id     storage.MessageID
	rest   string
	closed bool
}

func (m *message) Entry() storage.Entry {
	_ = m.shelf.ask("entry", m.id) // for a panic
	return entryOf(m.id, m.shelf.texts[m.id-1])
}

func (m *message) Next() ([]byte, error) {
	if m.closed {
		return nil, errors.New("closed")
	}
	if err := m.shelf.ask("next", m.id); err != nil {
		return nil, err
	}
	if m.rest == "" {
		return nil, io.EOF
	}
	n := min(len(m.rest), storage.MaxPiece)
	p := []byte(m.rest[:n])
	m.rest = m.rest[n:]
	return p, nil
}

func (m *message) Close() {
	if m.closed {
		panic("closed twice")
	}
	m.closed = true
	m.shelf.count(-1)
}
