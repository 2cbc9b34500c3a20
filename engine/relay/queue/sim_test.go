package queue

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"postrider/engine/mail/router"
	"postrider/storage"
)

// The schedule of the seed: again every 15 minutes, a warning after 4 hours, back
// to the sender after 5 days. To the attempt.
func TestScheduleOfFiveDays(t *testing.T) {
	w := newWorld(1)
	w.policy.Jitter = 0
	w.tracing = true
	w.host = func(router.Hop) *host {
		return &host{
			up: always,
			answer: func(*world, *storage.QueueEntry, *storage.QueuedRecipient) Result {
				return Result{Verdict: Temporary, Status: "4.2.1", Reason: "450 later"}
			},
		}
	}
	w.boot()
	w.accept("b.example", "a@a.example", "u@b.example")
	w.run(6 * 24 * time.Hour)

	attempts, warned, bounced := 0, -1, -1
	var at []string
	for _, line := range w.trace {
		var when, what string
		fmt.Sscan(line, &when, &what)
		switch what {
		case "attempt":
			attempts++
			at = append(at, when)
		case "warn":
			warned = attempts
		case "bounce":
			bounced = attempts
		}
	}
	// The wake mark has a grain of 4 s and a load takes its time: what counts is the
	// number of the attempt. 16 waits of 15 minutes are 4 hours, 480 are 5 days.
	if warned < 16 || warned > 17 || bounced != attempts || attempts < 470 || attempts > 481 {
		t.Errorf("%d attempts, warned at number %d, bounced at number %d", attempts, warned, bounced)
	}
	if len(w.entries) != 0 || len(w.marks) != 0 {
		t.Errorf("%d entries and %d marks are left", len(w.entries), len(w.marks))
	}
	t.Logf("%d attempts: at %v ... %v; warned with number %d, returned with number %d", attempts, at[:4], at[len(at)-1], warned, bounced)
}

// A destination that is dead for two days is looked at, not hammered: one probe a
// wait for all of its mail, and the sender of each message is warned in time.
func TestADeadDestinationIsProbed(t *testing.T) {
	w := newWorld(2)
	back := start.Add(48 * time.Hour)
	w.host = func(router.Hop) *host {
		return &host{latency: 20 * time.Millisecond, up: func(now time.Time) bool { return !now.Before(back) }, answer: taken}
	}
	w.boot()
	for i := range 1000 {
		w.accept("dead.example", "a@a.example", fmt.Sprintf("u%d@dead.example", i))
	}
	w.run(47 * time.Hour)
	probes := w.attempts
	if most := 5 + 48*4 + 10; probes > most {
		t.Errorf("%d attempts in two days, want at most %d", probes, most)
	}
	if len(w.warned) != 1000 {
		t.Errorf("%d senders were warned", len(w.warned))
	}
	w.run(49 * time.Hour)
	if len(w.got) != 1000 || len(w.entries) != 0 {
		t.Errorf("%d delivered, %d left an hour after it came back", len(w.got), len(w.entries))
	}
	t.Logf("%d attempts and %d loads while it was dead", probes, w.loads)
}

// A dead destination with much mail takes nothing from the others.
func TestADeadDestinationDoesNotSlowOthers(t *testing.T) {
	drain := func(dead int) time.Duration {
		w := newWorld(3)
		w.host = func(hop router.Hop) *host {
			if hop.Host == "dead.example" {
				return &host{latency: 30 * time.Second, up: func(time.Time) bool { return false }}
			}
			return &host{latency: 10 * time.Millisecond, up: always, answer: taken}
		}
		w.boot()
		for i := range dead {
			w.accept("dead.example", "a@a.example", fmt.Sprintf("u%d@dead.example", i))
		}
		for i := range 5000 {
			d := fmt.Sprintf("d%d.example", i%50)
			w.accept(d, "a@a.example", fmt.Sprintf("u%d@%s", i, d))
		}
		for len(w.got) < 5000 {
			w.run(w.now.Sub(start) + 10*time.Millisecond)
		}
		return w.now.Sub(start)
	}
	alone, beside := drain(0), drain(20000)
	if beside > alone*12/10 {
		t.Errorf("5,000 messages took %s beside a dead destination, %s alone", beside, alone)
	}
	t.Logf("5,000 messages to 50 destinations: %s alone, %s beside 20,000 to a dead one (simulated)", alone, beside)
}

