package engine

import (
	"crypto/md5" //nolint:gosec // RFC 1939 section 7 says MD5
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"postrider/engine/password"
	"postrider/storage"
)

// openMaildrop checks the password of a login, locks the maildrop and lists it.
// It runs in the pool that hashes. An unknown name costs the same hash as a
// wrong password and gets the same answer.
func (srv *Server) openMaildrop(j *pop3Job) (storage.Lock, *storage.Listing, error) {
	account, err := srv.authenticate(j)
	if err != nil {
		return nil, nil, err
	}
	lock, err := srv.store.LockMaildrop(account.ID)
	if err != nil {
		return nil, nil, err
	}
	if !srv.logins.allow(account.ID, time.Now()) { // counts no login that another session refuses
		lock.Release()
		return nil, nil, errTooSoon
	}
	l, err := lock.List(srv.cfg.POP3.MaxListing)
	if err != nil {
		lock.Release()
		return nil, nil, err
	}
	return lock, l, nil
}

// authenticate finds the account and checks the password or the APOP digest.
func (srv *Server) authenticate(j *pop3Job) (storage.Account, error) {
	account, err := srv.router.Login([]byte(j.user))
	if err != nil {
		password.Dummy(j.password, srv.hashCost)
		return account, errDenied
	}
	if j.digest != "" {
		if account.Secret == "" || !apopMatches(j.timestamp, account.Secret, j.digest) {
			return account, errDenied
		}
		return account, nil
	}
	ok, err := password.Verify(account.Hash, j.password)
	if err != nil && account.Hash != "" {
		return account, fmt.Errorf("the stored password of %s can't be used: %w", j.user, err)
	}
	if !ok {
		return account, errDenied
	}
	return account, nil
}

// apopMatches says whether digest is the MD5 of the greeting's timestamp and the
// secret (RFC 1939 section 7).
func apopMatches(timestamp, secret, digest string) bool {
	sum := md5.Sum([]byte(timestamp + secret))
	return subtle.ConstantTimeCompare([]byte(hex.EncodeToString(sum[:])), []byte(strings.ToLower(digest))) == 1
}

// timestamp makes the unique part of an APOP greeting.
func (srv *Server) timestamp() string {
	if !srv.cfg.POP3.APOP {
		return ""
	}
	return fmt.Sprintf("<%d.%d.%d@%s>", os.Getpid(), srv.greetings.Add(1), time.Now().UnixNano(), srv.cfg.Server.Hostname)
}

// loginTimes remembers when an account last logged in, for pop3.login_delay. It
// forgets what is older than the delay.
type loginTimes struct {
	delay time.Duration
	mu    sync.Mutex
	last  map[storage.AccountID]time.Time
	swept time.Time
}

// allow says whether the account may log in again, and books it when it may.
func (l *loginTimes) allow(a storage.AccountID, now time.Time) bool {
	if l.delay == 0 {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.swept) > l.delay {
		for id, at := range l.last {
			if now.Sub(at) >= l.delay {
				delete(l.last, id)
			}
		}
		l.swept = now
	}
	if at, ok := l.last[a]; ok && now.Sub(at) < l.delay {
		return false
	}
	l.last[a] = now
	return true
}

// stats are the counters behind the metrics. Every one is written by the loops
// without a lock.
type stats struct {
	smtpSessions, pop3Sessions              atomic.Int64
	messages, deliveries, octetsIn, refused atomic.Int64
	logins, denied, retrieved, octetsOut    atomic.Int64
	timeouts, overBudget                    atomic.Int64
	tlsHandshakes, tlsFailed, tlsBusy       atomic.Int64
}

// errDraining is the health of a server that is about to end.
var errDraining = errors.New("shutting down")
