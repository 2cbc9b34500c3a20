package conn

import (
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"postrider/engine/edge/limit"
)

// Clients counts the connections: in total, by client, by service, and by network. One IPv6
// client is a /64, because a host can use any address in it.
//
// Our own networks (relay.networks, smtp.trusted_networks) may have all of
// limits.connections. Strangers are clients from other networks, and leave a tenth of
// limits.connections free. Each service that is offered has another tenth for its strangers
// alone, and the services share the rest. So clients that hold all connections to port 25
// leave room for logins at submission, POP3 and the web client, and the other way round.
// Postfix has a process limit for each service.
//
// Strangers from one network (IPv4: /24, IPv6: /48) that have not logged in have at most as
// many connections to a service as the service has free at the moment. One network alone
// gets half the room, two get a third each, and n networks leave an n-th part for the next
// one. A fixed bound would either let a few networks take everything, or refuse clients of a
// large site while there is room.
type Clients struct {
	mu sync.Mutex
	clientLimits
	total    int
	strange  [services]int // strangers' connections
	by       map[netip.Addr]int32
	networks map[networkAt]int32 // strangers that have not logged in

	// Refusals counts refused connections, by reason.
	Refusals [reasons]atomic.Int64

	lastLogged time.Time // when a refusal was logged
	notLogged  int       // refusals since then
}

// Service is what a connection is for.
type Service uint8

// The services.
const (
	MailService       Service = iota // SMTP from other hosts
	SubmissionService                // SMTP that needs a login
	POP3Service
	WebService
	services // how many there are
)

// Offered are the services that the server listens for.
type Offered [services]bool

var serviceNames = [services]string{"smtp", "submission", "pop3", "http"}

// String is the service in one word.
func (s Service) String() string { return serviceNames[s] }

// networkAt is a key for the connections from a network to a service.
type networkAt struct {
	service Service
	network netip.Addr
}

// seat tells how a connection is counted.
type seat struct {
	service  Service
	own      bool // the client is in one of our own networks
	loggedIn bool
}

// Reason is why a connection is refused.
type Reason uint8

// The reasons.
const (
	admitted Reason = iota
	TooManyInAll
	TooManyOfClient
	TooManyOfStrangers
	TooManyOfNetwork
	reasons // how many there are
)

var reasonWords = [reasons]string{
	TooManyInAll:       "limits.connections reached",
	TooManyOfClient:    "the client has reached limits.connections_per_client",
	TooManyOfStrangers: "clients outside relay.networks and smtp.trusted_networks have reached their share of limits.connections at this service",
	TooManyOfNetwork:   "the client's network has reached its share of the free connections at this service",
}

// clientLimits are what Clients goes by.
type clientLimits struct {
	max, perClient int
	reserve        int           // connections that strangers leave free
	ours           [services]int // connections that strangers at other services can't take
	shared         int           // connections that strangers at all services share
}

// NewClients makes a Clients for a server that offers these services.
func NewClients(total, perClient int, offered Offered) *Clients {
	c := &Clients{by: make(map[netip.Addr]int32), networks: make(map[networkAt]int32)}
	c.Configure(total, perClient, offered)
	return c
}

