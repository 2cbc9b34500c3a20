package dns

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"time"

	miekg "github.com/miekg/dns"
)

// Options are what a Resolver is made from. The zero value asks as the system's own
// programs do.
type Options struct {
	Servers    []string      // HOST:PORT of name servers; none: those of ResolvConf
	ResolvConf string        // "": /etc/resolv.conf
	HostsFile  string        // "": /etc/hosts
	Timeout    time.Duration // of one try; 0: as ResolvConf says, 5s
	Attempts   int           // rounds through the servers; 0: as ResolvConf says, 2
	CacheSize  int           // answers kept; 0: 20,000
	CacheBytes int           // octets of them; 0: 16 MiB
	DNSSEC     DNSSEC        // whose AD bit is believed
	Questions  int           // open at once, each with a socket; 0: MostQuestions
	Now        func() time.Time
	Log        *slog.Logger // nil: no log
}

// Resolver asks name servers, and keeps their answers. It is safe for use by many goroutines.
type Resolver struct {
	servers  *servers
	cache    *cache
	own      questions // of the relay and all else that is ours
	stranger questions // that strangers make us ask: see ForStranger
	file     hostsFile
	now      func() time.Time
	log      *slog.Logger
}

// questions are those of one kind that are asked now.
type questions struct {
	flights flights
	slots   *slots
}

// The questions to name servers that are open at once, and those of them about one
// registered domain; others wait. Strangers' and our own wait apart.
const (
	ownSlots, ownOfDomain           = 192, 48
	strangerSlots, strangerOfDomain = 64, 8
)

// MostQuestions is how many questions are open at once when nothing less is said.
const MostQuestions = ownSlots + strangerSlots

// part is a part of n, as of MostQuestions, and at least one.
func part(n, of int) int {
	if of == 0 {
		return n
	}
	return max(1, n*min(of, MostQuestions)/MostQuestions)
}

// New makes a Resolver. It reads resolv.conf now, and no more later.
func New(o Options) *Resolver {
	r := &Resolver{
		servers:  nameServers(o),
		cache:    newCache(cmp.Or(o.CacheSize, 20_000), cmp.Or(o.CacheBytes, 16<<20)),
		own:      questions{slots: newSlots(part(ownSlots, o.Questions), part(ownOfDomain, o.Questions))},
		stranger: questions{slots: newSlots(part(strangerSlots, o.Questions), part(strangerOfDomain, o.Questions))},
		file:     hostsFile{path: cmp.Or(o.HostsFile, "/etc/hosts")},
		now:      o.Now,
		log:      o.Log,
	}
	if r.now == nil {
		r.now = time.Now
	}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	return r
}

// nameServers takes from the options what they say, and the rest from resolv.conf.
// Without that file it is the server of this machine, as for the C library.
func nameServers(o Options) *servers {
	conf, err := miekg.ClientConfigFromFile(cmp.Or(o.ResolvConf, "/etc/resolv.conf"))
	if err != nil {
		conf = &miekg.ClientConfig{Timeout: 5, Attempts: 2}
	}
	s := &servers{
		addrs:   o.Servers,
		timeout: cmp.Or(o.Timeout, time.Duration(conf.Timeout)*time.Second),
		rounds:  cmp.Or(o.Attempts, conf.Attempts),
		dnssec:  o.DNSSEC,
	}
	if len(s.addrs) == 0 {
		for _, host := range conf.Servers {
			s.addrs = append(s.addrs, net.JoinHostPort(host, "53"))
		}
	}
	if len(s.addrs) == 0 {
		s.addrs = []string{"127.0.0.1:53"}
	}
	return s
}

// Servers are the name servers, as HOST:PORT, in the order of the configuration.
func (r *Resolver) Servers() []string { return r.servers.addrs }

// Ask answers a question about a name of FQDN: from the cache, or together with others that
// ask the same. A caller that gives up by ctx does not end the question: its answer is
// kept for the next one.
func (r *Resolver) Ask(ctx context.Context, name string, qtype uint16) *Records {
	return r.lookup(ctx, question{name, qtype})
}

// Cached is what the cache has about a name of FQDN; nil: nothing.
func (r *Resolver) Cached(name string, qtype uint16) *Records {
	return r.cache.get(question{name, qtype}, r.now())
}

// InHostsFile finds the addresses of a name of FQDN in the hosts file, whose path it returns.
func (r *Resolver) InHostsFile(name string) (addrs []netip.Addr, path string) {
	return r.file.lookup(name, r.now()), r.file.path
}

// lookup answers a question: from the cache, or with others who ask the same.
func (r *Resolver) lookup(ctx context.Context, q question) *Records {
	if rec := r.cache.get(q, r.now()); rec != nil {
		return rec
	}
	kind, budget := &r.own, budgetOf(ctx)
	if budget != nil {
		if kind = &r.stranger; !budget.take() {
			return &Records{Outcome: Failed, Why: "too many questions for one message"}
		}
	}
	take := func(wanted context.Context) (func(), error) { return kind.slots.take(wanted, q.name) }
	rec := kind.flights.join(ctx, q, take, func() *Records {
		// The flight that ended as this one began may have brought it.
		if rec := r.cache.get(q, r.now()); rec != nil {
			return rec
		}
		rec, ttl := r.resolve(q)
		r.cache.put(q, rec, r.now().Add(ttl))
		return rec
	})
	if rec == nil {
		return &Records{Outcome: Failed, Why: ctx.Err().Error()}
	}
	return rec
}

// resolve asks the name servers, and again for each alias of which they did not
// say what it means.
func (r *Resolver) resolve(q question) (*Records, time.Duration) {
	name, shortest, secure := q.name, maxTTL, true
	for range maxAliases {
		// Not the caller's context: others wait for this answer too.
		m, err := r.servers.ask(context.Background(), name, q.qtype)
		if err != nil {
			r.log.Warn("name service error", "name", strings.TrimSuffix(q.name, "."), "type", miekg.TypeToString[q.qtype], "err", err)
			return &Records{Outcome: Failed, Why: err.Error()}, failureTTL
		}
		rec, ttl, next := read(m, name, q.qtype)
		shortest = min(shortest, ttl)
		secure = secure && rec.Secure
		rec.Secure = secure
		if next == "" {
			return rec, max(shortest, minTTL)
		}
		name = next
	}
	return &Records{Outcome: Failed, Why: "the CNAMEs go on and on"}, failureTTL
}
