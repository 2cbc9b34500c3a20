package smtpsrv

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"postrider/codec/smtp"
	"postrider/engine/admit/login"
	"postrider/engine/admit/screen"
	"postrider/engine/edge/budget"
	"postrider/engine/edge/conn"
	"postrider/engine/edge/loop"
	"postrider/engine/host/latency"
	"postrider/engine/host/maillog"
	"postrider/engine/mail/allowance"
	"postrider/engine/mail/incoming"
	"postrider/engine/mail/router"
	"postrider/engine/protocol/smtpd"
	"postrider/storage"
)

// Settings are the rules for sessions. A session has the Settings that counted when
// its listener was made.
type Settings struct {
	// Machine has the limits of a dialogue, and the mechanisms of AUTH. Listener sets the
	// fields that are different at each address: BareLF, OfferTLS, Auth.Required, Auth.Nonce.
	Machine smtpd.Config

	CommandTimeout time.Duration // for a command, and for the replies to be taken
	DataTimeout    time.Duration // for a message, with MinDataRate: see conn.Progress
	MinDataRate    int64         // octets a second

	MayRelay   func(netip.Addr) bool // mail for other domains is taken from this client
	MayXclient func(netip.Addr) bool // this client may speak for others

	AnySender  bool   // an account may have any reverse-path
	HideClient bool   // Received does not name the client of an account
	Handshakes string // tls.client_handshakes, for the reply to a client that has begun too many

	// OverQuotaFails: a message for a full maildrop gets 552, which is final, not 452.
	OverQuotaFails bool

	Capture bool // all mail goes to one maildrop, and each name and password may log in

	Entrance *incoming.Entrance // takes the messages, with the same limits
}

// Rooms are the parts of the server that sessions work with.
type Rooms struct {
	Loops  []*loop.Loop
	Edge   *conn.Edge
	Store  Store
	Router *router.Router
	Door   *login.Door
	Memory budget.Memory
	Guard  *screen.Guard
	Sent   *allowance.Book // what accounts send
	Log    maillog.Log
	Took   *latency.Histogram // gets the time from the end of each message to its 250; nil: none is kept

	Draining func() bool // the server ends: nothing new begins
}

// Store is what sessions ask of the store themselves; messages go to it by the Entrance.
type Store interface {
	Admit(size int64) error
	Account(id storage.AccountID) (storage.Account, error)
}

// Stats are the counters of all sessions. The loops write them without a lock.
type Stats struct {
	Sessions     atomic.Int64 // open now
	CommitsOpen  atomic.Int64 // messages that wait for the store now
	Messages     atomic.Int64 // taken, each with a 250
	Deliveries   atomic.Int64 // maildrop entries made for them
	OctetsIn     atomic.Int64 // octets of them
	Refused      atomic.Int64 // commands and messages
	ForNow       atomic.Int64 // refusals with a 4yz reply
	DataTimeouts atomic.Int64 // clients that were too slow inside a message
	OverBudget   atomic.Int64 // times that limits.memory made a client wait or come back
}

// Service is what the sessions of all listeners share.
type Service struct {
	// Stats are the counters of all sessions.
	Stats Stats

	set      atomic.Pointer[Settings]
	edge     *conn.Edge
	store    Store
	router   *router.Router
	door     *login.Door
	memory   budget.Memory
	guard    *screen.Guard
	sent     *allowance.Book
	log      maillog.Log
	took     *latency.Histogram
	draining func() bool

	finishing sync.WaitGroup // messages in the steps that follow their end

	loops map[*loop.Loop]*loopState // read-only after New
}

// loopState is what the sessions of one event loop share. It belongs to the loop's
// goroutine.
type loopState struct {
	*loop.Loop
	effects smtpd.Effects // what the machine that is called now wants
	records []slog.Record // the log lines of one message

	refused [smtp.Reasons]atomic.Int64 // commands, messages and clients; others read it
}

// New makes a Service. Its sessions are opened by what Listener returns.
func New(set Settings, rooms Rooms) *Service {
	s := &Service{
		edge: rooms.Edge, store: rooms.Store, router: rooms.Router, door: rooms.Door,
		memory: rooms.Memory, guard: rooms.Guard, sent: rooms.Sent, log: rooms.Log, took: rooms.Took, draining: rooms.Draining,
		loops: make(map[*loop.Loop]*loopState, len(rooms.Loops)),
	}
	for _, l := range rooms.Loops {
		s.loops[l] = &loopState{Loop: l}
	}
	s.Configure(set)
	return s
}

// Wait returns when each message that has come as a whole is stored or dropped, or ctx is
// done. The loops have to be stopped: they drop what is not on its way into the store.
func (s *Service) Wait(ctx context.Context) {
	over := make(chan struct{})
	go func() {
		s.finishing.Wait()
		close(over)
	}()
	select {
	case <-over:
	case <-ctx.Done():
	}
}

// Configure replaces the settings, for what Listener returns from now on. Sessions that are
// open keep theirs.
func (s *Service) Configure(set Settings) { s.set.Store(&set) }

// Refused is how many commands, messages and clients were refused for a reason.
func (s *Service) Refused(why smtp.Reason) (n int64) {
	for _, l := range s.loops {
		n += l.refused[why].Load()
	}
	return n
}

// Settings returns the settings that Configure has set last.
func (s *Service) Settings() *Settings { return s.set.Load() }

// TooMany is the reply to a connection that gets no session.
func (s *Service) TooMany() []byte {
	return []byte("421 4.7.0 " + s.set.Load().tooMany() + "\r\n")
}

func (set *Settings) tooMany() string {
	return set.Machine.Hostname + " Too many connections, come back later"
}