// Limits are kept: sessions in all, of a site, its rate, jobs in memory.
func TestLimitsHold(t *testing.T) {
	w := newWorld(4)
	w.config.Sessions, w.config.PerSite, w.config.MaxEntries = 12, 8, 200
	w.config.Limits = map[string]Limit{"slow.example": {Rate: 10, Sessions: 3}}
	w.host = func(router.Hop) *host { return &host{latency: 50 * time.Millisecond, up: always, answer: taken} }
	w.boot()
	for i := range 3000 {
		d := []string{"slow.example", "a.example", "b.example"}[i%3]
		w.accept(d, "a@a.example", fmt.Sprintf("u%d@%s", i, d))
	}
	for w.now.Before(start.Add(20 * time.Second)) {
		w.run(w.now.Sub(start) + 100*time.Millisecond)
		if w.s.Jobs() > 200 || w.s.Sessions() > 12 {
			t.Fatalf("%d jobs and %d sessions", w.s.Jobs(), w.s.Sessions())
		}
	}
	slow := 0
	for key := range w.got {
		var id, to string
		fmt.Sscan(key, &id, &to)
		if to[len(to)-len("slow.example"):] == "slow.example" {
			slow++
		}
	}
	if slow < 100 || slow > 215 { // it waits for its turn of the 12 sessions, too
		t.Errorf("%d messages in 20 s at 10 a second", slow)
	}
	for hop, h := range w.hosts {
		if most := map[string]int{"slow.example": 3}[hop.Host]; h.most > max(most, 8) || most > 0 && h.most > most {
			t.Errorf("%s had %d sessions at once", hop, h.most)
		}
	}
	w.run(200 * time.Second)
	if len(w.got) != 3000 {
		t.Errorf("%d of 3,000 delivered", len(w.got))
	}
}

// A host that takes two connections from us and no more gets its mail by two.
func TestAHostWithFewConnections(t *testing.T) {
	w := newWorld(5)
	w.host = func(router.Hop) *host {
		return &host{latency: 50 * time.Millisecond, up: always, answer: taken, refuses: 2}
	}
	w.boot()
	for i := range 500 {
		w.accept("few.example", "a@a.example", fmt.Sprintf("u%d@few.example", i))
	}
	w.run(2 * time.Hour)
	if len(w.got) != 500 {
		t.Errorf("%d of 500 delivered", len(w.got))
	}
}

// Random lives: hosts that die and come back, greylist, refuse, lose connections
// after the dot, and a process that is killed at any moment. Every message is
// delivered, returned or still queued; none is delivered twice but where a 250 was
// lost.
func TestNothingIsLost(t *testing.T) {
	seed := rand.Uint64()
	if env := os.Getenv("POSTRIDER_SEED"); env != "" {
		seed, _ = strconv.ParseUint(env, 10, 64)
	}
	rounds := 4
	if testing.Short() {
		rounds = 1
	}
	for i := range rounds {
		randomLife(t, seed+uint64(i), i%4 == 3)
	}
}

func randomLife(t *testing.T, seed uint64, bySender bool) {
	t.Helper()
	randomLifeWith(t, seed, bySender, func(*world) {})
}

