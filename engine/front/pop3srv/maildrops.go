package pop3srv

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"postrider/engine/edge/limit"
	"postrider/storage"
)

// maildrops opens maildrops for logins, on any goroutine.
type maildrops struct {
	store Store
	max   atomic.Int64 // messages of a listing
	times *loginTimes
}

// errTooSoon is for an account that has logged in less than Settings.LoginDelay ago.
var errTooSoon = errors.New("login delay")

// open locks the maildrop of an account and lists it. It waits for the store.
func (m *maildrops) open(account storage.AccountID) (lock storage.Lock, l *storage.Listing, err error) {
	if lock, err = m.store.LockMaildrop(account); err != nil {
		return nil, nil, err
	}
	defer func() {
		if l == nil { // an error or a panic
			lock.Release()
			lock = nil
		}
	}()
	if !m.times.allow(account, time.Now()) { // counts no login that another session refuses
		return lock, nil, errTooSoon
	}
	l, err = lock.List(int(m.max.Load()))
	return lock, l, err
}

// loginTimes remembers when an account last logged in, for Settings.LoginDelay. It forgets
// what is older than the delay.
type loginTimes struct {
	delay atomic.Int64 // a time.Duration

	mu     sync.Mutex
	last   limit.Recent[storage.AccountID, time.Time]
	turned time.Time
}

// allow reports whether the account may log in again, and books the login if it may.
func (l *loginTimes) allow(a storage.AccountID, now time.Time) bool {
	delay := time.Duration(l.delay.Load())
	if delay == 0 {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.turned) >= delay {
		l.last.Turn()
		l.turned = now
	}
	if at, ok := l.last.Get(a); ok && now.Sub(at) < delay {
		return false
	}
	l.last.Set(a, now)
	return true
}
