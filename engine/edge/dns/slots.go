package dns

import (
	"context"
	"strings"
	"sync"

	"golang.org/x/net/publicsuffix"
)

// slots bound the open questions, in all and about one registered domain, so that a domain
// with silent servers can't take all of them. A question takes its domain's slot first, so it
// does not hold up other domains while it waits.
type slots struct {
	all chan struct{}
	few int

	mu      sync.Mutex
	domains map[string]*domainSlots // domains with an open or waiting question
}

type domainSlots struct {
	open  chan struct{}
	users int // under slots.mu
}

func newSlots(all, few int) *slots {
	return &slots{all: make(chan struct{}, all), few: few, domains: make(map[string]*domainSlots)}
}

// take waits for a slot for a question about name, until ctx ends.
func (s *slots) take(ctx context.Context, name string) (release func(), err error) {
	domain := registered(name)
	s.mu.Lock()
	d := s.domains[domain]
	if d == nil {
		d = &domainSlots{open: make(chan struct{}, s.few)}
		s.domains[domain] = d
	}
	d.users++
	s.mu.Unlock()
	leave := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if d.users--; d.users == 0 {
			delete(s.domains, domain)
		}
	}
	select {
	case d.open <- struct{}{}:
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
	select {
	case s.all <- struct{}{}:
	case <-ctx.Done():
		<-d.open
		leave()
		return nil, ctx.Err()
	}
	return func() { <-s.all; <-d.open; leave() }, nil
}

// registered returns the registered domain that name is in, by the public suffix list.
func registered(name string) string {
	name = strings.TrimSuffix(name, ".")
	if d, err := publicsuffix.EffectiveTLDPlusOne(name); err == nil {
		return d
	}
	return name
}
