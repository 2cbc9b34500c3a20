package server

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"postrider/engine/admit/login"
	"postrider/engine/admit/screen"
	"postrider/engine/config"
	"postrider/engine/edge/budget"
	"postrider/engine/edge/certs"
	"postrider/engine/edge/conn"
	"postrider/engine/edge/dns"
	"postrider/engine/edge/loop"
	"postrider/engine/edge/privilege"
	"postrider/engine/front/capture"
	"postrider/engine/front/pop3srv"
	"postrider/engine/front/smtpsrv"
	"postrider/engine/front/web"
	"postrider/engine/host/maillog"
	"postrider/engine/host/otlp"
	"postrider/engine/mail/allowance"
	"postrider/engine/mail/dkim"
	"postrider/engine/mail/incoming"
	"postrider/engine/mail/router"
	"postrider/engine/relay/agent"
	"postrider/engine/relay/mx"
	"postrider/storage"
)

// Server is the running edge: listeners and their sessions over one store.
type Server struct {
	live   atomic.Pointer[config.Config] // see Reload
	store  storage.Store
	router *router.Router
	log    maillog.Log

	group     *loop.Group
	sockets   *privilege.Sockets
	listening atomic.Pointer[[]Listening]
	tls       atomic.Pointer[certs.Manager] // nil: none
	edge      *conn.Edge
	budget    budget.Memory
	readers   *conn.Pool // they read the store for POP3
	auth      *conn.Pool
	// converters make lines of binary messages.
	converters *conn.Pool
	placers    *conn.Pool // places recipients again
	names      *dns.Resolver
	hosts      *mx.Finder
	courier    *agent.Courier
	keys       *dkim.Keys
	sent       *allowance.Book // by accounts
	quotas     *quotaWarnings
	entrance   atomic.Pointer[incoming.Entrance]
	capture    storage.AccountID // that gets all mail; 0: mail goes where it is addressed to

	door     *login.Door
	secret   []byte // see login.LoadSecret
	guard    *screen.Guard
	smtpsrv  *smtpsrv.Service
	pop3srv  *pop3srv.Service
	web      *web.Client   // nil: none was made
	view     *capture.View // nil: none was made
	activity *web.Activity

	draining  atomic.Bool
	reloading sync.Mutex // held by Reload, and by the first step of Drain
	stats     stats
	took      latencies
	registry  *prometheus.Registry
	otlp      *otlp.Exporter
	stopOTLP  func()
	ages      *queueAges
	stopAges  func()
	doing     sessionsDoing
	stopLag   func()
	limits    *limits
	unwatch   func() // ends the watch of limits
}

// What the kernel may hold of a connection, in octets: unread input of a paused
// one, and output that the peer does not take. Left to itself it takes megabytes.
const (
	recvBuffer   = 256 << 10
	notSentLowat = 128 << 10
)

// kernel is what is asked of the kernel for each socket.
var kernel = loop.Config{RecvBuffer: recvBuffer, NotSentLowat: notSentLowat}

// readers is how many reads of the store go on at once.
const readers = 16

// SureConnections is what limits.connections may be raised to by Reload, whatever it was at
// the start: each session has at most one read in the queue for them.
const SureConnections = 1 << 16

// New binds the listeners of cfg and prepares their sessions over store; nothing
// is accepted before Start. The caller keeps store and closes it after Drain.
func New(cfg *config.Config, store storage.Store, log *slog.Logger) (*Server, error) {
	return NewOn(nil, cfg, store, log)
}

