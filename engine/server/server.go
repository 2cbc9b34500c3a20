package server

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

	"postrider/engine/admit/login"
	"postrider/engine/config"
	"postrider/engine/edge/budget"
	"postrider/engine/edge/certs"
	"postrider/engine/edge/conn"
	"postrider/engine/edge/loop"
	"postrider/engine/edge/privilege"
	"postrider/engine/host/maillog"
	"postrider/engine/mail/allowance"
	"postrider/engine/mail/dkim"
	"postrider/engine/mail/incoming"
	"postrider/engine/mail/router"
	"postrider/engine/protocol/pop3d"
	"postrider/engine/protocol/smtpd"
	"postrider/engine/relay/agent"
	"postrider/storage"
)

// Server is the running edge: listeners and their sessions over one store.
type Server struct {
	cfg    *config.Config
	store  storage.Store
	router *router.Router
	log    maillog.Log

	group   *loop.Group
	sockets *privilege.Sockets
	shards  map[*loop.Loop]*shard // read-only after New
	smtp    []*loop.Listener
	smtps   []*loop.Listener
	pop3    []*loop.Listener
	pop3s   []*loop.Listener
	tls     *certs.Manager // nil: none
	edge    *conn.Edge
	budget  budget.Memory
	readers *conn.Pool
	auth    *conn.Pool
	// converters make lines of binary messages.
	converters *conn.Pool
	placers    *conn.Pool      // of recipients, anew
	buffers    *budget.Buffers // of readBuffer
	wide       *budget.Buffers // of wideBuffer
	logins     loginTimes
	courier    *agent.Courier
	keys       *dkim.Keys
	sent       *allowance.Book // by accounts
	entrance   *incoming.Entrance
	capture    storage.AccountID // that gets all mail; 0: mail goes where it is addressed to

	submission  []*loop.Listener
	submissions []*loop.Listener
	door        *login.Door
	guard       *guard

	tooMany, tooManyPOP3 []byte
	greetings            atomic.Int64
	draining             atomic.Bool
	commitsOpen          atomic.Int64
	stats                stats
	took                 latencies
	stopLag              func()
}

// What the kernel may hold of a connection, in octets: unread input of a paused
// one, and output that the peer does not take. Left to itself it takes megabytes.
const (
	recvBuffer   = 256 << 10
	notSentLowat = 128 << 10
)

// kernel is what is asked of the kernel for each socket.
var kernel = loop.Config{RecvBuffer: recvBuffer, NotSentLowat: notSentLowat}

// Sockets binds the addresses of cfg, or takes sockets that were handed over, before
// the process gives up the right to.
func Sockets(cfg *config.Config) (*privilege.Sockets, error) {
	var all []privilege.Listeners
	for _, l := range cfg.Listeners() {
		all = append(all, privilege.Listeners(l))
	}
	return privilege.Bind(all, kernel)
}

// bind listens on an address, by its socket if there is one.
func (srv *Server) bind(name, addr string, overload []byte, open func(*loop.Conn) loop.Handler) (*loop.Listener, error) {
	if f := srv.sockets.File(name, addr); f != nil {
		return srv.group.ListenFile(f, overload, open)
	}
	return srv.group.Listen(addr, overload, open)
}

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
		router:  router.New(store, cfg.RouterSettings()),
		shards:  make(map[*loop.Loop]*shard),
		budget:  budget.New(cfg.Limits.Memory),
		buffers: budget.NewBuffers(readBuffer),
		wide:    budget.NewBuffers(wideBuffer),
		took:    newLatencies(),
		logins:  loginTimes{delay: cfg.POP3.LoginDelay, last: make(map[storage.AccountID]time.Time)},
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
	srv.entrance = srv.newEntrance()
	srv.sent = allowance.New(allowance.Limits{Messages: cfg.Submission.MessagesPerHour, Recipients: cfg.Submission.RecipientsPerHour})
	host := cfg.Server.Hostname
	srv.tooMany = []byte("421 4.7.0 " + host + " Too many connections, come back later\r\n")
	srv.tooManyPOP3 = []byte("-ERR [SYS/TEMP] too many connections, come back later\r\n")
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
	for _, l := range group.Loops() {
		srv.shards[l] = &shard{loop: l}
	}
	if err := srv.listen(); err != nil {
		group.Stop()
		return nil, err
	}
	names := NewResolver(cfg, log)
	srv.guard = newGuard(cfg, names, srv.budget.OfStrangers(), srv.log)
	if srv.courier, err = srv.newCourier(NewFinder(cfg, names, srv.SMTPAddrs()), log); err != nil {
		group.Stop()
		return nil, err
	}
	srv.courier.Entrance = srv.entrance
	srv.readers = conn.NewPool(readers, max(cfg.Limits.Connections, 1<<16), 0)
	srv.auth = conn.NewPool(cfg.AuthWorkers(), 1024, 1024)
	srv.converters = conn.NewPool(conversions, maxConversions, 0)
	srv.placers = conn.NewPool(placers, maxPlacing, maxPlacing)
	return srv, nil
}