// Configure replaces the limits. Connections that are open stay, also those over the new
// limits.
func (c *Clients) Configure(total, perClient int, offered Offered) {
	l := clientLimits{max: total, perClient: perClient, reserve: total / 10}
	l.shared = total - l.reserve
	for s := range l.ours {
		if offered[s] {
			l.ours[s] = total / 10
			l.shared -= l.ours[s]
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clientLimits = l
}

// Limits returns the number of connections in total and by client that are allowed now, and
// for each service how many others can't take.
func (c *Clients) Limits() (total, perClient int, ours []int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.max, c.perClient, slices.Clone(c.ours[:])
}

// MaxConns is how many connections may be open under limits.connections. It is more than
// limits.connections, for connections that are not counted: refused ones that get the reason,
// ended ones that wait for the client's FIN, and balancers' connections before the PROXY
// header. Further connections are closed without a reply.
func MaxConns(connections int) int { return connections + connections/64 + 16 }

// SpareConns is the part of MaxConns, beyond limits.connections, that only counted
// connections can use. So the others can't lock our own networks out.
func SpareConns(connections int) int { return (MaxConns(connections) - connections) / 2 }

// ConnectionsIn is the largest limits.connections that fits into so many files.
func ConnectionsIn(files int) int { return max(0, (files-16)*64/65) }

// clientOf returns the address that counts for a client: see limit.Client.
func clientOf(ip netip.Addr) netip.Addr {
	return limit.Client(ip).Addr()
}

// clientNetwork returns the address that counts for a client's network: see limit.Network.
func clientNetwork(ip netip.Addr) netip.Addr { return limit.Network(ip).Addr() }

// free is how many more strangers' connections a service may have.
func (c *Clients) free(s Service) int {
	shared := c.shared
	for i, n := range c.strange {
		shared -= max(n-c.ours[i], 0)
	}
	return min(c.max-c.reserve-c.total, max(c.ours[s]-c.strange[s], 0)+max(shared, 0))
}

// judge returns admitted if there is room for a connection, or why not.
func (c *Clients) judge(ip netip.Addr, at seat) Reason {
	client := clientOf(ip)
	switch {
	case c.total >= c.max:
		return TooManyInAll
	case c.perClient > 0 && client.IsValid() && int(c.by[client]) >= c.perClient:
		return TooManyOfClient
	case at.own:
		return admitted
	}
	free := c.free(at.service)
	switch {
	case free <= 0:
		return TooManyOfStrangers
	case !at.loggedIn && int(c.networks[networkAt{at.service, clientNetwork(ip)}]) > free:
		return TooManyOfNetwork
	}
	return admitted
}

// count adds n, which is 1 or -1, to all numbers that a connection counts in.
func (c *Clients) count(ip netip.Addr, at seat, n int) {
	c.total += n
	add(c.by, clientOf(ip), int32(n)) //nolint:gosec // 1 or -1
	if at.own {
		return
	}
	c.strange[at.service] += n
	if !at.loggedIn {
		add(c.networks, networkAt{at.service, clientNetwork(ip)}, int32(n)) //nolint:gosec // 1 or -1
	}
}

// add adds n to the count of a key, and deletes a key whose count is 0.
func add[K comparable](m map[K]int32, k K, n int32) {
	if m[k] += n; m[k] == 0 {
		delete(m, k)
	}
}

// admit counts a connection if there is room for it. Else it returns the reason.
func (c *Clients) admit(ip netip.Addr, at seat) Reason {
	c.mu.Lock()
	defer c.mu.Unlock()
	why := c.judge(ip, at)
	if why == admitted {
		c.count(ip, at, 1)
	} else {
		c.Refusals[why].Add(1)
	}
	return why
}

// move counts one client's connection for another client, if there is room.
func (c *Clients) move(from netip.Addr, at *seat, to netip.Addr, own bool) bool {
	next := *at
	next.own = own
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count(from, *at, -1)
	if clientOf(from) != clientOf(to) || next != *at {
		if why := c.judge(to, next); why != admitted {
			c.Refusals[why].Add(1)
			c.count(from, *at, 1)
			return false
		}
	}
	c.count(to, next, 1)
	*at = next
	return true
}

// login notes that a connection has logged in: it no longer counts for its network.
func (c *Clients) login(ip netip.Addr, at *seat) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count(ip, *at, -1)
	at.loggedIn = true
	c.count(ip, *at, 1)
}

// leave ends what admit has counted.
func (c *Clients) leave(ip netip.Addr, at seat) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count(ip, at, -1)
}

// Open returns how many connections there are, and how many of them are strangers'.
func (c *Clients) Open() (all, strange int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range c.strange {
		strange += n
	}
	return c.total, strange
}

// refusalsEvery is the least time between two log lines about refused connections.
const refusalsEvery = 10 * time.Second

// mayLog reports whether a refusal is to be logged, and how many were not logged since the
// last line.
func (c *Clients) mayLog(now time.Time) (notLogged int, yes bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.lastLogged.IsZero() && now.Sub(c.lastLogged) < refusalsEvery {
		c.notLogged++
		return 0, false
	}
	notLogged, c.lastLogged, c.notLogged = c.notLogged, now, 0
	return notLogged, true
}
