package screen

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"

	"postrider/engine/admit/policy"
	"postrider/engine/edge/dns"
	"postrider/engine/host/maillog"
)

// Vetter looks up in DNS what there is about clients and their mail. It is safe for use by
// many goroutines.
type Vetter struct {
	Names  *dns.Resolver
	Memory Memory // for checks; nil: there is no bound
	// Panicked is called after a panic while a message was checked; nil: not called.
	Panicked func(p any)
	// Log gets a line about each message that was checked; the zero Log: no lines.
	Log maillog.Log
}

// Client is what DNS has about a client.
type Client struct {
	Name string             // by reverse DNS, confirmed; "": none
	Rev  Result             // result of the search for it: Pass, Fail, PermError (no name at all) or TempError
	On   []policy.Blocklist // the lists that have the address
}

// maxNames bounds the names of one address that are looked at: an address may have
// hundreds, and its owner pays nothing for them.
const maxNames = 5

// Client asks all about an address at once. What is not known when ctx ends does not
// count against the client.
func (v *Vetter) Client(ctx context.Context, ip netip.Addr, name bool, lists []policy.Blocklist) (c Client) {
	ip = ip.Unmap().WithZone("")
	ctx = dns.ForStranger(ctx, dns.NewBudget(1+maxNames+len(lists)))
	var wg sync.WaitGroup
	if name {
		wg.Go(func() { c.Name, c.Rev = v.nameOf(ctx, ip) })
	}
	on := make([]bool, len(lists))
	for i := range lists {
		wg.Go(func() {
			answer, err := v.Names.LookupAddrs(ctx, lists[i].Question(ip), false)
			on[i] = err == nil && lists[i].Lists(answer)
		})
	}
	wg.Wait()
	for i, is := range on {
		if is {
			c.On = append(c.On, lists[i])
		}
	}
	return c
}

// nameOf finds the name of an address that leads back to it (RFC 8601 section 3).
func (v *Vetter) nameOf(ctx context.Context, ip netip.Addr) (string, Result) {
	names, err := v.Names.LookupAddr(ctx, ip.String())
	if err != nil {
		if isNotFound(err) {
			return "", PermError
		}
		return "", TempError
	}
	worst := Fail
	for _, name := range names[:min(len(names), maxNames)] {
		if !isHostName(name) {
			continue
		}
		addrs, err := v.Names.LookupAddrs(ctx, name, ip.Is6())
		if err != nil && !isNotFound(err) {
			worst = TempError
		}
		for _, a := range addrs {
			if a == ip {
				return strings.TrimSuffix(name, "."), Pass
			}
		}
	}
	return "", worst
}

// isHostName lets through what a trace field and a log line can take: DNS can hold
// any octet.
func isHostName(name string) bool {
	for _, c := range []byte(name) {
		if c != '-' && c != '.' && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return len(name) > 1 && len(name) <= 255
}

func isNotFound(err error) bool {
	e, ok := err.(*net.DNSError)
	return ok && e.IsNotFound
}
