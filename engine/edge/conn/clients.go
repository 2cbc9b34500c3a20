package conn

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"postrider/engine/edge/limit"
)

// Clients counts the connections: in total, by client, by service, and by network. An
// IPv6 client is its /64: a host has as many addresses in it as it likes.
//
// Networks of our own (relay.networks, smtp.trusted_networks) may have all of
// limits.connections. Strangers leave a tenth of it free for them. Of what strangers may
// have, each service that is offered has a tenth of limits.connections to itself, and the
// rest is for whichever needs it: whoever holds all that port 25 has leaves room for
// logins at submission, POP3 and the web client, and the other way round. As Postfix has a
// process limit for each service.
//
// Within that, strangers of one network (IPv4: /24, IPv6: /48) that have not logged in
// have at most as many connections to a service as it has free at the moment. One network
// alone gets half of the room, two a third each, and with n of them a newcomer still finds
// an n-th part free. A fixed bound would either let a handful of networks take everything,
// or keep the clients of a large site away while there is room.
type Clients struct {
	max, perClient int
	reserve        int           // that strangers leave free
	ours           [services]int // of each service that strangers of the others can't take
	shared         int           // that strangers of all services share

	mu       sync.Mutex
	total    int
	strange  [services]int // connections from other networks than our own
	by       map[netip.Addr]int32
	networks map[networkAt]int32 // strangers that have not logged in

	// Refusals count connections that were refused, by reason.
	Refusals [reasons]atomic.Int64

	told   time.Time // when a refusal was logged
	untold int       // Refusals since
}

// Service is what a connection is for.
type Service uint8

// The services.
const (
	MailService       Service = iota // hosts that bring mail
	SubmissionService                // SMTP that needs a login
	POP3Service
	WebService
	services // how many there are
)

// Offered are the services that a server has addresses for.
type Offered [services]bool

var serviceNames = [services]string{"smtp", "submission", "pop3", "http"}

// networkAt is a network at a service.
type networkAt struct {
	service Service
	network netip.Addr
}

// seat is how a connection is counted.
type seat struct {
	service  Service
	own      bool // it is from a network of our own
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
	TooManyInAll:       "limits.connections are in use",
	TooManyOfClient:    "the client has limits.connections_per_client",
	TooManyOfStrangers: "what strangers may have of limits.connections at this service is in use",
	TooManyOfNetwork:   "the client's network has its share of what is free at this service",
}

// NewClients makes the books of a server that offers these services.
func NewClients(total, perClient int, offered Offered) *Clients {
	c := &Clients{max: total, perClient: perClient, by: make(map[netip.Addr]int32), networks: make(map[networkAt]int32)}
	c.reserve = total / 10
	c.shared = total - c.reserve
	for s := range c.ours {
		if offered[s] {
			c.ours[s] = total / 10
			c.shared -= c.ours[s]
		}
	}
	return c
}

// MaxConns is how many connections are open at once under limits.connections: besides
// those that are counted there are some that hear why they are refused, some that have
// ended and wait for the client's end, and balancers' that have not said yet for which
// client they come. What is over that is turned away without a word more.
func MaxConns(connections int) int { return connections + connections/64 + 16 }

// SpareConns is how many of those are for connections that are counted alone, so that
// others can't keep our own networks out.
func SpareConns(connections int) int { return (MaxConns(connections) - connections) / 2 }

// ConnectionsIn is the most that limits.connections may be for so many open connections.
func ConnectionsIn(files int) int { return max(0, (files-16)*64/65) }

// clientOf is what counts as one client; see limit.Client.
func clientOf(ip netip.Addr) netip.Addr {
	return limit.Client(ip).Addr()
}

// clientNetwork is what counts as one network; see limit.Network.
func clientNetwork(ip netip.Addr) netip.Addr { return limit.Network(ip).Addr() }

// free is how many more strangers a service may have.
func (c *Clients) free(s Service) int {
	shared := c.shared
	for i, n := range c.strange {
		shared -= max(n-c.ours[i], 0)
	}
	return min(c.max-c.reserve-c.total, max(c.ours[s]-c.strange[s], 0)+max(shared, 0))
}

// judge says whether there is room for a connection, or why not.
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

// count adds n to what a connection is counted in; n is 1 or -1.
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

// add counts under a key; a key with nothing is forgotten.
func add[K comparable](m map[K]int32, k K, n int32) {
	if m[k] += n; m[k] == 0 {
		delete(m, k)
	}
}

// admit counts a connection in, or says why it is one too many.
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

// move counts a connection of one client as that of another, if there is room.
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

// login notes that a connection has logged in: it is no longer one of those that a
// network may open as it likes.
func (c *Clients) login(ip netip.Addr, at *seat) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count(ip, *at, -1)
	at.loggedIn = true
	c.count(ip, *at, 1)
}

// leave counts a connection out.
func (c *Clients) leave(ip netip.Addr, at seat) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count(ip, at, -1)
}

// Open is how many connections there are, and how many of them are strangers'.
func (c *Clients) Open() (all, strange int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range c.strange {
		strange += n
	}
	return c.total, strange
}

// refusalsEvery is the least time between two lines of the log about connections that are
// refused.
const refusalsEvery = 10 * time.Second

// mayTell says whether a refusal is to be logged, and how many were not since the last one.
func (c *Clients) mayTell(now time.Time) (untold int, yes bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.told.IsZero() && now.Sub(c.told) < refusalsEvery {
		c.untold++
		return 0, false
	}
	untold, c.told, c.untold = c.untold, now, 0
	return untold, true
}
