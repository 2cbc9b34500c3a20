package server

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"sync/atomic"
	"time"

	"postrider/engine/admit/screen"
	"postrider/engine/config"
	"postrider/engine/edge/budget"
	"postrider/engine/edge/certs"
	"postrider/engine/edge/conn"
	"postrider/engine/edge/loop"
	"postrider/engine/edge/privilege"
	"postrider/engine/front/smtpsrv"
	"postrider/engine/front/web"
	"postrider/engine/host/maillog"
	"postrider/engine/host/otlp"
	"postrider/engine/mail/allowance"
	"postrider/engine/mail/dkim"
	"postrider/engine/mail/router"
	"postrider/storage"
)

// Server is the running edge: listeners and their sessions over one store. Its parts are
// groups of fields that belong together; what needs one part alone is a method of that part.
type Server struct {
	store  storage.Store
	log    maillog.Log
	budget budget.Memory
	edge   *conn.Edge
	tls    atomic.Pointer[certs.Manager] // nil: none

	current   // the configuration that counts, and whether the server ends
	listeners // where clients connect
	pools     // goroutines that work for sessions
	mailroom  // the way of messages into the store
	outbound  // the way of messages to other hosts
	admission // which clients and users are let in
	services  // the protocols
	measures  // what is counted and timed
}

// What the kernel may hold of a connection, in octets: unread input of a paused
// one, and output that the peer does not take. Left to itself it takes megabytes.
const (
	recvBuffer   = 256 << 10
	notSentLowat = 128 << 10
)

// kernel is what is asked of the kernel for each socket.
var kernel = loop.Config{RecvBuffer: recvBuffer, NotSentLowat: notSentLowat}

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
	srv := &Server{store: store, log: maillog.Log{Logger: log}, budget: budget.New(cfg.Limits.Memory)}
	srv.sockets, srv.router, srv.took = sockets, router.New(store, cfg.RouterSettings()), newLatencies()
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
	srv.guard = screen.NewGuard(screenSettings(cfg), vetter(srv.names, srv.budget, srv.log))
	srv.smtpsrv = smtpsrv.New(smtpSettings(cfg, srv.entrance.Load()), srv.smtpRooms())
	srv.pools = newPools(cfg)
	srv.pop3srv = srv.newPOP3()
	if err := srv.listen(cfg); err != nil {
		group.Stop()
		srv.pools.close()
		return nil, err
	}
	srv.hosts = NewFinder(cfg, srv.names, srv.Addrs("smtp"))
	if srv.courier, err = srv.newCourier(log); err != nil {
		group.Stop()
		srv.pools.close()
		return nil, err
	}
	srv.courier.SetEntrance(srv.entrance.Load())
	srv.limits = srv.newLimits()
	srv.doing.edge = srv.edge
	srv.ages = &queueAges{queue: store, every: countEvery, pause: countPause, failed: func(err error) {
		srv.log.Error("the queue can't be counted by class and age, for the metrics", "err", err)
	}}
	srv.registry = srv.newRegistry()
	return srv, nil
}

// Start begins to accept connections and to work the queue.
func (srv *Server) Start() {
	srv.group.Start()
	srv.measures.start(srv.group.Loops())
	srv.stopOTLP = srv.startOTLP()
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
	srv.measures.stop()
	srv.group.Stop()
	srv.endMessages()
	srv.quotas.end()
	if m := srv.tls.Load(); m != nil {
		m.Close()
	}
	srv.pools.close()
}
