package login

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // RFC 1939 section 7 says MD5
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"testing"
	"time"

	"postrider/codec/sasl"
	"postrider/engine/admit/password"
	"postrider/engine/edge/limit"
	"postrider/engine/mail/router"
	"postrider/storage"
)

// accounts are a directory in memory.
type accounts struct {
	mu                sync.Mutex // noted
	storage.Directory            // nothing else of it is called
	by                map[string]storage.Account
	changes           uint64
	noted             []storage.AccountID // logins
	proofs            storage.Proofs
	left              int // calls of Account that work, if not 0; then one panics
}

func (a *accounts) Proofs() storage.Proofs { return a.proofs }

func (a *accounts) HostsDomain(domain string) bool { return domain == "test" }

func (a *accounts) Lookup(local, _ string) (storage.Address, error) {
	if account, ok := a.by[local]; ok {
		return storage.Address{Account: account.ID}, nil
	}
	return storage.Address{}, storage.ErrNotFound
}

func (a *accounts) Account(id storage.AccountID) (storage.Account, error) {
	if a.left > 0 {
		if a.left--; a.left == 0 {
			panic("broken")
		}
	}
	for _, account := range a.by {
		if account.ID == id {
			return account, nil
		}
	}
	return storage.Account{}, storage.ErrNotFound
}

func (a *accounts) DomainAlias(string) string { return "" }

func (a *accounts) NoteLogin(id storage.AccountID, at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.noted = append(a.noted, id)
}

func (a *accounts) SetVerifier(id storage.AccountID, hash, verifier string) error {
	for name, account := range a.by {
		if account.ID == id && account.Hash == hash {
			account.Hash += " " + verifier
			a.by[name] = account
			return nil
		}
	}
	return storage.ErrFenced
}

func (a *accounts) CredentialChanges() uint64 { return a.changes }

// bed is a Door with a pool that works when it is told to, and a clock that stops.
type bed struct {
	*Door
	t        *testing.T
	accounts *accounts
	now      time.Time
	queue    []*Attempt // waits for the pool
	last     int        // how many of the queue give way
	room     int        // how long the queue may get
	atOnce   bool       // the pool works before Judge returns
	draining bool
	log      bytes.Buffer
}

var (
	from      = netip.MustParseAddr("192.0.2.1")
	elsewhere = netip.MustParseAddr("198.51.100.1")
	cost      = password.Cost{Memory: 64, Time: 1, Threads: 1, SCRAM: 4096}
)

// tokens are what a network and a name have at first.
const tokens = 8

// newBed makes a Door with the accounts alice, bob and eve; eve's hash can't be used.
func newBed(t *testing.T, change func(*Settings)) *bed {
	t.Helper()
	b := &bed{t: t, now: time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC), room: 100}
	b.accounts = &accounts{by: map[string]storage.Account{
		"alice": {ID: 1, Name: "alice", Domain: "test", Hash: hashOf(t, "right"), Secret: "right"},
		"bob":   {ID: 2, Name: "bob", Domain: "test", Hash: hashOf(t, "right")},
		"eve":   {ID: 3, Name: "eve", Domain: "test", Hash: "{NO-SUCH-SCHEME}x"},
	}}
	s := Settings{
		FailureDelay: 2 * time.Second, NetworkFailures: tokens, AccountFailures: tokens, AccountDelay: time.Minute, FailureWindow: time.Hour,
		CacheTTL: time.Minute, CacheSize: 100, Cost: cost, Iterations: 4096, Secret: make([]byte, secretOctets),
		Router: router.New(b.accounts, router.Settings{DefaultDomain: "test"}), Store: b.accounts,
		Queue: func(a *Attempt, last bool) bool {
			if len(b.queue) == b.room {
				return false
			}
			if b.queue = append(b.queue, a); last {
				b.last++
			}
			if b.atOnce {
				b.work()
			}
			return true
		},
		Draining: func() bool { return b.draining }, Now: func() time.Time { return b.now }, Log: slog.New(slog.NewTextHandler(&b.log, nil)),
	}
	if change != nil {
		change(&s)
	}
	b.Door = New(s)
	return b
}

