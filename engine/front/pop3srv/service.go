package pop3srv

import (
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"postrider/codec/pop3"
	"postrider/codec/sasl"
	"postrider/engine/admit/login"
	"postrider/engine/edge/budget"
	"postrider/engine/edge/conn"
	"postrider/engine/edge/loop"
	"postrider/engine/host/history"
	"postrider/engine/host/latency"
	"postrider/engine/host/maillog"
	"postrider/engine/protocol/pop3d"
	"postrider/storage"
)

// Settings are the rules for sessions of POP3.
type Settings struct {
	Hostname   string
	Version    string        // for IMPLEMENTATION in the reply to CAPA
	APOP       bool          // APOP is offered
	LoginDelay time.Duration // between two logins of an account; 0: none
	Expire     time.Duration // storage.Retention.Mail
	MaxErrors  int           // replies -ERR in a row, after which the session ends; 0: no limit
	MaxListing int           // messages of a maildrop that a session sees: the oldest
	// IdleTimeout is the time for a command, and for a peer to take what was sent.
	IdleTimeout time.Duration
	Mechanisms  sasl.Set // offered by AUTH
	ClearText   bool     // passwords are taken without TLS, also from other hosts
	TLSFirst    bool     // no login without TLS
}

// Rooms are what sessions work with.
type Rooms struct {
	Edge     *conn.Edge
	Loops    []*loop.Loop
	Store    Store
	Door     *login.Door
	Memory   budget.Memory
	Readers  *conn.Pool // reads the store
	Log      maillog.Log
	History  *history.Log // nil: none is kept
	Draining func() bool  // the server ends: no login is taken any more
	// Took gets the time of each RETR, from the command until the last octet of the message
	// was handed to the connection; nil: none is kept.
	Took *latency.Histogram
}

// Store is what sessions ask of the store.
type Store interface {
	LockMaildrop(account storage.AccountID) (storage.Lock, error)
	MailExpiry() (least time.Duration, differs bool)
}

// Stats count for the metrics. Loops and pools write them without a lock.
type Stats struct {
	Sessions   atomic.Int64 // open now
	Retrieved  atomic.Int64 // messages sent by RETR and TOP
	OctetsOut  atomic.Int64 // octets of these messages
	OverBudget atomic.Int64 // times that a session found no room in Rooms.Memory
}

// Service is what the sessions of all listeners share.
type Service struct {
	Stats Stats

	set      atomic.Pointer[Settings]
	edge     *conn.Edge
	door     *login.Door
	memory   budget.Memory
	readers  *conn.Pool
	log      maillog.Log
	history  *history.Log
	draining func() bool
	took     *latency.Histogram

	loops     map[*loop.Loop]*loopState // read-only
	maildrops maildrops
	buffers   buffers
	greetings atomic.Int64 // timestamps made for APOP
}

// loopState is what the sessions of one event loop share. It belongs to the goroutine of
// the loop.
type loopState struct {
	loop    *loop.Loop
	effects pop3d.Effects

	refused [len(pop3.Codes)]atomic.Int64 // replies -ERR by their codes; others read it
}

// New makes a Service. Its sessions are opened by what Listener and ListenerTLS return.
func New(set Settings, rooms Rooms) *Service {
	s := &Service{
		edge: rooms.Edge, door: rooms.Door, memory: rooms.Memory,
		readers: rooms.Readers, log: rooms.Log, history: rooms.History, draining: rooms.Draining, took: rooms.Took,
		loops:     make(map[*loop.Loop]*loopState, len(rooms.Loops)),
		maildrops: maildrops{store: rooms.Store, times: new(loginTimes)},
		buffers:   newBuffers(rooms.Memory.Bulk),
	}
	for _, l := range rooms.Loops {
		s.loops[l] = &loopState{loop: l}
	}
	s.Configure(set)
	return s
}

