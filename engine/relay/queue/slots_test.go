package queue

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"postrider/engine/mail/router"
	"postrider/storage"
)

// Hosts of strangers that are as slow as they may be never have all sessions: mail to
// hosts that are known finds one at once, and the others get theirs in the end.
func TestStrangeSitesLeaveRoom(t *testing.T) {
	for _, kind := range []string{"silent", "slow to take", "one domain each in turn"} {
		t.Run(kind, func(t *testing.T) {
			w := newWorld(11)
			w.config.Sessions, w.config.Strange = 40, 30
			w.host = func(hop router.Hop) *host {
				if !strings.HasPrefix(hop.Host, "evil") {
					return &host{latency: 20 * time.Millisecond, up: always, answer: taken}
				}
				return &host{latency: 14 * time.Minute, up: func(time.Time) bool { return kind == "slow to take" }, answer: taken}
			}
			w.boot()
			w.accept("good.example", "a@a.example", "first@good.example")
			w.run(time.Second)
			for i := range 400 {
				at := time.Second
				if kind == "one domain each in turn" {
					at = time.Duration(i) * 5 * time.Second
				}
				w.at(at, func() { w.accept(fmt.Sprintf("evil%d.example", i), "", fmt.Sprintf("x@evil%d.example", i)) })
			}
			for i := range 60 {
				name := fmt.Sprintf("u%d@good.example", i)
				w.at(time.Duration(i+1)*time.Minute, func() { w.accept("good.example", "a@a.example", name) })
			}
			for i := range 60 {
				w.run(time.Duration(i+1)*time.Minute + 10*time.Second)
				if len(w.got) < i+2 {
					t.Fatalf("minute %d: %d of %d messages to a known host are there", i+1, len(w.got), i+2)
				}
				if n := w.s.slots.strange; n > 30 {
					t.Fatalf("%d sessions of strange sites", n)
				}
			}
		})
	}
}

// A host that was known and becomes slow counts as a strange one.
func TestKnownSitesThatBecomeSlow(t *testing.T) {
	w := newWorld(12)
	w.config.Sessions, w.config.Strange, w.config.PerSite, w.config.Initial = 20, 8, 4, 4
	slow := false
	w.host = func(hop router.Hop) *host {
		h := &host{latency: 10 * time.Millisecond, up: always, answer: taken}
		if strings.HasPrefix(hop.Host, "turncoat") {
			h.answer = func(w *world, e *storage.QueueEntry, r *storage.QueuedRecipient) Result {
				if slow {
					h.latency = 14 * time.Minute
				}
				return taken(w, e, r)
			}
		}
		return h
	}
	w.boot()
	for i := range 3 {
		w.accept(fmt.Sprintf("turncoat%d.example", i), "a@a.example", "x@turncoat")
	}
	w.accept("good.example", "a@a.example", "x@good.example")
	w.run(time.Second)
	slow = true
	for i := range 3 {
		w.accept(fmt.Sprintf("turncoat%d.example", i), "a@a.example", "y@turncoat")
	}
	w.run(2 * time.Second)
	for i := range 30 {
		w.accept(fmt.Sprintf("turncoat%d.example", i%3), "a@a.example", fmt.Sprintf("z%d@turncoat", i))
	}
	w.run(2 * time.Minute)
	for i := range 20 {
		w.accept(fmt.Sprintf("new%d.example", i), "a@a.example", "x@new")
	}
	before := len(w.got)
	w.accept("good.example", "a@a.example", "y@good.example")
	w.run(2*time.Minute + 5*time.Second)
	if len(w.got) <= before {
		t.Error("mail to a known host waits")
	}
	waits := 0
	w.s.Sites(w.now, func(s SiteStatus) {
		if s.Waits != "" && s.Sessions == 0 {
			waits++
		}
	})
	if waits == 0 {
		t.Errorf("no strange site waits for those that became slow: %d strange sessions", w.s.slots.strange)
	}
	w.run(10 * time.Hour)
	if len(w.entries) > 0 || w.s.slots.strange != 0 || w.s.slots.oldest != nil {
		t.Errorf("%d entries and %d strange sessions are left", len(w.entries), w.s.slots.strange)
	}
}

// A next hop that the operator named is known before it has done anything.
func TestNamedSitesAreKnown(t *testing.T) {
	w := newWorld(13)
	w.config.Sessions, w.config.Strange = 4, 3
	w.config.Named = func(h router.Hop) bool { return h.Host == "smart.example" }
	w.host = func(hop router.Hop) *host {
		if hop.Host == "smart.example" {
			return &host{latency: time.Second, up: always, answer: taken}
		}
		return &host{latency: 10 * time.Minute, up: func(time.Time) bool { return false }}
	}
	w.boot()
	for i := range 10 {
		w.accept(fmt.Sprintf("mute%d.example", i), "", "x@mute")
	}
	w.accept("smart.example", "a@a.example", "x@smart.example")
	w.run(5 * time.Second)
	if len(w.got) != 1 {
		t.Error("the mail for the operator's own next hop waits for strangers")
	}
}

// A site whose address has no place waits a little, is not taken for dead, and loses
// nothing.
func TestABusySiteWaits(t *testing.T) {
	for _, bySender := range []bool{false, true} {
		w := newWorld(14)
		w.config.BySender = bySender
		free := start.Add(95 * time.Second)
		w.host = func(router.Hop) *host {
			return &host{latency: time.Millisecond, up: always, answer: taken, busy: func(now time.Time) bool { return now.Before(free) }}
		}
		w.boot()
		for i := range 100 {
			w.accept("busy.example", "a@a.example", fmt.Sprintf("u%d@busy.example", i))
		}
		w.run(90 * time.Second)
		if len(w.got) != 0 || len(w.entries) != 100 {
			t.Fatalf("%d delivered, %d left", len(w.got), len(w.entries))
		}
		w.run(3 * time.Minute)
		if len(w.got) != 100 || len(w.entries) != 0 {
			t.Errorf("by sender %t: %d delivered, %d left after there was a place", bySender, len(w.got), len(w.entries))
		}
		for key, n := range w.got {
			if n != 1 {
				t.Errorf("%s: %d times", key, n)
			}
		}
	}
}

// A stranger with many domains that take mail does not make us remember all of them.
func TestKnownSitesAreBounded(t *testing.T) {
	s := newSlots(&Config{Sessions: 4, Strange: 3})
	for i := range maxKnown + 100 {
		s.remember(router.Hop{Kind: router.ByMX, Host: fmt.Sprintf("d%d.example", i)})
	}
	last := router.Hop{Kind: router.ByMX, Host: fmt.Sprintf("d%d.example", maxKnown+99)}
	if _, has := s.known[last]; len(s.known) != maxKnown || !has {
		t.Errorf("%d sites are known, the last one: %v", len(s.known), has)
	}
}
