package dns

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	miekg "github.com/miekg/dns"
)

// Options are the settings for a Resolver. With the zero value it asks as the system's own
// programs do.
type Options struct {
	Servers    []string      // name servers as HOST:PORT; none: the servers in ResolvConf
	ResolvConf string        // "": /etc/resolv.conf
	HostsFile  string        // "": /etc/hosts
	Timeout    time.Duration // for one try; 0: as in ResolvConf, 5s
	Attempts   int           // rounds through the servers; 0: as in ResolvConf, 2
	CacheSize  int           // answers in the cache; 0: 20,000
	CacheBytes int           // octets in the cache; 0: 16 MiB
	DNSSEC     DNSSEC        // the servers whose AD bit is trusted
	Questions  int           // open questions, each with a socket; 0: MaxQuestions
	Now        func() time.Time
	Log        *slog.Logger // nil: no log
}

// Resolver sends questions to name servers, and caches the answers. It is safe for use by
// many goroutines.
type Resolver struct {
	options  Options // guarded by changing
	changing sync.Mutex
	source   atomic.Pointer[source]
	own      *slots // for the relay and other work of our own
	stranger *slots // for strangers' mail: see ForStranger
	file     hostsFile
	now      func() time.Time
	log      *slog.Logger
}

// source is where answers come from: name servers, the open questions to them, and what they
// have answered. Configure replaces it as a whole: later questions get no answer of the
// servers before.
type source struct {
	servers       *servers
	cache         *cache
	own, stranger flights
}

// The bounds for open questions in all, and about one registered domain. Further questions
// wait, strangers' questions apart from our own.
const (
	ownSlots, ownOfDomain           = 192, 48
	strangerSlots, strangerOfDomain = 64, 8
)

// MaxQuestions is how many questions are open at once, unless Options.Questions is less.
const MaxQuestions = ownSlots + strangerSlots

// part scales n by of/MaxQuestions, to at least 1.
func part(n, of int) int {
	if of == 0 {
		return n
	}
	return max(1, n*min(of, MaxQuestions)/MaxQuestions)
}

// New makes a Resolver. It reads resolv.conf once.
func New(o Options) *Resolver {
	r := &Resolver{
		options:  o,
		own:      newSlots(part(ownSlots, o.Questions), part(ownOfDomain, o.Questions)),
		stranger: newSlots(part(strangerSlots, o.Questions), part(strangerOfDomain, o.Questions)),
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
	r.source.Store(newSource(o))
	return r
}

func newSource(o Options) *source {
	return &source{servers: nameServers(o), cache: newCache(cmp.Or(o.CacheSize, 20_000), cmp.Or(o.CacheBytes, 16<<20))}
}

// Configure replaces the name servers, and whose AD bit is trusted. With others than before
// the cache begins empty: what is in it came from other servers, or was trusted by another
// rule. Open questions get their answers from the servers that they were sent to. resolv.conf
// is read again.
func (r *Resolver) Configure(servers []string, trusted DNSSEC) {
	r.changing.Lock()
	defer r.changing.Unlock()
	r.options.Servers, r.options.DNSSEC = servers, trusted
	next, now := newSource(r.options), r.source.Load().servers
	if s := next.servers; !slices.Equal(s.addrs, now.addrs) || s.dnssec != now.dnssec || s.timeout != now.timeout || s.rounds != now.rounds {
		r.source.Store(next)
	}
}

// nameServers takes the servers and times from the options, and the rest from resolv.conf.
// Without that file it uses the server on this machine, as the C library does.
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

// Servers are the name servers, as HOST:PORT, in configuration order.
func (r *Resolver) Servers() []string { return r.source.Load().servers.addrs }

// DNSSEC are the servers whose AD bit is trusted.
func (r *Resolver) DNSSEC() DNSSEC { return r.source.Load().servers.dnssec }

// Ask answers a question about a name in the form of FQDN: from the cache, or together with
// other callers that ask the same. If ctx ends, the question goes on: the cache keeps the
// answer for the next caller.
func (r *Resolver) Ask(ctx context.Context, name string, qtype uint16) *Records {
	return r.lookup(ctx, question{name, qtype})
}

// Cached returns what the cache has about a name in the form of FQDN, or nil.
func (r *Resolver) Cached(name string, qtype uint16) *Records {
	return r.source.Load().cache.get(question{name, qtype}, r.now())
}

// InHostsFile returns the addresses of a name, in the form of FQDN, in the hosts file, and
// the file's path.
func (r *Resolver) InHostsFile(name string) (addrs []netip.Addr, path string) {
	return r.file.lookup(name, r.now()), r.file.path
}

// lookup answers a question: see Ask.
func (r *Resolver) lookup(ctx context.Context, q question) *Records {
	from := r.source.Load()
	if rec := from.cache.get(q, r.now()); rec != nil {
		return rec
	}
	slots, flights, budget := r.own, &from.own, budgetOf(ctx)
	if budget != nil {
		if slots, flights = r.stranger, &from.stranger; !budget.take() {
			return &Records{Outcome: Failed, Why: "too many questions for one message"}
		}
	}
	take := func(wanted context.Context) (func(), error) { return slots.take(wanted, q.name) }
	rec := flights.join(ctx, q, take, func() *Records {
		// A flight that ended as this one began may have put the answer there.
		if rec := from.cache.get(q, r.now()); rec != nil {
			return rec
		}
		rec, ttl := r.resolve(from.servers, q)
		from.cache.put(q, rec, r.now().Add(ttl))
		return rec
	})
	if rec == nil {
		return &Records{Outcome: Failed, Why: ctx.Err().Error()}
	}
	return rec
}

// resolve asks the name servers, and asks again where an answer ends with a CNAME.
func (r *Resolver) resolve(servers *servers, q question) (*Records, time.Duration) {
	name, shortest, secure := q.name, maxTTL, true
	for range maxAliases {
		// Not the caller's context: others wait for this answer too.
		m, err := servers.ask(context.Background(), name, q.qtype)
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
	return &Records{Outcome: Failed, Why: "CNAME chain too long"}, failureTTL
}
