package server

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"postrider/codec/pop3"
	"postrider/codec/smtp"
	"postrider/engine/admit/screen"
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
	key   string // in the configuration; "quota": that of an account or a domain
	scope string // what the limit is of, where a key has several; else ""
	count func() int64
	seen  int64     // at the last look
	last  time.Time // time of the last look that saw more
}

// name is the limit for the status.
func (c *limitCount) name() string {
	if c.scope == "" {
		return c.key
	}
	return c.key + " (" + c.scope + ")"
}

// add adds a limit.
func (l *limits) add(key string, counters ...*atomic.Int64) { l.addOf(key, "", counters...) }

// addOf adds a limit of a key that has several.
func (l *limits) addOf(key, scope string, counters ...*atomic.Int64) {
	l.addSum(key, scope, func() (n int64) {
		for _, c := range counters {
			n += c.Load()
		}
		return n
	})
}

func (l *limits) addSum(key, scope string, count func() int64) {
	l.all = append(l.all, &limitCount{key: key, scope: scope, count: count})
}

// look looks at the counters.
func (l *limits) look(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.all {
		if n := c.count(); n > c.seen {
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
			found = append(found, admin.Limit{Key: c.name(), Count: c.seen, Last: c.last})
		}
	}
	slices.SortStableFunc(found, func(a, b admin.Limit) int { return cmp.Or(b.Last.Compare(a.Last), cmp.Compare(a.Key, b.Key)) })
	return found
}

// newLimits are the limits of a server, by their keys.
func (srv *Server) newLimits() *limits {
	l := new(limits)
	clients, edge, door, guard := srv.edge.Clients, &srv.edge.Stats, &srv.door.Stats, &srv.guard.Stats
	l.addOf("limits.connections", "all", &clients.Refusals[conn.TooManyInAll])
	l.addOf("limits.connections", "strangers", &clients.Refusals[conn.TooManyOfStrangers])
	l.addOf("limits.connections", "network", &clients.Refusals[conn.TooManyOfNetwork])
	l.add("limits.connections_per_client", &clients.Refusals[conn.TooManyOfClient])
	l.add("limits.memory", &srv.smtpsrv.Stats.OverBudget, &srv.pop3srv.Stats.OverBudget)
	l.add("tls.max_handshakes", &edge.TLSBusy)
	l.add("tls.client_handshakes", &edge.TLSPaced)
	l.add("auth.failures_per_network", &door.Throttled)
	l.add("auth.failures_per_account", &door.Slowed)
	l.add("policy.client_connections", &guard.ConnectionRate[screen.OfClient])
	l.add("policy.network_connections", &guard.ConnectionRate[screen.OfNetwork])
	l.add("policy.client_messages", &guard.MessageRate[screen.OfClient])
	l.add("policy.network_messages", &guard.MessageRate[screen.OfNetwork])
	l.add("policy.client_questions", &guard.QuestionRate)
	l.add("policy.early_talkers", &guard.EarlyRefused)
	l.add("policy.pipelining", &guard.PipeliningRefused)
	l.add("policy.dnsbl", &guard.Listed)
	l.add("policy.greylist", &guard.Greylisted)
	l.add("policy.dmarc", &guard.DMARCRefused)
	l.add("log.client_lines", &srv.edge.Lines.LeftOut)
	srv.addTimes(l)
	srv.addReasons(l)
	return l
}

// addTimes adds the limits of time.
func (srv *Server) addTimes(l *limits) {
	data := &srv.smtpsrv.Stats.DataTimeouts
	late := func(fronts ...conn.Front) (n int64) {
		for _, f := range fronts {
			n += srv.edge.Sum(f).Timeouts
		}
		return n
	}
	l.add("smtp.data_timeout", data)
	l.addSum("smtp.command_timeout", "", func() int64 {
		n := data.Load() // before the sum, which has it: the difference is not negative
		return late(conn.SMTP, conn.SMTPS, conn.Submission, conn.Submissions) - n
	})
	l.addSum("pop3.idle_timeout", "", func() int64 { return late(conn.POP3, conn.POP3S) })
	l.addSum("pop3.login_delay", "", func() int64 { return srv.pop3srv.Refused(pop3.CodeDelay) })
	l.add("tls.handshake_timeout", &srv.edge.Stats.TLSTimeouts)
}

// limitsOf are the limits that a refusal by SMTP is about.
var limitsOf = []struct {
	why smtp.Reason
	key string
}{
	{smtp.MessageTooLarge, "smtp.max_size"}, {smtp.TooManyRecipients, "smtp.max_recipients"}, {smtp.TooManyMessages, "smtp.max_messages"},
	{smtp.TooManyErrors, "smtp.max_errors"}, {smtp.TooManyHops, "smtp.max_hops"}, {smtp.MailboxFull, "quota"}, {smtp.DiskFull, "storage.free_floor"},
	{smtp.MessagesPerHour, "submission.messages_per_hour"}, {smtp.RecipientsPerHour, "submission.recipients_per_hour"},
}

// addReasons adds the limits that are counted by the reason of a refusal.
func (srv *Server) addReasons(l *limits) {
	for _, of := range limitsOf {
		l.addSum(of.key, "", func() int64 { return srv.smtpsrv.Refused(of.why) })
	}
}
