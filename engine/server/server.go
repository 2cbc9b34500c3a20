package server

import (
	"fmt"
	"log/slog"
	"runtime"
	"sync/atomic"

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
	"postrider/engine/mail/retention"
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
	srv.retention = retention.New(store, cfg.Retention(), log)
	srv.history = newHistory(cfg, store, log)
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
	srv.history.Start()
	srv.courier.Start()
	srv.quotas.start()
	srv.retention.Start()
}
