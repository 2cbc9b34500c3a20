package engine

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"postrider/engine/config"
	"postrider/engine/courier"
	"postrider/engine/loop"
	"postrider/engine/password"
	"postrider/engine/pop3d"
	"postrider/engine/router"
	"postrider/engine/smtpd"
	"postrider/storage"
)

// Server is the running edge: listeners and their sessions over one store.
type Server struct {
	cfg    *config.Config
	store  storage.Store
	router *router.Router
	log    mailLog

	group   *loop.Group
	shards  map[*loop.Loop]*shard // read-only after New
	smtp    []*loop.Listener
	smtps   []*loop.Listener
	pop3    []*loop.Listener
	pop3s   []*loop.Listener
	tls     *tlsEdge // nil: none
	budget  budget
	clients *clients
	readers *pool
	auth    *pool
	buffers buffers
	logins  loginTimes
	courier *courier.Courier
	door    door

	hashCost             password.Cost
	tooMany, tooManyPOP3 []byte
	greetings            atomic.Int64
	draining             atomic.Bool
	commitsOpen          atomic.Int64
	stats                stats
}

// What the kernel may hold of a connection, in octets: unread input of a paused
// one, and output that the peer does not take. Left to itself it takes megabytes.
const (
	recvBuffer   = 256 << 10
	notSentLowat = 128 << 10
)

// readers is how many reads of the store go on at once.
const readers = 16

// New binds the listeners of cfg and prepares their sessions over store; nothing
// is accepted before Start. The caller keeps store and closes it after Drain.
func New(cfg *config.Config, store storage.Store, log *slog.Logger) (*Server, error) {
	srv := &Server{
		cfg: cfg, store: store, log: mailLog{log},
		router:   router.New(store, cfg.RouterSettings()),
		shards:   make(map[*loop.Loop]*shard),
		budget:   newBudget(cfg.Limits.Memory),
		clients:  newClients(cfg.Limits.Connections, cfg.Limits.ConnectionsPerClient),
		logins:   loginTimes{delay: cfg.POP3.LoginDelay, last: make(map[storage.AccountID]time.Time)},
		hashCost: cfg.HashCost(),
		door: door{
			known:    newCredentials(cfg.Auth.CacheTTL, cfg.Auth.CacheSize),
			failures: newFailures(cfg.Auth.NetworkFailures, cfg.Auth.FailureWindow),
		},
	}
	var err error
	if srv.door.secret, err = loadSecret(cfg.Server.Data); err != nil {
		return nil, fmt.Errorf("the secret of SCRAM: %w", err)
	}
	host := cfg.Server.Hostname
	srv.tooMany = []byte("421 4.7.0 " + host + " Too many connections, come back later\r\n")
	srv.tooManyPOP3 = []byte("-ERR [SYS/TEMP] too many connections, come back later\r\n")
	loops := cfg.Server.Loops
	if loops == 0 {
		loops = runtime.NumCPU()
	}
	group, err := loop.New(loop.Config{Loops: loops, RecvBuffer: recvBuffer, NotSentLowat: notSentLowat, Log: log})
	if err != nil {
		return nil, fmt.Errorf("event loops: %w", err)
	}
	srv.group = group
	if srv.tls, err = newTLS(cfg, srv.log); err != nil {
		group.Stop()
		return nil, err
	}
	for _, l := range group.Loops() {
		srv.shards[l] = &shard{loop: l}
	}
	if err := srv.listen(); err != nil {
		group.Stop()
		return nil, err
	}
	if srv.courier, err = srv.newCourier(log); err != nil {
		group.Stop()
		return nil, err
	}
	srv.readers = newPool(readers, max(cfg.Limits.Connections, 1<<16), 0)
	srv.auth = newPool(cfg.AuthWorkers(), 1024, 1024)
	return srv, nil
}

// listen binds all addresses.
func (srv *Server) listen() error {
	for _, at := range srv.cfg.SMTP.Listen {
		l, err := srv.group.Listen(at.Addr, srv.tooMany, srv.smtpPort(at, nil).open)
		if err != nil {
			return fmt.Errorf("smtp.listen %s: %w", at.Addr, err)
		}
		srv.smtp = append(srv.smtp, l)
	}
	for _, at := range srv.cfg.SMTP.ListenTLS {
		l, err := srv.group.Listen(at.Addr, nil, srv.smtpPort(at, srv.tls.smtps).open)
		if err != nil {
			return fmt.Errorf("smtp.listen_tls %s: %w", at.Addr, err)
		}
		srv.smtps = append(srv.smtps, l)
	}
	return srv.listenPOP3()
}

