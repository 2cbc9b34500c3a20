package engine

import (
	"crypto/md5" //nolint:gosec // RFC 1939 section 7 says MD5
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"postrider/codec/sasl"
	"postrider/engine/conn"
	"postrider/engine/password"
	"postrider/storage"
)

// door is what the server knows about those who want to log in.
type door struct {
	known    *credentials
	failures *failures
	guesses  *guesses
	secret   []byte // for decoys
}

// ruling is what can be said at once about a claim.
type ruling uint8

const (
	unclear   ruling = iota // it has to be judged
	granted                 // it is true
	throttled               // too many from that network were not
	slowed                  // it has to be judged after a wait
)

// consider says what can be said about a claim without a hash. Whoever gets unclear or
// slowed tells the outcome to settle; after the wait of slowed the claim is unclear.
//
// A password that is remembered counts at once where the account has logged in before. From
// elsewhere the login takes its turn first: else whoever guesses had an answer to each guess
// for nothing while the owner's password is remembered.
func (srv *Server) consider(c *sasl.Claim, ip netip.Addr, a *attempt) (account storage.Account, r ruling, wait time.Duration) {
	now := time.Now()
	account, err := srv.router.Login([]byte(c.User))
	*a = srv.door.guesses.attempt(srv.router.LoginName([]byte(c.User)), account.Hash+account.Secret, ip)
	remembered := c.Need == sasl.NeedPassword && err == nil && srv.door.known.knows(&account, c.Password, now) && srv.mayActAs(account, c.Authzid)
	if remembered && srv.door.guesses.knows(a, now) {
		return account, granted, 0
	}
	wait, ok := srv.admit(a, now)
	switch {
	case !ok:
		return storage.Account{}, throttled, 0
	case wait > 0:
		return storage.Account{}, slowed, wait
	case remembered:
		srv.settle(a, nil)
		return account, granted, 0
	}
	return storage.Account{}, unclear, 0
}

// admit counts a login as wrong, for its network and for its name, until it is settled; not
// ok: it is not looked at. It is to wait before it is looked at.
func (srv *Server) admit(a *attempt, now time.Time) (wait time.Duration, ok bool) {
	if !srv.door.failures.admit(a.ip, now) {
		return 0, false
	}
	if wait, ok = srv.door.guesses.admit(a, now); !ok {
		srv.door.failures.forgive(a.ip, now)
	}
	if wait > 0 {
		srv.stats.slowed.Add(1)
	}
	return wait, ok
}

// hash queues a claim that is unclear for the pool that hashes. A network with
// other claims there, or wrong ones lately, waits for those without: else fifty
// guesses at once would keep everybody waiting for fifty hashes.
func (srv *Server) hash(j conn.Job, ip netip.Addr) bool {
	if srv.door.failures.owes(ip, time.Now()) {
		return srv.auth.SubmitLast(j)
	}
	return srv.auth.Submit(j)
}

// settle ends what consider began: only a wrong password costs its network and its name.
// After a right one that network is known.
func (srv *Server) settle(a *attempt, err error) {
	wrong, now := errors.Is(err, errDenied), time.Now()
	if a.open && !wrong {
		srv.door.failures.forgive(a.ip, now)
	}
	srv.door.guesses.settle(a, err == nil, wrong, now)
}

// errNotJudged is the outcome of a claim that was not looked at.
var errNotJudged = errors.New("the login was not looked at")

// judge finds out whether a claim is true: nil, errDenied, or a failure on our
// side. An unknown name costs the same hash as a wrong password and gets the same
// answer. For sasl.NeedPassword it runs in the pool that hashes.
func (srv *Server) judge(c *sasl.Claim) (storage.Account, error) {
	account, err := srv.router.Login([]byte(c.User))
	ok := err == nil
	switch {
	case c.Need == sasl.NeedPassword && (!ok || account.Hash == ""):
		password.Dummy(c.Password, srv.hashCost)
		ok = false
	case c.Need == sasl.NeedPassword:
		if ok, err = password.VerifyTyped(account.Hash, c.Password); err != nil {
			return account, fmt.Errorf("the stored password of %s can't be used: %w", c.User, err)
		}
		if ok {
			srv.door.known.remember(&account, c.Password, time.Now())
		}
	case c.Need == sasl.NeedDigest:
		ok = ok && account.Secret != "" && c.DigestFits(account.Secret)
	case c.Need == sasl.NeedConsent:
		ok = ok && c.Proven && hasVerifier(&account, &c.Verifier)
	default:
		ok = false
	}
	if !ok || !srv.mayActAs(account, c.Authzid) {
		return account, errDenied
	}
	return account, nil
}

// hasVerifier says whether a verifier is that of the account now.
func hasVerifier(a *storage.Account, v *sasl.Verifier) bool {
	now, ok := password.SCRAM(a.Hash)
	return ok && now.StoredKey == v.StoredKey
}

// mayActAs says whether the account may act as authzid: nobody but itself.
func (srv *Server) mayActAs(account storage.Account, authzid string) bool {
	if authzid == "" {
		return true
	}
	other, err := srv.router.Login([]byte(authzid))
	return err == nil && other.ID == account.ID
}

// verifier is what SCRAM goes on with for a name: its own, or a decoy that
// nobody can tell from one. Iterations are those of new passwords; an account
// that was imported with others can be told from nobody by them.
func (srv *Server) verifier(user string) sasl.Verifier {
	if account, err := srv.router.Login([]byte(user)); err == nil {
		if v, ok := password.SCRAM(account.Hash); ok {
			return v
		}
	}
	return sasl.Decoy(srv.door.secret, srv.router.LoginName([]byte(user)), srv.cfg.Auth.ScramIterations)
}

// nonce makes fresh random text for a challenge.
func nonce() string { return rand.Text() }

// failureDelay is how much longer the answer to a failed login has to wait, if at
// all. It counts from the question, so that what the hash took does not show.
func (srv *Server) failureDelay(asked time.Time) time.Duration {
	return srv.cfg.Auth.FailureDelay - time.Since(asked)
}

// openMaildrop finds the account of a login if it isn't known yet, locks the
// maildrop and lists it. It runs in a pool.
func (srv *Server) openMaildrop(j *pop3Job) (storage.Lock, *storage.Listing, error) {
	var err error
	switch {
	case j.ruling == granted:
	case j.digest != "":
		j.account, err = srv.apop(j)
	default:
		j.account, err = srv.judge(&j.claim)
	}
	if err != nil {
		return nil, nil, err
	}
	lock, err := srv.store.LockMaildrop(j.account.ID)
	if err != nil {
		return nil, nil, err
	}
	if !srv.logins.allow(j.account.ID, time.Now()) { // counts no login that another session refuses
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

// apop finds the account whose secret was digested.
func (srv *Server) apop(j *pop3Job) (storage.Account, error) {
	account, err := srv.router.Login([]byte(j.claim.User))
	if err != nil || account.Secret == "" || !apopMatches(j.timestamp, account.Secret, j.digest) {
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
	authenticated, throttled, remembered    atomic.Int64
	slowed                                  atomic.Int64
	webLogins                               atomic.Int64
	overBudget                              atomic.Int64
}

// errDraining is the health of a server that is about to end.
var errDraining = errors.New("shutting down")
