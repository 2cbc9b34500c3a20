package server

import (
	"context"
	"strings"
	"time"

	"postrider/engine/edge/budget"
	"postrider/engine/edge/conn"
	"postrider/engine/front/admin"
	"postrider/storage"
)

// Inside is what the commands of an operator may learn of a running server, and do with its
// sessions.
func (srv *Server) Inside() admin.Inside { return inside{srv.edge, srv} }

type inside struct {
	*conn.Edge
	srv *Server
}

var _ admin.Inside = inside{}

// patience bounds what the status waits for a loop.
const patience = 10 * time.Second

// Details implements admin.Inside.
func (in inside) Details(ctx context.Context) (d admin.Details) {
	srv := in.srv
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	d.Listeners = []admin.Listener{}
	for _, l := range srv.Listening() {
		if as := l.Addrs(); len(as) > 0 {
			at := admin.Listener{Name: l.Name}
			for _, a := range as {
				at.Addrs = append(at.Addrs, a.String())
			}
			d.Listeners = append(d.Listeners, at)
		}
	}
	d.Sessions = []conn.Group{}
	if found, err := in.Look(ctx, conn.Selection{}, 0); err == nil && found.Groups != nil {
		d.Sessions = found.Groups
	}
	d.Traced = in.Tapped()
	d.Connections.Open, d.Connections.Strangers = srv.edge.Clients.Open()
	d.Connections.Limit = srv.config().Limits.Connections
	_, d.Connections.Outgoing, _ = srv.courier.Load()
	d.Queue = queueTotal(srv.store, time.Now())
	d.Store = storeFacts(srv.store)
	d.Memory = ledgers(srv.budget)
	d.Limits = srv.limits.bitten()
	d.Totals = srv.totals()
	return d
}

// Look implements admin.Inside.
func (in inside) Look(ctx context.Context, sel conn.Selection, most int) (conn.Survey, error) {
	found, err := in.Edge.Look(ctx, sel, most)
	if err == nil {
		found.Include(in.srv.activity.Look(sel), most)
	}
	return found, err
}

// End implements admin.Inside.
func (in inside) End(ctx context.Context, sel conn.Selection, now bool) (int, error) {
	n := in.srv.activity.End(sel, now)
	more, err := in.Edge.End(ctx, sel, now)
	return n + more, err
}

// Trace implements admin.Inside.
func (in inside) Trace(ctx context.Context, sel conn.Selection, each func([]conn.TraceLine) error) error {
	feed := conn.NewFeed()
	defer in.srv.activity.Follow(sel, feed)()
	return in.Edge.TraceInto(ctx, sel, feed, each)
}

// TraceTo implements admin.Inside.
func (in inside) TraceTo(ctx context.Context, destination string, each func([]conn.TraceLine) error) error {
	feed := conn.NewFeed()
	stop := in.srv.courier.Trace(func(domain, host string, id storage.MessageID) func(string) {
		if !strings.EqualFold(domain, destination) && !strings.EqualFold(strings.TrimSuffix(host, "."), destination) {
			return nil
		}
		return func(line string) { feed.Add(conn.TraceLine{Message: id.String(), Text: line}) }
	})
	if stop == nil {
		return conn.ErrTraces
	}
	defer stop()
	return feed.Run(ctx, each)
}

// mostCounted is how many entries of the queue the status counts by class: that takes some
// ten milliseconds.
const mostCounted = 20_000

// queueTotal counts the queue.
func queueTotal(store storage.Queue, now time.Time) (q admin.QueueTotal) {
	q.Entries, q.Octets = store.QueueTotal()
	if q.Entries > mostCounted {
		return q
	}
	err := store.Queued(storage.QueueFilter{AnyOrder: true}, func(e *storage.QueueEntry) bool {
		switch admin.StateOf(e, now) {
		case admin.OnHold:
			q.Held++
		case admin.Deferred:
			q.Deferred++
		default:
			q.Due++
		}
		return q.Held+q.Deferred+q.Due < 2*mostCounted // it may have grown
	})
	q.Counted = err == nil
	return q
}

// storeFacts are how the store is.
func storeFacts(store storage.Store) admin.StoreFacts {
	h := store.Health()
	f := admin.StoreFacts{Free: h.FreeBytes, InFlight: h.InFlight, Figures: map[string]float64{}}
	if m, ok := store.(storage.Metered); ok {
		m.Metrics(func(m storage.Metric) {
			if m.Label == "" {
				f.Figures[m.Name] = m.Value
			}
		})
	}
	return f
}

// ledgers are the parts of limits.memory, by what takes them.
func ledgers(m budget.Memory) []admin.Ledger {
	of := func(name string, l *budget.Ledger) admin.Ledger {
		return admin.Ledger{Name: name, Used: l.Used(), Limit: l.Max()}
	}
	return []admin.Ledger{of("begin", m.Begin), of("bulk", m.Bulk), of("listings", m.Listings), of("held", m.Held)}
}

// totals are the counters that "postrider top" makes rates of.
func (srv *Server) totals() map[string]int64 {
	smtp, pop3, door, relay := &srv.smtpsrv.Stats, &srv.pop3srv.Stats, &srv.door.Stats, &srv.courier.Stats
	return map[string]int64{
		"messages_total":       srv.stats.messages.Load() + smtp.Messages.Load(),
		"deliveries_total":     smtp.Deliveries.Load(),
		"octets_in_total":      smtp.OctetsIn.Load(),
		"refusals_total":       smtp.Refused.Load(),
		"logins_total":         door.POP3.Load() + door.SMTP.Load() + door.Web.Load(),
		"denied_total":         door.Denied.Load(),
		"pop3_retrieved_total": pop3.Retrieved.Load(),
		"octets_out_total":     pop3.OctetsOut.Load(),
		"relay_sent_total":     relay.Sent.Load(),
		"relay_deferred_total": relay.Deferred.Load(),
		"relay_bounced_total":  relay.Bounced.Load(),
	}
}
