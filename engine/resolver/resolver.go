package resolver

import (
	"cmp"
	"context"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"

	"postrider/engine/router"
)

// Families says which IP versions are looked for, in the words of relay.families.
type Families string

// The values of Families. "" is Both.
const (
	Both     Families = "both"
	OnlyIPv4 Families = "ipv4"
	OnlyIPv6 Families = "ipv6"
)

// Options are what a Resolver is made from. The zero value is that of a server
// on the Internet.
type Options struct {
	Servers    []string      // HOST:PORT of name servers; none: those of ResolvConf
	ResolvConf string        // "": /etc/resolv.conf
	HostsFile  string        // "": /etc/hosts
	Port       uint16        // of hosts whose next hop names none; 0: 25
	Families   Families      // of the addresses
	Timeout    time.Duration // of one try; 0: as ResolvConf says, 5s
	Attempts   int           // rounds through the servers; 0: as ResolvConf says, 2
	CacheSize  int           // answers kept; 0: 20,000
	CacheBytes int           // octets of them; 0: 16 MiB
	Now        func() time.Time
	Shuffle    func(n int, swap func(i, j int)) // nil: math/rand's; others need not be safe for many goroutines if Hosts is not called by many

	// Own says whether an address is one that this server takes mail at, and
	// OwnNames are its names. A name counts at the port Port only: at another
	// port of the same machine another server may listen.
	Own      func(netip.AddrPort) bool
	OwnNames []string

	// Named says whether the operator chose a next hop: it may be at any address. Other
	// hops are the choice of whoever owns a domain, and lead to public addresses and to
	// those in Private only. nil: hops by host are chosen, those by MX are not.
	Named   func(router.Hop) bool
	Private []netip.Prefix

	DNSSEC DNSSEC // whose word is taken for it

	Questions int // open at once, each with a socket; 0: MostQuestions

	Log *slog.Logger // nil: no log
}

// Resolver finds the hosts of next hops. It is safe for use by many goroutines.
type Resolver struct {
	servers  *servers
	cache    *cache
	own      questions // of the relay and all else that is ours
	stranger questions // that strangers make us ask: see ForStranger
	file     hostsFile
	port     uint16
	types    []uint16 // A, AAAA or both
	isOwn    func(netip.AddrPort) bool
	ownNames map[string]bool // as in question.name
	named    func(router.Hop) bool
	private  []netip.Prefix
	now      func() time.Time
	shuffle  func(n int, swap func(i, j int))
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
		port:     cmp.Or(o.Port, 25),
		types:    []uint16{dns.TypeA, dns.TypeAAAA},
		isOwn:    o.Own,
		ownNames: make(map[string]bool),
		named:    o.Named,
		private:  o.Private,
		now:      o.Now,
		shuffle:  o.Shuffle,
		log:      o.Log,
	}
	switch o.Families {
	case OnlyIPv4:
		r.types = []uint16{dns.TypeA}
	case OnlyIPv6:
		r.types = []uint16{dns.TypeAAAA}
	}
	if r.isOwn == nil {
		r.isOwn = func(netip.AddrPort) bool { return false }
	}
	if r.named == nil {
		r.named = namedByHost
	}
	for _, name := range o.OwnNames {
		if q, ok := toQuestion(name); ok {
			r.ownNames[q] = true
		}
	}
	if r.now == nil {
		r.now = time.Now
	}
	if r.shuffle == nil {
		r.shuffle = rand.Shuffle
	}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	return r
}

// nameServers takes from the options what they say, and the rest from resolv.conf.
// Without that file it is the server of this machine, as for the C library.
func nameServers(o Options) *servers {
	conf, err := dns.ClientConfigFromFile(cmp.Or(o.ResolvConf, "/etc/resolv.conf"))
	if err != nil {
		conf = &dns.ClientConfig{Timeout: 5, Attempts: 2}
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

// Hosts finds the hosts to try for a next hop, best first. The error is always an
// *[Error]. A caller that gives up by ctx does not end the question: its answer
// is kept for the next one.
func (r *Resolver) Hosts(ctx context.Context, hop router.Hop) (*Answer, error) {
	s := &search{Resolver: r, ctx: ctx, port: cmp.Or(hop.Port, r.port), chosen: r.named(hop)}
	var err *Error
	switch hop.Kind {
	case router.Refused:
		err = refused(hop.Text)
	case router.ByHost:
		if err = s.byHost(hop.Host); err != nil && s.chosen {
			err = err.Softened()
		}
	default:
		err = s.byMX(hop.Host)
	}
	if err == nil {
		return &s.answer, nil
	}
	if cause := ctx.Err(); cause != nil && err.Cause == ErrTemporary {
		err.Cause = cause
	}
	err.Notes = append(s.answer.Notes, err.Notes...)
	return nil, err
}

// lookup answers a question: from the cache, or with others who ask the same.
func (r *Resolver) lookup(ctx context.Context, q question) *records {
	if rec := r.cache.get(q, r.now()); rec != nil {
		return rec
	}
	kind, budget := &r.own, budgetOf(ctx)
	if budget != nil {
		if kind = &r.stranger; !budget.take() {
			return &records{outcome: failed, why: "too many questions for one message"}
		}
	}
	take := func(wanted context.Context) (func(), error) { return kind.slots.take(wanted, q.name) }
	rec := kind.flights.join(ctx, q, take, func() *records {
		// The flight that ended as this one began may have brought it.
		if rec := r.cache.get(q, r.now()); rec != nil {
			return rec
		}
		rec, ttl := r.resolve(q)
		r.cache.put(q, rec, r.now().Add(ttl))
		return rec
	})
	if rec == nil {
		return &records{outcome: failed, why: ctx.Err().Error()}
	}
	return rec
}

// resolve asks the name servers, and again for each alias of which they did not
// say what it stands for.
func (r *Resolver) resolve(q question) (*records, time.Duration) {
	name, shortest, secure := q.name, maxTTL, true
	for range maxAliases {
		// Not the caller's context: others wait for this answer too.
		m, err := r.servers.ask(context.Background(), name, q.qtype)
		if err != nil {
			r.log.Warn("name service error", "name", strings.TrimSuffix(q.name, "."), "type", dns.TypeToString[q.qtype], "err", err)
			return &records{outcome: failed, why: err.Error()}, failureTTL
		}
		rec, ttl, next := read(m, name, q.qtype)
		shortest = min(shortest, ttl)
		secure = secure && rec.secure
		rec.secure = secure
		if next == "" {
			return rec, max(shortest, minTTL)
		}
		name = next
	}
	return &records{outcome: failed, why: "the CNAMEs go on and on"}, failureTTL
}