// NewOn is New with sockets that are bound already (see Sockets).
func NewOn(sockets *privilege.Sockets, cfg *config.Config, store storage.Store, log *slog.Logger) (*Server, error) {
	if sockets == nil {
		sockets = new(privilege.Sockets)
	}
	srv := &Server{
		sockets: sockets,
		store:   store, log: maillog.Log{Logger: log},
		router: router.New(store, cfg.RouterSettings()),
		budget: budget.New(cfg.Limits.Memory),
		took:   newLatencies(),
	}
	srv.live.Store(cfg)
	if m, ok := store.(storage.Metered); ok {
		m.OnSync(srv.took.sync.Observe)
	}
	srv.edge = srv.newEdge()
	srv.activity = web.NewActivity(srv.edge.NewID)
	var err error
	if srv.capture, err = captureAccount(cfg, store); err != nil {
		return nil, err
	}
	if srv.door, err = srv.newDoor(); err != nil {
		return nil, err
	}
	if srv.keys, err = dkim.Open(cfg.DKIMDir()); err != nil {
		return nil, err
	}
	srv.quotas = newQuotaWarnings(srv)
	collector, err := otlpSettings(cfg)
	if err != nil {
		return nil, err
	}
	srv.otlp = otlp.New(otlp.Resource{Service: "postrider", Version: Version, Instance: cfg.Server.Hostname}, gatherer{srv}, log)
	srv.otlp.Configure(collector)
	srv.entrance.Store(srv.newEntrance(cfg))
	srv.sent = allowance.New(allowances(cfg))
	loops := cfg.Server.Loops
	if loops == 0 {
		loops = runtime.NumCPU()
	}
	settings := kernel
	settings.Loops, settings.Log = loops, log
	settings.MaxConns, settings.SpareConns = conn.MaxConns(cfg.Limits.Connections), conn.SpareConns(cfg.Limits.Connections)
	group, err := loop.New(settings)
	if err != nil {
		return nil, fmt.Errorf("event loops: %w", err)
	}
	srv.group = group
	certificates, err := newTLS(cfg, srv.log)
	if err != nil {
		group.Stop()
		return nil, err
	}
	srv.tls.Store(certificates)
	srv.edge.TLS = tlsOfEdge(cfg, certificates)
	srv.edge.Run(group.Loops())
	srv.names = NewResolver(cfg, log)
	srv.guard = screen.NewGuard(screenSettings(cfg), srv.vetter(srv.names))
	srv.smtpsrv = smtpsrv.New(smtpSettings(cfg, srv.entrance.Load()), srv.smtpRooms())
	srv.readers = conn.NewPool(readers, max(cfg.Limits.Connections, SureConnections), 0)
	srv.pop3srv = srv.newPOP3()
	if err := srv.listen(cfg); err != nil {
		group.Stop()
		srv.readers.Close()
		return nil, err
	}
	srv.hosts = NewFinder(cfg, srv.names, srv.Addrs("smtp"))
	if srv.courier, err = srv.newCourier(log); err != nil {
		group.Stop()
		srv.readers.Close()
		return nil, err
	}
	srv.courier.SetEntrance(srv.entrance.Load())
	srv.limits = srv.newLimits()
	srv.auth = conn.NewPool(cfg.AuthWorkers(), 1024, 1024)
	srv.converters = conn.NewPool(conversions, maxConversions, 0)
	srv.placers = conn.NewPool(placers, maxPlacing, maxPlacing)
	srv.doing.edge = srv.edge
	srv.ages = &queueAges{queue: store, every: countEvery, pause: countPause, failed: func(err error) {
		srv.log.Error("the queue can't be counted by class and age, for the metrics", "err", err)
	}}
	srv.registry = srv.newRegistry()
	return srv, nil
}

// config is the configuration that counts now. It does not change: Reload replaces it.
func (srv *Server) config() *config.Config { return srv.live.Load() }

// Start begins to accept connections and to work the queue.
func (srv *Server) Start() {
	srv.group.Start()
	srv.stopLag, srv.unwatch = watchLag(srv.group.Loops(), srv.took.loop), srv.limits.watch()
	srv.stopAges, srv.stopOTLP = srv.ages.start(), srv.startOTLP()
	if m := srv.tls.Load(); m != nil {
		m.Start()
	}
	srv.courier.Start()
	srv.quotas.start()
}

// endTime is how long a drain waits for messages that are in their last steps, after the
// loops have dropped what can be dropped. A message that takes longer is in the store's
// queue, and closing the store waits for it.
const endTime = 10 * time.Second

// endMessages waits for messages in their last steps, which work with the pools and the
// store.
func (srv *Server) endMessages() {
	ctx, cancel := context.WithTimeout(context.Background(), endTime)
	defer cancel()
	srv.smtpsrv.Wait(ctx)
}

// Drain stops accepting, lets each session come to a point where nothing is
// lost by its end, and stops the loops when all are gone or ctx is done. Only
// the first call does something.
func (srv *Server) Drain(ctx context.Context) {
	srv.reloading.Lock()
	ends := srv.draining.Swap(true)
	srv.reloading.Unlock()
	if ends {
		return
	}
	for _, at := range srv.Listening() {
		for _, l := range at.listeners {
			l.Accepting(false)
		}
	}
	srv.edge.Drain()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for srv.group.Conns() > 0 && ctx.Err() == nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
			srv.log.Info(fmt.Sprintf("drain: %d sessions cut off by limits.drain_timeout", srv.group.Conns()))
		}
	}
	srv.courier.Stop(ctx)
	if srv.stopLag != nil {
		srv.stopLag()
		srv.unwatch()
		srv.stopAges()
		srv.stopOTLP()
	}
	srv.group.Stop()
	srv.endMessages()
	srv.quotas.end()
	if m := srv.tls.Load(); m != nil {
		m.Close()
	}
	srv.readers.Close()
	srv.auth.Close()
	srv.converters.Close()
	srv.placers.Close()
}
