package login

import (
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"postrider/codec/sasl"
	"postrider/engine/admit/password"
	"postrider/engine/host/latency"
	"postrider/engine/mail/router"
	"postrider/storage"
)

// Settings are the rules for logins, and what a Door works with.
type Settings struct {
	FailureDelay    time.Duration // from a claim to the answer that it is wrong
	NetworkFailures int           // wrong passwords of a network in FailureWindow; 0: no limit
	AccountFailures int           // wrong passwords for a name in FailureWindow, after which logins wait; 0: none waits
	AccountDelay    time.Duration // the longest wait
	FailureWindow   time.Duration
	CacheTTL        time.Duration // how long a password that was right is remembered; 0: it is not
	CacheSize       int
	Cost            password.Cost // the hash of a name without an account
	Iterations      int           // SCRAM for a name without an account
	OfferToSome     bool          // SCRAM is offered while one account has a verifier, not all
	Secret          []byte        // see LoadSecret

	Router *router.Router // finds accounts by the names that clients give
	Store  Store
	// Queue has a goroutine of a pool call Attempt.Work; false: the pool has no room. It
	// does not block. An attempt that is last gives way to all others.
	Queue    func(a *Attempt, last bool) bool
	Draining func() bool      // the server ends: nothing is queued any more
	Now      func() time.Time // the clock
	Took     Took
	Log      *slog.Logger
}

// Took gets the times of logins. A nil histogram keeps none.
type Took struct {
	// Granted and Denied get the time of a check: from the moment that a claim may be looked at
	// until its outcome, with what it waits for a goroutine of the pool, and without Waited and
	// Outcome.Wait.
	Granted, Denied *latency.Histogram
	// Waited gets the time of each Turn: how long logins wait because there were many wrong
	// passwords for their name.
	Waited *latency.Histogram
}

// Store is what a Door asks of the store.
type Store interface {
	Account(id storage.AccountID) (storage.Account, error)
	CredentialChanges() uint64
	SetVerifier(id storage.AccountID, hash, verifier string) error
	NoteLogin(id storage.AccountID, at time.Time)
	Proofs() storage.Proofs
}

// Door judges logins. All methods may be called from any goroutine.
type Door struct {
	// Stats are the counters of logins.
	Stats Stats

	configuring sync.Mutex // held by Configure

	set      atomic.Pointer[Settings]
	known    *credentials
	failures *failures
	guesses  *guesses
}

// New makes a Door that has seen no login.
func New(s Settings) *Door {
	d := &Door{
		known:    newCredentials(s.CacheTTL, s.CacheSize),
		failures: newFailures(s.NetworkFailures, s.FailureWindow),
		guesses:  newGuesses(s.AccountFailures, s.AccountDelay, s.FailureWindow),
	}
	d.set.Store(&s)
	return d
}

// Configure replaces the settings. What was seen of networks and accounts, and the remembered
// passwords, stay as far as the new settings have room for them.
func (d *Door) Configure(s Settings) {
	d.configuring.Lock()
	defer d.configuring.Unlock()
	now := s.Now()
	d.known.configure(s.CacheTTL, s.CacheSize)
	d.failures.configure(s.NetworkFailures, s.FailureWindow, now)
	d.guesses.configure(s.AccountFailures, s.AccountDelay, s.FailureWindow, now)
	d.set.Store(&s)
}

// Settings returns the settings that count now.
func (d *Door) Settings() *Settings { return d.set.Load() }

// Attempt is one login, from its claim to its outcome. The caller sets the exported fields
// before Judge; a session may use one Attempt for one login after the other.
type Attempt struct {
	Claim     sasl.Claim // its Password is borrowed until the outcome
	Timestamp string     // APOP: as in the greeting; then Claim has User and Digest alone
	From      netip.Addr
	Protocol  Protocol

	door    *Door
	done    func(Outcome)
	asked   time.Time
	looked  time.Time // when its check began: asked, or the end of its turn
	changes uint64    // storage.Store.CredentialChanges before the account was looked up
	turn    bool      // the last outcome was Turn
	guess   guess
	lacking *lacking // after the outcome a verifier is made
}

// Verdict is what became of a login.
type Verdict uint8

const (
	// Failed: something of ours did not work. It is in the log.
	Failed Verdict = iota
	// Granted: the claim is true.
	Granted
	// Denied: the claim is wrong. The answer waits for Outcome.Wait.
	Denied
	// TooMany: the claim was not looked at, because too many logins of that network were
	// wrong, or another one from there waits for its turn. The answer waits for Outcome.Wait.
	TooMany
	// Turn: too many passwords for that name were wrong. After Outcome.Wait the caller calls
	// Judge again, or before it Abandon.
	Turn
	// Busy: the claim was not looked at, because the pool had no room.
	Busy
)

