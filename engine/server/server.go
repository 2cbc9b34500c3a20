package server

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"sync/atomic"
	"time"

	"postrider/engine/admit/login"
	"postrider/engine/admit/screen"
	"postrider/engine/config"
	"postrider/engine/edge/budget"
	"postrider/engine/edge/certs"
	"postrider/engine/edge/conn"
	"postrider/engine/edge/loop"
	"postrider/engine/edge/privilege"
	"postrider/engine/front/pop3srv"
	"postrider/engine/front/smtpsrv"
	"postrider/engine/host/maillog"
	"postrider/engine/mail/allowance"
	"postrider/engine/mail/dkim"
	"postrider/engine/mail/incoming"
	"postrider/engine/mail/router"
	"postrider/engine/relay/agent"
	"postrider/storage"
)

// Server is the running edge: listeners and their sessions over one store.
type Server struct {
	cfg    *config.Config
	store  storage.Store
	router *router.Router
	log    maillog.Log

	group     *loop.Group
	sockets   *privilege.Sockets
	listening []Listening
	tls       *certs.Manager // nil: none
	edge      *conn.Edge
	budget    budget.Memory
	readers   *conn.Pool // they read the store for POP3
	auth      *conn.Pool
	// converters make lines of binary messages.
	converters *conn.Pool
	placers    *conn.Pool // places recipients again
	courier    *agent.Courier
	keys       *dkim.Keys
	sent       *allowance.Book // by accounts
	quotas     *quotaWarnings
	entrance   *incoming.Entrance
	capture    storage.AccountID // that gets all mail; 0: mail goes where it is addressed to

	door    *login.Door
	guard   *screen.Guard
	smtpsrv *smtpsrv.Service
	pop3srv *pop3srv.Service

	draining atomic.Bool
	stats    stats
	took     latencies
	stopLag  func()
	limits   *limits
	unwatch  func() // ends the watch of limits
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

// New binds the listeners of cfg and prepares their sessions over store; nothing
// is accepted before Start. The caller keeps store and closes it after Drain.
func New(cfg *config.Config, store storage.Store, log *slog.Logger) (*Server, error) {
	return NewOn(nil, cfg, store, log)
}

// NewOn is New with sockets that are bound already (see Sockets).
func NewOn(sockets *privilege.Sockets, cfg *config.Config, store storage.Store, log *slog.Logger) (*Server, error) {
	srv := &Server{
		sockets: sockets,
		cfg:     cfg, store: store, log: maillog.Log{Logger: log},
		router: router.New(store, cfg.RouterSettings()),
		budget: budget.New(cfg.Limits.Memory),
		took:   newLatencies(),
	}
	if m, ok := store.(storage.Metered); ok {
		m.OnSync(srv.took.sync.Observe)
	}
	srv.edge = srv.newEdge()
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
	srv.entrance = srv.newEntrance()
	srv.sent = allowance.New(allowance.Limits{Messages: cfg.Submission.MessagesPerHour, Recipients: cfg.Submission.RecipientsPerHour})
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
	if srv.tls, err = newTLS(cfg, srv.log); err != nil {
		group.Stop()
		return nil, err
	}
	if srv.tls != nil {
		srv.edge.TLS = tlsOfEdge(cfg, srv.tls.Clients)
	}
	srv.edge.Run(group.Loops())
	names := NewResolver(cfg, log)
	srv.guard = screen.NewGuard(screenSettings(cfg), srv.vetter(names))
	srv.smtpsrv = smtpsrv.New(smtpSettings(cfg), srv.smtpRooms())
	srv.readers = conn.NewPool(readers, max(cfg.Limits.Connections, 1<<16), 0)
	srv.pop3srv = srv.newPOP3()
	if err := srv.listen(); err != nil {
		group.Stop()
		srv.readers.Close()
		return nil, err
	}
	if srv.courier, err = srv.newCourier(NewFinder(cfg, names, srv.Addrs("smtp")), log); err != nil {
		group.Stop()
		srv.readers.Close()
		return nil, err
	}
	srv.courier.Entrance = srv.entrance
	srv.limits = srv.newLimits()
	srv.auth = conn.NewPool(cfg.AuthWorkers(), 1024, 1024)
	srv.converters = conn.NewPool(conversions, maxConversions, 0)
	srv.placers = conn.NewPool(placers, maxPlacing, maxPlacing)
	return srv, nil
}

// Start begins to accept connections and to work the queue.
func (srv *Server) Start() {
	srv.group.Start()
	srv.stopLag, srv.unwatch = watchLag(srv.group.Loops(), srv.took.loop), srv.limits.watch()
	if srv.tls != nil {
		srv.tls.Start()
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
	if srv.draining.Swap(true) {
		return
	}
	for _, at := range srv.listening {
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
	srv.quotas.end()
	if srv.stopLag != nil {
		srv.stopLag()
		srv.unwatch()
	}
	srv.group.Stop()
	srv.endMessages()
	if srv.tls != nil {
		srv.tls.Close()
	}
	srv.readers.Close()
	srv.auth.Close()
	srv.converters.Close()
	srv.placers.Close()
}