// randomLifeWith is randomLife with more events.
func randomLifeWith(t *testing.T, seed uint64, bySender bool, more func(*world)) {
	t.Helper()
	w := newWorld(seed)
	if bySender {
		w.config.BySender = true
		w.config.NextHop = func(domain, from string) router.Hop {
			if from == "s3@a.example" {
				return router.Hop{Kind: router.ByHost, Host: "smart.example"}
			}
			return router.Hop{Host: domain}
		}
	}
	w.host = randomHost(w)
	w.boot()
	accepted := make(map[string]storage.EntryID)
	crashes := 0
	for range 600 {
		at := time.Duration(w.random.Int64N(int64(3 * 24 * time.Hour)))
		if w.random.IntN(3) == 0 {
			at = time.Duration(w.random.Int64N(int64(10 * time.Minute)))
		}
		d := fmt.Sprintf("d%d.example", w.random.IntN(12))
		var to []string
		for k := range 1 + w.random.IntN(3) {
			to = append(to, fmt.Sprintf("u%d@%s", k, d))
		}
		from := fmt.Sprintf("s%d@a.example", w.random.IntN(5))
		w.at(at, func() {
			e := w.accept(d, from, to...)
			for _, r := range to {
				accepted[keyOf(e, r)] = e.ID
			}
		})
	}
	for range 40 {
		w.at(time.Duration(w.random.Int64N(int64(4*24*time.Hour))), func() { crashes++; w.crash() })
	}
	for range 40 {
		w.at(time.Duration(w.random.Int64N(int64(10*time.Minute))), func() { crashes++; w.crash() })
	}
	more(w)
	for _, until := range []time.Duration{time.Hour, 24 * time.Hour, 10 * 24 * time.Hour} {
		w.run(until)
		w.audit(t, seed, accepted)
	}
	if n := len(w.entries); n > 0 {
		t.Errorf("seed %d: %d entries are left after 10 days", seed, n)
	}
	if w.s.Jobs() != 0 || w.s.Awake() != 0 {
		t.Errorf("seed %d: %d jobs and %d destinations are left in memory", seed, w.s.Jobs(), w.s.Awake())
	}
	t.Logf("seed %d: %d recipients accepted, %d delivered, %d returned, %d warned, %d 250s lost; %d crashes, %d attempts",
		seed, len(accepted), len(w.got), len(w.bounced), len(w.warned), len(w.lost), crashes, w.attempts)
}

// audit holds the books against each other.
func (w *world) audit(t *testing.T, seed uint64, accepted map[string]storage.EntryID) {
	t.Helper()
	queued := make(map[string]bool)
	for _, e := range w.entries {
		for _, r := range e.Recipients {
			queued[keyOf(e, r.ForwardPath)] = true
		}
		if _, marked := w.marks[e.Domain]; !marked {
			t.Errorf("seed %d: nothing will wake %s", seed, e.Domain)
		}
	}
	for key := range accepted {
		ends := w.got[key] + w.bounced[key]
		switch {
		case ends == 0 && !queued[key]:
			t.Errorf("seed %d: %s is lost", seed, key)
		case w.got[key] > 1+w.lost[key]:
			t.Errorf("seed %d: %s was delivered %d times, and %d 250s were lost", seed, key, w.got[key], w.lost[key])
		case w.bounced[key] > 1, w.warned[key] > 1:
			t.Errorf("seed %d: %s was returned %d times and warned of %d times", seed, key, w.bounced[key], w.warned[key])
		case w.got[key] > 0 && w.bounced[key] > 0 && w.lost[key] == 0:
			t.Errorf("seed %d: %s was delivered and returned", seed, key)
		}
	}
}

// randomHost makes hosts of all tempers.
func randomHost(w *world) func(router.Hop) *host {
	return func(router.Hop) *host {
		h := &host{latency: time.Duration(1+w.random.IntN(3000)) * time.Millisecond, up: always, answer: taken}
		switch w.random.IntN(7) {
		case 0: // dead for ever: a name that does not resolve
			h.up = func(time.Time) bool { return false }
		case 1: // up and down
			period := time.Duration(1+w.random.IntN(600)) * time.Minute
			h.up = func(now time.Time) bool { return now.Sub(start)/period%2 == 0 }
		case 2: // greylisting
			first := make(map[string]time.Time)
			h.answer = func(w *world, e *storage.QueueEntry, r *storage.QueuedRecipient) Result {
				at, seen := first[r.ForwardPath]
				if !seen {
					first[r.ForwardPath] = w.now
				}
				if !seen || w.now.Sub(at) < 5*time.Minute {
					return Result{Verdict: Temporary, Status: "4.2.0", Reason: "450 greylisted"}
				}
				return taken(w, e, r)
			}
		case 3: // some users are unknown
			h.answer = func(w *world, e *storage.QueueEntry, r *storage.QueuedRecipient) Result {
				if r.ForwardPath[:2] == "u1" {
					return Result{Verdict: Permanent, Status: "5.1.1", Reason: "550 no such user"}
				}
				return taken(w, e, r)
			}
		case 4: // loses connections after the dot
			h.loses = 0.3
		case 5: // few connections
			h.refuses = 1 + w.random.IntN(3)
		}
		return h
	}
}
