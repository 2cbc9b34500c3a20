package mtasts

import (
	"cmp"
	"context"
	"crypto/x509"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"postrider/engine/edge/dns"
	"postrider/engine/edge/limit"
	"postrider/engine/relay/tlspolicy"
)

// Options are what a Cache is made from.
type Options struct {
	Names    *dns.Resolver                                                                 // for the records
	Hosts    func(ctx context.Context, name string, port uint16) ([]netip.AddrPort, error) // finds the addresses of a web server
	Roots    *x509.CertPool                                                                // authorities; nil: the system's
	Port     uint16                                                                        // port of web servers; 0: 443
	Timeout  time.Duration                                                                 // limit of a fetch; 0: 1 minute
	Patience time.Duration                                                                 // limit of callers that wait for one; 0: 10 s
	Size     int                                                                           // domains; 0: 10,000
	Now      func() time.Time
	Log      *slog.Logger // nil: no log
}

// Cache keeps policies. It is safe for use by many goroutines.
type Cache struct {
	ctx      context.Context // context of the fetches
	names    *dns.Resolver
	hosts    func(ctx context.Context, name string, port uint16) ([]netip.AddrPort, error)
	client   *http.Client
	port     uint16
	patience time.Duration
	now      func() time.Time
	log      *slog.Logger
	slots    chan struct{} // bounds the fetches
	flights  singleflight.Group

	mu      sync.Mutex
	entries *limit.Map[string, entry] // under mu
}

// entry is what is known about a domain whose DNS record announces a policy.
type entry struct {
	id       string         // id of the record for which it was tried last
	policy   *tlspolicy.STS // nil: none was ever fetched
	policyID string         // the record's id when the policy was fetched
	fetched  time.Time      // the policy
	failed   time.Time      // the last try, if that came to nothing
	fault    string         // error of that try
}

const (
	fetches     = 8
	retryAfter  = 5 * time.Minute // RFC 8461 section 3.3
	refreshMost = 24 * time.Hour
)

// New makes a cache; its fetches end with ctx.
func New(ctx context.Context, o Options) *Cache {
	c := &Cache{
		ctx: ctx, names: o.Names, hosts: o.Hosts, port: cmp.Or(o.Port, 443), patience: cmp.Or(o.Patience, 10*time.Second),
		now: o.Now, log: o.Log,
		slots: make(chan struct{}, fetches), entries: limit.NewMap[string](cmp.Or(o.Size, 10_000), endsFirst, nil),
	}
	if c.now == nil {
		c.now = time.Now
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.client = newClient(o, c.dial)
	return c
}

// Finding is what is known of a domain.
type Finding struct {
	Policy *tlspolicy.STS // nil: no policy is known
	Note   string         // what went wrong, for people; or ""
}

// For finds the policy of a domain. It waits for a fetch, but not for long.
func (c *Cache) For(ctx context.Context, domain string) Finding {
	asking, cancel := context.WithTimeout(ctx, c.patience)
	defer cancel()
	records, err := c.names.TXT(asking, "_mta-sts", domain)
	id, has := tlspolicy.ParseRecord(records)
	e, alive := c.get(domain)
	switch {
	case err != nil && alive:
		return Finding{e.policy, ""}
	case err != nil:
		return Finding{nil, "the record at _mta-sts." + domain + " can't be read: " + err.Error()}
	case !has && alive:
		return Finding{e.policy, ""}
	case !has:
		return Finding{}
	}
	fresh := alive && e.policyID == id
	tried := e.id == id && c.now().Sub(e.failed) < retryAfter
	switch {
	case fresh && (!c.old(e) || tried):
		return Finding{e.policy, ""}
	case tried:
		return e.finding(alive)
	}
	done := c.fetchOnce(domain, id)
	if fresh {
		return Finding{e.policy, ""} // the new one is for the next
	}
	patience := time.NewTimer(c.patience)
	defer patience.Stop()
	select {
	case <-done:
		return c.known(domain)
	case <-patience.C:
	case <-ctx.Done():
	}
	f := c.known(domain)
	f.Note = cmp.Or(f.Note, "the policy has not been fetched yet")
	return f
}

// known is what the cache has.
func (c *Cache) known(domain string) Finding {
	e, alive := c.get(domain)
	return e.finding(alive)
}

func (e *entry) finding(alive bool) Finding {
	f := Finding{}
	if alive {
		f.Policy = e.policy
	}
	if e.fault != "" {
		f.Note = "the policy can't be fetched: " + e.fault
	}
	return f
}

// get returns what is known of a domain, and whether its policy counts.
func (c *Cache) get(domain string) (e entry, alive bool) {
	c.mu.Lock()
	e, _ = c.entries.Get(domain)
	c.mu.Unlock()
	return e, e.policy != nil && c.now().Before(e.until())
}

func (e *entry) until() time.Time {
	if e.policy == nil {
		return e.failed.Add(retryAfter)
	}
	return e.fetched.Add(max(e.policy.MaxAge, retryAfter)) // a max_age of 0 must not cost a fetch for each message
}

// old reports whether a policy is to be looked at again.
func (c *Cache) old(e entry) bool {
	return c.now().Sub(e.fetched) >= max(min(refreshMost, e.policy.MaxAge/2), retryAfter)
}

// fetchOnce has the policy fetched, unless a fetch is running.
func (c *Cache) fetchOnce(domain, id string) <-chan singleflight.Result {
	return c.flights.DoChan(domain, func() (any, error) {
		select {
		case c.slots <- struct{}{}:
		case <-time.After(c.patience):
			return nil, nil // the next message will try
		case <-c.ctx.Done():
			return nil, nil
		}
		defer func() { <-c.slots }()
		p, err := c.fetch(domain)
		if c.ctx.Err() != nil {
			return nil, nil
		}
		c.note(domain, id, p, err)
		return nil, nil
	})
}

// note keeps what a fetch came to.
func (c *Cache) note(domain, id string, p *tlspolicy.STS, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, _ := c.entries.Get(domain)
	e.id = id
	if err != nil {
		e.failed, e.fault = c.now(), err.Error()
		c.log.Warn("the MTA-STS policy can't be fetched", "domain", domain, "err", err)
	} else {
		e = entry{id: id, policy: p, policyID: id, fetched: c.now()}
		c.log.Info("MTA-STS policy", "domain", domain, "policy", p.String())
	}
	c.entries.Set(domain, e, c.now())
}

func endsFirst(a, b entry) bool { return a.until().Before(b.until()) }