// listen binds all addresses.
func (srv *Server) listen() error {
	for _, at := range srv.cfg.SMTP.Listen {
		l, err := srv.bind("smtp", at.Addr, srv.tooMany, srv.edge.ProxyFirst(srv.smtpPort(at, nil).open))
		if err != nil {
			return fmt.Errorf("smtp.listen %s: %w", at.Addr, err)
		}
		srv.smtp = append(srv.smtp, l)
	}
	for _, at := range srv.cfg.SMTP.ListenTLS {
		l, err := srv.bind("smtps", at.Addr, nil, srv.edge.ProxyFirst(srv.smtpPort(at, srv.tls.Configs.SMTPS).open))
		if err != nil {
			return fmt.Errorf("smtp.listen_tls %s: %w", at.Addr, err)
		}
		srv.smtps = append(srv.smtps, l)
	}
	if err := srv.listenSubmission(); err != nil {
		return err
	}
	return srv.listenPOP3()
}

func (srv *Server) listenPOP3() error {
	c := pop3d.Config{
		Hostname: srv.cfg.Server.Hostname, Version: Version, APOP: srv.cfg.POP3.APOP,
		LoginDelay: int(srv.cfg.POP3.LoginDelay / time.Second),
		MaxErrors:  srv.cfg.POP3.MaxErrors, ReplyBudget: 64 << 10,
		Mechanisms: srv.cfg.Auth.Mechanisms, Plaintext: srv.cfg.Auth.ClearText, Nonce: nonce,
		TLSFirst: srv.cfg.TLS.ClientCertificates == config.CertificatesRequired,
	}
	within := pop3Port{conn.Port{Edge: srv.edge, Daemon: maillog.POP3D, Service: conn.POP3Service, Timeout: srv.cfg.POP3.IdleTimeout, TooMany: srv.tooManyPOP3}, srv, pop3Offers(c)}
	clear := within
	if srv.tls != nil {
		within.TLS = srv.tls.Configs.POP3S
		c.OfferTLS = true
		clear.StartTLS, clear.configs = srv.tls.Configs.POP3, pop3Offers(c)
	}
	for _, addr := range srv.cfg.POP3.Listen {
		l, err := srv.bind("pop3", addr, srv.tooManyPOP3, srv.edge.ProxyFirst(clear.open))
		if err != nil {
			return fmt.Errorf("pop3.listen %s: %w", addr, err)
		}
		srv.pop3 = append(srv.pop3, l)
	}
	for _, addr := range srv.cfg.POP3.ListenTLS {
		l, err := srv.bind("pop3s", addr, nil, srv.edge.ProxyFirst(within.open))
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
	p := &smtpPort{srv: srv, Port: conn.Port{Edge: srv.edge, Daemon: maillog.SMTPD, Timeout: c.SMTP.CommandTimeout, TooMany: srv.tooMany, TLS: within, Service: serviceOf(at)}}
	set := smtpd.Config{
		Hostname: c.Server.Hostname, MaxSize: c.SMTP.MaxSize, MaxRecipients: c.SMTP.MaxRecipients,
		MaxMessages: c.SMTP.MaxMessages, MaxErrors: c.SMTP.MaxErrors, MaxHops: c.SMTP.MaxHops,
	}
	if srv.tls != nil && within == nil {
		p.StartTLS, set.OfferTLS = srv.tls.Configs.SMTP, true
	}
	if cmp.Or(at.BareLF, c.SMTP.BareLF) == config.BareLFNormalize {
		set.BareLF = smtpd.Normalize
	}
	certified := c.TLS.ClientCertificates == config.CertificatesRequired && srv.tls != nil
	switch {
	case srv.capture != 0, !certified || within != nil:
	case at.Auth == config.AuthRequired:
		p.StartTLS = srv.tls.Configs.SMTPS // where a certificate is demanded
	default:
		at.Auth = config.AuthOff // hosts bring mail here with or without one
	}
	switch {
	case srv.capture != 0:
		set.Auth = captureAuth(at.Auth)
	case at.Auth != config.AuthOff:
		set.Auth = smtpd.Auth{
			Mechanisms: c.Auth.Mechanisms, Plaintext: c.Auth.ClearText,
			Required: at.Auth == config.AuthRequired, Nonce: nonce, TLSFirst: certified,
		}
	}
	p.config, p.configs = set, smtpOffers(set)
	return p
}

// Start begins to accept connections and to work the queue.
func (srv *Server) Start() {
	srv.group.Start()
	srv.stopLag = watchLag(srv.group.Loops(), srv.took.loop)
	if srv.tls != nil {
		srv.tls.Start()
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

// SubmissionAddrs is SMTPAddrs of where accounts hand in mail.
func (srv *Server) SubmissionAddrs() []netip.AddrPort { return addrs(srv.submission) }

// SubmissionsAddrs is SubmissionAddrs within TLS.
func (srv *Server) SubmissionsAddrs() []netip.AddrPort { return addrs(srv.submissions) }

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
	for _, l := range slices.Concat(srv.smtp, srv.smtps, srv.submission, srv.submissions, srv.pop3, srv.pop3s) {
		l.Accepting(false)
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
	}
	srv.group.Stop()
	if srv.tls != nil {
		srv.tls.Close()
	}
	srv.readers.Close()
	srv.auth.Close()
	srv.converters.Close()
	srv.placers.Close()
}
