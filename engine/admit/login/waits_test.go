package login

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"postrider/codec/sasl"
)

// The answer to a login that failed comes auth.failure_delay after the claim, however long
// the hash took.
func TestWaitsOfLoginsThatFail(t *testing.T) {
	for took, want := range map[time.Duration]time.Duration{0: 2 * time.Second, 1500 * time.Millisecond: time.Second / 2, 2 * time.Second: 0, time.Hour: 0} {
		b := newBed(t, nil)
		var o Outcome
		if _, now := b.Judge(typed("alice", "wrong"), func(later Outcome) { o = later }); now {
			t.Fatal("a password was judged without a hash")
		}
		b.now = b.now.Add(took)
		b.work()
		if o.Verdict != Denied || o.Wait != want {
			t.Errorf("after %v: %+v, want a wait of %v", took, o, want)
		}
	}
	b := newBed(t, nil)
	b.wrong(tokens, "bob", same(from))
	for _, a := range []*Attempt{typed("alice", "right"), b.proof(true)} {
		if o, now := b.Judge(a, nil); o.Verdict != TooMany || o.Wait != 2*time.Second || !now {
			t.Errorf("of a network without tokens: %+v", o)
		}
	}
	if o, _ := b.Judge(&Attempt{From: elsewhere, Claim: b.proof(false).Claim}, nil); o.Verdict != Denied || o.Wait != 2*time.Second {
		t.Errorf("no proof: %+v", o)
	}
}

// A login whose turn comes later is judged by what is true then.
func TestATurnIsJudgedWhenItComes(t *testing.T) {
	b := newBed(t, nil)
	b.wrong(tokens, "alice", site)
	a := typed("alice", "right")
	if o, _ := b.Judge(a, nil); o.Verdict != Turn {
		t.Fatalf("%+v", o)
	}
	account := b.accounts.by["alice"]
	account.Hash = hashOf(t, "other")
	b.accounts.by["alice"] = account
	if got := b.judged(a, 0); got != Denied {
		t.Errorf("verdict %d on a password that was changed during the wait", got)
	}
}

// Claims of a network that has others in the pool, or wrong ones lately, give way.
func TestGuessesGiveWay(t *testing.T) {
	b := newBed(t, nil)
	for n, last := range []int{0, 1, 2} {
		b.Judge(typed("alice", "wrong"), func(Outcome) {})
		if len(b.queue) != n+1 || b.last != last {
			t.Errorf("%d queued, %d give way", len(b.queue), b.last)
		}
	}
	other := typed("alice", "right")
	other.From = elsewhere
	if b.Judge(other, func(Outcome) {}); len(b.queue) != 4 || b.last != 2 {
		t.Errorf("one from elsewhere: %d queued, %d give way", len(b.queue), b.last)
	}
	b.work()
}

// Each protocol has its own counter, and POP3's is that of maildrops that were opened; the
// line about a wrong claim says what fail2ban looks for.
func TestLoginsAreCountedAndLogged(t *testing.T) {
	b := newBed(t, nil)
	for _, p := range []Protocol{SMTP, POP3, Web} {
		for range int(p) + 1 {
			a := typed("alice", "right")
			a.Protocol = p
			b.judged(a, 0)
		}
	}
	s := &b.Stats
	if s.SMTP.Load() != 1 || s.POP3.Load() != 0 || s.Web.Load() != 3 || s.Remembered.Load() != 5 {
		t.Errorf("SMTP %d, POP3 %d, web %d, remembered %d", s.SMTP.Load(), s.POP3.Load(), s.Web.Load(), s.Remembered.Load())
	}
	a := b.proof(false)
	a.Claim.Mechanism = sasl.ScramSHA256
	for want, a := range map[string]*Attempt{
		`msg="unknown[192.0.2.1]: SASL SCRAM-SHA-256 authentication failed" daemon=smtpd sasl_username=alice`: a,
		`msg="unknown[192.0.2.1]: authentication failed" daemon=pop3d user=<alice>`:                           apop("wrong")(b),
	} {
		b.log.Reset()
		if b.judged(a, 0); !strings.Contains(b.log.String(), "level=WARN "+want) {
			t.Errorf("the log has %s", b.log.String())
		}
	}
	if s.Denied.Load() != 2 || s.Slowed.Load() != 0 || s.Throttled.Load() != 0 {
		t.Errorf("denied %d, slowed %d, throttled %d", s.Denied.Load(), s.Slowed.Load(), s.Throttled.Load())
	}
}

// A login stays what it was until its account has other credentials or is gone.
func TestALoginHolds(t *testing.T) {
	b := newBed(t, nil)
	o, _ := b.Judge(b.proof(true), nil)
	in := o.SignedIn
	if !b.StillHolds(&in) {
		t.Error("it does not hold")
	}
	b.accounts.changes++ // another account changed
	if !b.StillHolds(&in) || in.changes != b.accounts.changes {
		t.Error("it does not hold after a change of another account")
	}
	account := b.accounts.by["alice"]
	account.Secret = "other"
	b.accounts.by["alice"] = account
	b.accounts.changes++
	if b.StillHolds(&in) {
		t.Error("it holds with another secret")
	}
	delete(b.accounts.by, "alice")
	if b.IsUnchanged(&in.Account) {
		t.Error("an account that is gone is unchanged")
	}
}