func hashOf(t *testing.T, word string) string {
	t.Helper()
	hash, err := password.Hash([]byte(word), cost)
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

// work has the pool do all that is queued.
func (b *bed) work() {
	for ; len(b.queue) > 0; b.queue = b.queue[1:] {
		b.queue[0].Work()
	}
}

// spent is how many tokens are away: of the network, and of the name.
func (b *bed) spent(name string, from netip.Addr) (network, forName float64) {
	g := b.guesses.guess(name+"@test", new(storage.Account), from)
	return b.failures.of.Used(limit.Customer(from), b.now), b.guesses.of.Used(g.name, b.now)
}

func typed(user, word string) *Attempt {
	return &Attempt{Claim: sasl.Claim{Need: sasl.NeedPassword, User: user, Password: []byte(word)}, From: from}
}

// proof is a proof of SCRAM for alice.
func (b *bed) proof(proven bool) *Attempt {
	return &Attempt{From: from, Claim: sasl.Claim{Need: sasl.NeedConsent, User: "alice", Proven: proven, Verifier: b.Verifier("alice")}}
}

// wrong has n wrong passwords judged, each from its own network or from one.
func (b *bed) wrong(n int, user string, at func(n int) netip.Addr) {
	b.t.Helper()
	for i := range n {
		a := typed(user, "wrong")
		a.From = at(i)
		if got := b.judged(a, 0); got != Denied {
			b.t.Fatalf("a wrong password has verdict %d", got)
		}
	}
}

func same(at netip.Addr) func(int) netip.Addr { return func(int) netip.Addr { return at } }

// judged is the verdict on an attempt, after so many turns; done has to be called once, and
// only if the outcome was not known at once.
func (b *bed) judged(a *Attempt, turns int) Verdict {
	b.t.Helper()
	calls, o := 0, Outcome{}
	done := func(later Outcome) { calls, o = calls+1, later }
	first, now := b.Judge(a, done)
	for ; turns > 0; turns-- {
		if first.Verdict != Turn || !now || first.Wait <= 0 {
			b.t.Fatalf("no turn to wait for: %+v", first)
		}
		b.now = b.now.Add(first.Wait)
		first, now = b.Judge(a, done)
	}
	if now {
		if b.work(); calls != 0 {
			b.t.Errorf("an outcome that was known at once came %d times more", calls)
		}
		return first.Verdict
	}
	if b.work(); calls != 1 {
		b.t.Errorf("the outcome came %d times", calls)
	}
	return o.Verdict
}

// Each way that a login can end gives the tokens of its network and its name back once,
// unless the claim was wrong: then they stay away.
func TestEachOutcomeGivesTheTokensBackOnce(t *testing.T) {
	abandoned := func(b *bed, a *Attempt) Verdict {
		if o, now := b.Judge(a, nil); o.Verdict != Turn || !now {
			b.t.Fatalf("it does not wait: %+v", o)
		}
		if n, m := b.spent(a.Claim.User, from); n != 4 || m < tokens+1 {
			b.t.Errorf("while it waits %v and %v tokens are away", n, m)
		}
		if !b.Abandon(a) || b.Abandon(a) {
			b.t.Error("it can't be abandoned once, and only once")
		}
		return Busy
	}
	once := func(b *bed, a *Attempt) Verdict { return b.judged(a, 0) }
	afterTurn := func(b *bed, a *Attempt) Verdict { return b.judged(a, 1) }
	for name, c := range map[string]struct {
		attempt func(b *bed) *Attempt
		slow    bool // many wrong passwords for alice came from elsewhere
		prepare func(b *bed)
		end     func(b *bed, a *Attempt) Verdict
		want    Verdict
		costs   float64
	}{
		"right":                {end: once, want: Granted},
		"wrong":                {attempt: func(*bed) *Attempt { return typed("alice", "wrong") }, end: once, want: Denied, costs: 1},
		"an unknown name":      {attempt: func(*bed) *Attempt { return typed("nobody", "right") }, end: once, want: Denied, costs: 1},
		"as another":           {attempt: func(*bed) *Attempt { a := typed("alice", "right"); a.Claim.Authzid = "bob"; return a }, end: once, want: Denied, costs: 1},
		"an unknown need":      {attempt: func(*bed) *Attempt { return &Attempt{From: from, Claim: sasl.Claim{User: "alice"}} }, end: once, want: Denied, costs: 1},
		"a proof":              {attempt: func(b *bed) *Attempt { return b.proof(true) }, end: once, want: Granted},
		"no proof":             {attempt: func(b *bed) *Attempt { return b.proof(false) }, end: once, want: Denied, costs: 1},
		"APOP":                 {attempt: apop("right"), end: once, want: Granted},
		"wrong APOP":           {attempt: apop("wrong"), end: once, want: Denied, costs: 1},
		"a hash of no use":     {attempt: func(*bed) *Attempt { return typed("eve", "right") }, end: once, want: Failed},
		"a panic in the pool":  {prepare: func(b *bed) { b.accounts.left = 2 }, end: once, want: Failed},
		"a panic at once":      {attempt: func(b *bed) *Attempt { return b.proof(true) }, prepare: func(b *bed) { b.accounts.left = 2 }, end: once, want: Failed},
		"a panic after it":     {attempt: func(*bed) *Attempt { return typed("alice", "wrong") }, prepare: func(b *bed) { b.set.Load().Log = slog.New(warnless{slog.DiscardHandler}) }, end: once, want: Failed, costs: 1},
		"remembered":           {prepare: func(b *bed) { b.right(elsewhere) }, end: once, want: Granted},
		"remembered here":      {prepare: func(b *bed) { b.right(from) }, end: once, want: Granted},
		"the pool has no room": {prepare: func(b *bed) { b.room = 0 }, end: once, want: Busy},
		"the server ends":      {prepare: func(b *bed) { b.draining = true }, end: once, want: Busy},

		"right after its turn":   {slow: true, end: afterTurn, want: Granted},
		"wrong after its turn":   {slow: true, attempt: func(*bed) *Attempt { return typed("alice", "wrong") }, end: afterTurn, want: Denied, costs: 1},
		"a proof after its turn": {slow: true, attempt: func(b *bed) *Attempt { return b.proof(true) }, end: afterTurn, want: Granted},
		"no room after its turn": {slow: true, prepare: func(b *bed) { b.room = 0 }, end: afterTurn, want: Busy},
		"ends after its turn":    {slow: true, prepare: func(b *bed) { b.draining = true }, end: afterTurn, want: Busy},
		"abandoned":              {slow: true, end: abandoned, want: Busy},
		"another one waits": {slow: true, end: once, want: TooMany, prepare: func(b *bed) {
			if o, _ := b.Judge(typed("alice", "right"), nil); o.Verdict != Turn {
				b.t.Fatalf("%+v", o)
			}
		}},
		"the network has no tokens": {end: once, want: TooMany, prepare: func(b *bed) { b.wrong(tokens-3, "bob", same(from)) }},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, func(s *Settings) { s.FailureWindow = 1e6 * time.Hour }) // no token comes back by itself
			if c.slow {
				b.wrong(tokens, "alice", site)
			}
			b.wrong(3, "bob", same(from)) // so that a token given back twice shows
			a := typed("alice", "right")
			if c.attempt != nil {
				a = c.attempt(b)
			}
			if c.prepare != nil {
				c.prepare(b)
			}
			network, forName := b.spent(a.Claim.User, a.From)
			if got := c.end(b, a); got != c.want {
				t.Errorf("verdict %d, want %d\n%s", got, c.want, b.log.String())
			}
			n, m := b.spent(a.Claim.User, a.From)
			if !near(n, network+c.costs) || !near(m, forName+c.costs) {
				t.Errorf("it cost %v tokens of the network and %v of the name, not %v", n-network, m-forName, c.costs)
			}
			if b.Abandon(a) {
				t.Error("what has ended can be abandoned")
			}
		})
	}
}

// warnless is a log that panics at a warning: a wrong claim is settled by then.
type warnless struct{ slog.Handler }

func (warnless) Enabled(_ context.Context, l slog.Level) bool {
	if l == slog.LevelWarn {
		panic("no warnings")
	}
	return true
}

func near(a, b float64) bool { return max(a-b, b-a) < 1e-3 }

// right has the right password of alice judged, so that it is remembered and its network known.
func (b *bed) right(at netip.Addr) {
	b.t.Helper()
	a := typed("alice", "right")
	a.From = at
	if got := b.judged(a, 0); got != Granted {
		b.t.Fatalf("verdict %d", got)
	}
}

// apop is an attempt by APOP with a secret, as in RFC 1939 section 7.
func apop(secret string) func(*bed) *Attempt {
	const timestamp = "<1896.697170952@dbc.mtview.ca.us>"
	return func(*bed) *Attempt {
		return &Attempt{From: from, Protocol: POP3, Timestamp: timestamp, Claim: sasl.Claim{User: "alice", Digest: md5hex(timestamp + secret)}}
	}
}

func md5hex(text string) string { return fmt.Sprintf("%X", md5.Sum([]byte(text))) }