// Configure replaces the settings, for what Listener and ListenerTLS return from now on.
// Sessions that are open keep theirs, except for MaxListing and LoginDelay, which count at
// the next login.
func (s *Service) Configure(set Settings) {
	s.maildrops.max.Store(int64(set.MaxListing))
	s.maildrops.times.delay.Store(int64(set.LoginDelay))
	s.set.Store(&set)
}

// Settings returns the settings that Configure has set last.
func (s *Service) Settings() *Settings { return s.set.Load() }

// Refused is how many replies -ERR there were with a code.
func (s *Service) Refused(code pop3.Code) (n int64) {
	i := slices.Index(pop3.Codes[:], code)
	for _, l := range s.loops {
		n += l.refused[i].Load()
	}
	return n
}

// TooMany is the reply to a connection that gets no session.
const TooMany = "-ERR [SYS/TEMP] too many connections, come back later\r\n"

// Listener returns what opens the sessions of an address without TLS. stls is for the
// handshake after STLS; nil: STLS is not offered.
func (s *Service) Listener(stls *tls.Config) conn.Opener {
	p := s.port(conn.POP3, pop3d.Config{OfferTLS: stls != nil})
	p.StartTLS = stls
	return p.open
}

// ListenerTLS returns what opens the sessions of an address where TLS comes first.
func (s *Service) ListenerTLS(within *tls.Config) conn.Opener {
	p := s.port(conn.POP3S, pop3d.Config{})
	p.TLS = within
	return p.open
}

// replyBudget is pop3d.Config.ReplyBudget.
const replyBudget = 64 << 10

// port is what the sessions of one listener share.
type port struct {
	conn.Port
	service *Service
	configs [login.Offers]pop3d.Config // see login.Offer
}

// port completes c and makes a port with a configuration for each login.Offer.
func (s *Service) port(front conn.Front, c pop3d.Config) *port {
	set := s.set.Load()
	c.Hostname, c.Version, c.LoginDelay = set.Hostname, set.Version, int(set.LoginDelay/time.Second)
	c.MaxErrors, c.ReplyBudget = set.MaxErrors, replyBudget
	c.Expire = s.expire
	c.Plaintext, c.TLSFirst, c.Nonce = set.ClearText, set.TLSFirst, rand.Text
	p := &port{service: s, Port: conn.Port{
		Edge: s.edge, Daemon: maillog.POP3D, Service: conn.POP3Service, Front: front,
		Timeout: set.IdleTimeout, TooMany: []byte(TooMany), Scribe: scribe,
	}}
	for o := range p.configs {
		offer := login.Offer(o)
		c.Mechanisms = offer.Of(set.Mechanisms)
		c.APOP = set.APOP && offer&login.OfSecrets != 0
		p.configs[o] = c
	}
	return p
}

// open opens the session of a connection; it is a conn.Opener.
func (p *port) open(c *loop.Conn, from netip.AddrPort) loop.Handler {
	s := &session{service: p.service, state: p.service.loops[c.Loop()]}
	if !s.Session.Open(&p.Port, c, from, s) {
		return conn.Refused{}
	}
	config := &p.configs[p.service.door.Offer()]
	timestamp := ""
	if config.APOP {
		timestamp = p.service.timestamp()
	}
	s.machine.Init(config, timestamp, pop3d.Peer{Loopback: s.IP.IsLoopback()})
	p.service.Stats.Sessions.Add(1)
	return s.Start()
}

// expire is pop3d.Config.Expire.
func (s *Service) expire() (days int, differs bool) {
	least, differs := s.maildrops.store.MailExpiry()
	return inDays(least), differs
}

// inDays is how long mail stays, in whole days; 0: for ever.
func inDays(d time.Duration) int { return int(d / (24 * time.Hour)) }

// timestamp makes the part of a greeting that no other greeting has, for APOP.
func (s *Service) timestamp() string {
	return fmt.Sprintf("<%d.%d.%d@%s>", os.Getpid(), s.greetings.Add(1), time.Now().UnixNano(), s.set.Load().Hostname)
}