// SignIn waits for the outcome, and no longer than its context.
func TestSignIn(t *testing.T) {
	over, cancel := context.WithCancel(t.Context())
	cancel()
	b := new(bed)
	try := func(word string, ctx context.Context, want error) {
		t.Helper()
		network, forName := b.spent("alice", from)
		account, err := b.SignIn(ctx, "alice", []byte(word), from)
		if !errors.Is(err, want) || (err == nil) != (account.ID == 1) {
			t.Errorf("%s: %+v, %v, want %v", word, account, err, want)
		}
		costs := 0.0
		if word == "wrong" {
			costs = 1
		}
		if n, m := b.spent("alice", from); !near(n, network+costs) || !near(m, forName+costs) || len(b.guesses.waiting) != 0 {
			t.Errorf("%s, %v: it cost %v and %v, %d wait", word, err, n-network, m-forName, len(b.guesses.waiting))
		}
	}
	prepare := func(delay, turn time.Duration) {
		b = newBed(t, func(s *Settings) { s.FailureDelay, s.AccountDelay = delay, turn })
		b.atOnce = true
	}
	prepare(0, time.Hour)
	try("right", t.Context(), nil)
	try("wrong", t.Context(), ErrDenied)
	b.room = 0
	try("not looked at", t.Context(), ErrBusy)
	b.room = 100
	b.wrong(tokens-1, "bob", same(from))
	try("not looked at", t.Context(), ErrThrottled)

	prepare(time.Hour, time.Hour) // the client does not wait for an answer
	try("wrong", over, context.Canceled)
	b.wrong(tokens-1, "bob", same(from))
	try("not looked at", over, context.Canceled)

	prepare(0, time.Hour) // nor for its turn
	b.wrong(tokens, "alice", site)
	try("right", over, context.Canceled)

	prepare(0, waitSteps)
	b.wrong(tokens, "alice", site)
	try("wrong", t.Context(), ErrDenied)
	try("right", t.Context(), nil)
	if n := b.Stats.Slowed.Load(); n != 2 {
		t.Errorf("%d logins waited", n)
	}
}

// Logins at once, of which some are given up, on as many goroutines as a pool has: all
// tokens come back but one for each wrong claim.
func TestManyLoginsAtOnce(t *testing.T) {
	const sessions, each = 8, 40
	jobs := make(chan *Attempt, sessions)
	b := newBed(t, func(s *Settings) {
		s.NetworkFailures, s.AccountFailures, s.FailureWindow, s.CacheTTL = 1000, 4, 1e6*time.Hour, 0
		s.Queue = func(a *Attempt, _ bool) bool {
			select {
			case jobs <- a:
				return true
			default:
				return false
			}
		}
		at := s.Now()
		s.Now = func() time.Time { return at }
	})
	var pool, clients sync.WaitGroup
	for range 2 {
		pool.Go(func() {
			for a := range jobs {
				a.Work()
			}
		})
	}
	var mu sync.Mutex
	verdicts := make(map[Verdict]int)
	for session := range sessions {
		clients.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(session)))
			judged := make(chan Outcome, 1)
			for range each {
				a := typed("alice", []string{"right", "wrong"}[random.IntN(2)])
				a.From = netip.AddrFrom4([4]byte{192, 0, 2, byte(session)})
				o, now := b.Judge(a, func(o Outcome) { judged <- o })
				if o.Verdict == Turn {
					if random.IntN(2) == 0 {
						b.Abandon(a)
						continue
					}
					o, now = b.Judge(a, func(o Outcome) { judged <- o })
				}
				if !now {
					o = <-judged
				}
				mu.Lock()
				verdicts[o.Verdict]++
				mu.Unlock()
			}
		})
	}
	clients.Wait()
	close(jobs)
	pool.Wait()
	if n, _ := b.spent("alice", from); !near(n, float64(verdicts[Denied])) {
		t.Errorf("%v tokens of the network are away, %v", n, verdicts)
	}
	if len(b.guesses.waiting) != 0 || verdicts[Granted] == 0 || verdicts[Denied] == 0 || verdicts[Failed] != 0 {
		t.Errorf("%d wait, %v", len(b.guesses.waiting), verdicts)
	}
}

// A look at a login that holds allocates nothing, and the login of a client that polls no
// more than to look up its name and the digest of its password.
func TestWhatALoginAllocates(t *testing.T) {
	b := newBed(t, nil)
	b.right(from)
	a, done := typed("alice", "right"), func(Outcome) {}
	o, _ := b.Judge(a, done)
	if n := testing.AllocsPerRun(100, func() { b.StillHolds(&o.SignedIn) }); n != 0 {
		t.Errorf("%v allocations for a login that holds", n)
	}
	lookups := testing.AllocsPerRun(100, func() {
		_, _ = b.set.Load().Router.Login([]byte(a.Claim.User))
		b.set.Load().Router.LoginName([]byte(a.Claim.User))
		b.known.digest(&o.Account, a.Claim.Password)
	})
	if n := testing.AllocsPerRun(100, func() {
		if o, now := b.Judge(a, done); o.Verdict != Granted || !now {
			t.Errorf("%+v", o)
		}
	}); n > lookups {
		t.Errorf("%v allocations for a login, %v for its lookups", n, lookups)
	}
}