// Outcome is what a caller has to know of a login that was judged.
type Outcome struct {
	Verdict  Verdict
	SignedIn               // if Granted
	Wait     time.Duration // from now on; 0: the answer does not wait
}

// Judge answers a claim: now, or it calls done later, once, on a goroutine of the pool. It
// counts the login for its network and its name, and takes back what it has counted unless
// the claim was wrong. After a wait for Turn it goes on with the same claim.
//
// A password that is remembered counts at once where the account has logged in before. From
// elsewhere the login takes its turn first: else a client that guesses had an answer to each
// guess for nothing while the owner's password is remembered.
func (d *Door) Judge(a *Attempt, done func(Outcome)) (o Outcome, now bool) {
	a.door, a.done = d, done
	if a.turn {
		a.turn = false
		d.guesses.waited(&a.guess)
		now := d.set.Load().Now()
		d.set.Load().Took.Waited.Observe(now.Sub(a.asked))
		a.looked = now
		return d.decide(a)
	}
	at := d.set.Load().Now()
	a.asked, a.looked, a.changes = at, at, d.set.Load().Store.CredentialChanges()
	account, err := d.set.Load().Router.Login([]byte(a.Claim.User))
	a.guess = d.guesses.guess(d.set.Load().Router.LoginName([]byte(a.Claim.User)), &account, a.From)
	remembered := a.Claim.Need == sasl.NeedPassword && err == nil && account.Access == storage.FullAccess && d.known.knows(&account, a.Claim.Password, at) && d.mayActAs(account, a.Claim.Authzid)
	if remembered && d.guesses.knows(&a.guess, at) {
		return d.remember(a, account), true
	}
	wait, ok := d.admit(&a.guess, at)
	switch {
	case !ok:
		d.Stats.Throttled.Add(1)
		return Outcome{Verdict: TooMany, Wait: d.penalty(a)}, true
	case wait > 0:
		a.turn = true
		return Outcome{Verdict: Turn, Wait: wait}, true
	case remembered:
		d.settle(&a.guess, Granted)
		return d.remember(a, account), true
	}
	return d.decide(a)
}

// Abandon gives up an attempt whose last outcome was Turn: its client has left, or the
// server ends. It reports whether the attempt was one. An attempt that is with the pool needs
// no Abandon.
func (d *Door) Abandon(a *Attempt) bool {
	if !a.turn {
		return false
	}
	a.turn = false
	d.settle(&a.guess, Busy)
	return true
}

// admit counts a login as wrong, for its network and for its name, until it is settled; not
// ok: it is not looked at. It is to wait before it is looked at.
func (d *Door) admit(g *guess, now time.Time) (wait time.Duration, ok bool) {
	if !d.failures.admit(g.ip, now) {
		return 0, false
	}
	if wait, ok = d.guesses.admit(g, now); !ok {
		d.failures.forgive(g.ip, now)
	}
	if wait > 0 {
		d.Stats.Slowed.Add(1)
	}
	return wait, ok
}

// settle ends what admit began: only a wrong claim costs its network and its name. After a
// right one the network is known.
func (d *Door) settle(g *guess, v Verdict) {
	now := d.set.Load().Now()
	if g.open && v != Denied {
		d.failures.forgive(g.ip, now)
	}
	d.guesses.settle(g, v == Granted, v == Denied, now)
}

// decide finds out about a claim that was admitted: here, or in the pool if it takes a hash.
func (d *Door) decide(a *Attempt) (o Outcome, now bool) {
	if a.Claim.Need != sasl.NeedPassword {
		return d.outcome(a), true
	}
	if !d.queue(a) {
		d.settle(&a.guess, Busy)
		return Outcome{Verdict: Busy}, true
	}
	return Outcome{}, false
}

// queue queues an attempt for the pool. A network with other claims there, or wrong ones
// lately, gives way to those without: else fifty guesses at once would keep all others
// waiting for fifty hashes.
func (d *Door) queue(a *Attempt) bool {
	return !d.set.Load().Draining() && d.set.Load().Queue(a, d.failures.owes(a.From, d.set.Load().Now()))
}

// Work judges a claim that was queued, and tells done. It is for Settings.Queue.
func (a *Attempt) Work() {
	d, o := a.door, a.door.outcome(a)
	l := a.lacking
	a.lacking = nil
	a.done(o) // from here on a is the session's
	d.addVerifier(l)
}

// penalty is how much longer the answer to a login that failed has to wait. It counts from
// the claim, so that what the hash took does not show.
func (d *Door) penalty(a *Attempt) time.Duration {
	return max(0, d.set.Load().FailureDelay-d.set.Load().Now().Sub(a.asked))
}