func (srv *Server) listenPOP3() error {
	port := pop3Port{srv: srv, config: pop3d.Config{
		Hostname: srv.cfg.Server.Hostname, Version: Version, APOP: srv.cfg.POP3.APOP,
		LoginDelay: int(srv.cfg.POP3.LoginDelay / time.Second), ExpireDays: srv.cfg.POP3.ExpireDays,
		MaxErrors: srv.cfg.POP3.MaxErrors, ReplyBudget: 64 << 10,
		Mechanisms: srv.cfg.Auth.Mechanisms, Plaintext: srv.cfg.Auth.ClearText, Nonce: nonce,
	}}
	within := port
	if srv.tls != nil {
		port.stls, port.config.OfferTLS, within.tls = srv.tls.pop3, true, srv.tls.pop3s
	}
	for _, addr := range srv.cfg.POP3.Listen {
		l, err := srv.group.Listen(addr, srv.tooManyPOP3, port.open)
		if err != nil {
			return fmt.Errorf("pop3.listen %s: %w", addr, err)
		}
		srv.pop3 = append(srv.pop3, l)
	}
	for _, addr := range srv.cfg.POP3.ListenTLS {
		l, err := srv.group.Listen(addr, nil, within.open)
		if err != nil {
			return fmt.Errorf("pop3.listen_tls %s: %w", addr, err)
		}
		srv.pop3s = append(srv.pop3s, l)
	}
	return nil
}

// smtpPort is what the sessions of an SMTP listener share; within: TLS from the
// first octet, or nil.
func (srv *Server) smtpPort(at config.SMTPListener, within *tls.Config) *smtpPort {
	c := srv.cfg
	p := &smtpPort{srv: srv, tls: within, config: smtpd.Config{
		Hostname: c.Server.Hostname, MaxSize: c.SMTP.MaxSize, MaxRecipients: c.SMTP.MaxRecipients,
		MaxMessages: c.SMTP.MaxMessages, MaxErrors: c.SMTP.MaxErrors, MaxHops: c.SMTP.MaxHops,
	}}
	if srv.tls != nil && within == nil {
		p.starttls, p.config.OfferTLS = srv.tls.smtp, true
	}
	if cmp.Or(at.BareLF, c.SMTP.BareLF) == config.BareLFNormalize {
		p.config.BareLF = smtpd.Normalize
	}
	if at.Auth != config.AuthOff {
		p.config.Auth = smtpd.Auth{
			Mechanisms: c.Auth.Mechanisms, Plaintext: c.Auth.ClearText,
			Required: at.Auth == config.AuthRequired, Nonce: nonce,
		}
	}
	return p
}

// Start begins to accept connections and to work the queue.
func (srv *Server) Start() {
	srv.group.Start()
	if srv.tls != nil {
		srv.tls.start(srv.cfg.TLS.ReloadEvery)
	}
	srv.courier.Start()
}

// SMTPAddrs and the methods below are the addresses that are listened on, with the ports
// that were picked for port 0.
func (srv *Server) SMTPAddrs() []netip.AddrPort { return addrs(srv.smtp) }

// POP3Addrs: see SMTPAddrs.
func (srv *Server) POP3Addrs() []netip.AddrPort { return addrs(srv.pop3) }

// SMTPSAddrs is SMTPAddrs of SMTP within TLS.
func (srv *Server) SMTPSAddrs() []netip.AddrPort { return addrs(srv.smtps) }

// POP3SAddrs is SMTPAddrs of POP3 within TLS.
func (srv *Server) POP3SAddrs() []netip.AddrPort { return addrs(srv.pop3s) }

func addrs(ls []*loop.Listener) []netip.AddrPort {
	var as []netip.AddrPort
	for _, l := range ls {
		as = append(as, l.Addr())
	}
	return as
}

// trusts says whether the address is on a network that may ask VRFY and EXPN.
func (srv *Server) trusts(ip netip.Addr) bool {
	for _, n := range srv.cfg.SMTP.TrustedNetworks {
		if n.Contains(ip) {
			return true
		}
	}
	return false
}

// directoryAnswer answers VRFY and EXPN, truly for trusted peers only.
func (srv *Server) directoryAnswer(q smtpd.Question, trusted bool, argument []byte) smtpd.Answer {
	if !trusted {
		return smtpd.Answer{Verdict: smtpd.Unsaid}
	}
	if q == smtpd.AskExpand {
		names, o := srv.router.Expand(argument)
		return smtpd.Answer{Verdict: namesVerdict(o), Names: names}
	}
	name, o := srv.router.Verify(argument)
	return smtpd.Answer{Verdict: namesVerdict(o), Names: []string{name}}
}

func namesVerdict(o router.Outcome) smtpd.Verdict {
	if o == router.Local {
		return smtpd.Yes
	}
	return smtpd.Unknown
}

// Drain stops accepting, lets each session come to a point where nothing is
// lost by its end, and stops the loops when all are gone or ctx is done. Only
// the first call does something.
func (srv *Server) Drain(ctx context.Context) {
	if srv.draining.Swap(true) {
		return
	}
	for _, l := range slices.Concat(srv.smtp, srv.smtps, srv.pop3, srv.pop3s) {
		l.Accepting(false)
	}
	for _, sh := range srv.shards {
		sh.loop.Post(drain{sh})
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for srv.group.Conns() > 0 && ctx.Err() == nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
			srv.log.info(fmt.Sprintf("drain: %d sessions cut off by limits.drain_timeout", srv.group.Conns()))
		}
	}
	srv.courier.Stop(ctx)
	srv.group.Stop()
	if srv.tls != nil {
		srv.tls.close()
	}
	srv.readers.close()
	srv.auth.close()
}

// drain tells the sessions of a loop to end.
type drain struct{ sh *shard }

// Run implements loop.Task.
func (d drain) Run() {
	for s := d.sh.first; s != nil; {
		next := s.next
		s.ender.shutdown()
		s = next
	}
}
