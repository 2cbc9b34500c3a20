package server

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"postrider/engine/admit/login"
	"postrider/engine/admit/screen"
	"postrider/engine/edge/dns"
	"postrider/engine/edge/loop"
	"postrider/engine/front/capture"
	"postrider/engine/front/pop3srv"
	"postrider/engine/front/smtpsrv"
	"postrider/engine/front/web"
	"postrider/engine/host/history"
	"postrider/engine/host/otlp"
	"postrider/engine/mail/allowance"
	"postrider/engine/mail/dkim"
	"postrider/engine/mail/incoming"
	"postrider/engine/mail/retention"
	"postrider/engine/mail/router"
	"postrider/engine/relay/agent"
	"postrider/engine/relay/mx"
	"postrider/engine/relay/queue"
	"postrider/storage"
)

// mailroom is the way of messages into the store.
type mailroom struct {
	router    *router.Router
	keys      *dkim.Keys
	sent      *allowance.Book // by accounts
	quotas    *quotaWarnings
	retention *retention.Chore
	history   *history.Log
	entrance  atomic.Pointer[incoming.Entrance]
	capture   storage.AccountID // that gets all mail; 0: mail goes where it is addressed to
}

// book takes a message and its recipients from an account's allowance, or nothing.
func (m *mailroom) book(account storage.AccountID, recipients int) (allowance.Booking, error) {
	b, r := m.sent.Begin(account, time.Now())
	for range recipients {
		if r != nil {
			break
		}
		r = b.Recipient()
	}
	if r == nil {
		return b, nil
	}
	b.Cancel()
	return b, fmt.Errorf("%w: you have sent to the limit of %d %s an hour; there is room again after %s", web.ErrRefused, r.Limit, r.What, r.Again.UTC().Format("15:04 UTC"))
}

// outbound is the way of messages to other hosts.
type outbound struct {
	names   *dns.Resolver
	hosts   *mx.Finder
	courier *agent.Courier
}

// deadSites is how many next hops are dead now.
func (o *outbound) deadSites() (n int) {
	o.courier.Sites(func(s queue.SiteStatus) {
		if !s.DeadTill.IsZero() {
			n++
		}
	})
	return n
}

// admission decides which clients and users are let in.
type admission struct {
	door   *login.Door
	secret []byte // see login.LoadSecret
	guard  *screen.Guard
}

// services are the protocols.
type services struct {
	smtpsrv *smtpsrv.Service
	pop3srv *pop3srv.Service
	web     *web.Client   // nil: none was made
	view    *capture.View // nil: none was made

	activity *web.Activity // what an operator sees of both
}

// measures are what is counted and timed.
type measures struct {
	stats    stats
	took     latencies
	limits   *limits
	ages     *queueAges
	doing    sessionsDoing
	registry *prometheus.Registry
	otlp     *otlp.Exporter

	stopLag, unwatch, stopAges, stopOTLP func() // nil before the start
}

// start begins to measure the loops, to count the queue, and to look at the limits.
func (m *measures) start(loops []*loop.Loop) {
	m.stopAges = m.ages.start()
	m.stopLag, m.unwatch = watchLag(loops, m.took.loop), eachSecond(m.limits.look)
}

// stop ends what start began, if it was called.
func (m *measures) stop() {
	if m.stopLag != nil {
		m.stopLag()
		m.unwatch()
		m.stopAges()
		m.stopOTLP()
	}
}
