package server

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"postrider/engine/edge/conn"
	"postrider/engine/front/admin"
)

// limits tells which limits have refused something or made it wait, and when that was. The
// limits only count: the counters are looked at each second.
type limits struct {
	mu  sync.Mutex
	all []*limitCount
}

// limitCount is a limit and its counters.
type limitCount struct {
	key      string
	counters []*atomic.Int64
	seen     int64     // at the last look
	last     time.Time // time of the last look that saw more
}

// add adds a limit.
func (l *limits) add(key string, counters ...*atomic.Int64) {
	l.all = append(l.all, &limitCount{key: key, counters: counters})
}

// look looks at the counters.
func (l *limits) look(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.all {
		n := int64(0)
		for _, counter := range c.counters {
			n += counter.Load()
		}
		if n > c.seen {
			c.seen, c.last = n, now
		}
	}
}

// bitten are the limits that have counted something, the last one first.
func (l *limits) bitten() []admin.Limit {
	l.look(time.Now())
	l.mu.Lock()
	defer l.mu.Unlock()
	found := []admin.Limit{}
	for _, c := range l.all {
		if c.seen > 0 {
			found = append(found, admin.Limit{Key: c.key, Count: c.seen, Last: c.last})
		}
	}
	slices.SortStableFunc(found, func(a, b admin.Limit) int { return cmp.Or(b.Last.Compare(a.Last), cmp.Compare(a.Key, b.Key)) })
	return found
}

// newLimits are the limits of a server, by their keys.
func (srv *Server) newLimits() *limits {
	l := new(limits)
	clients, edge, door, guard := srv.edge.Clients, &srv.edge.Stats, &srv.door.Stats, &srv.guard.Stats
	l.add("limits.connections", &clients.Refusals[conn.TooManyInAll])
	l.add("limits.connections_per_client", &clients.Refusals[conn.TooManyOfClient])
	l.add("limits.connections: the share of strangers", &clients.Refusals[conn.TooManyOfStrangers])
	l.add("limits.connections: the share of a network", &clients.Refusals[conn.TooManyOfNetwork])
	l.add("limits.memory", &srv.smtpsrv.Stats.OverBudget, &srv.pop3srv.Stats.OverBudget)
	l.add("tls.max_handshakes", &edge.TLSBusy)
	l.add("tls.client_handshakes", &edge.TLSPaced)
	l.add("auth.failures_per_network", &door.Throttled)
	l.add("auth: many wrong passwords of an account", &door.Slowed)
	l.add("policy.client_connections, network_connections", &guard.ConnectionRate)
	l.add("policy.client_messages, network_messages", &guard.MessageRate)
	l.add("policy.client_questions", &guard.QuestionRate)
	l.add("policy.early_talkers", &guard.EarlyRefused)
	l.add("policy.pipelining", &guard.PipeliningRefused)
	l.add("policy.dnsbl", &guard.Listed)
	l.add("policy.greylist", &guard.Greylisted)
	l.add("policy.dmarc", &guard.DMARCRefused)
	l.add("time of a command or message", &edge.Timeouts)
	return l
}
