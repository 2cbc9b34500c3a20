package config

import (
	"net"
	"net/netip"
	"runtime"
	"time"

	"postrider/codec/sasl"
	"postrider/engine/admit/password"
	"postrider/engine/mail/router"
	"postrider/engine/relay/tlspolicy"
	"postrider/storage"
)

// Config is the configuration, in the groups of the file. Only Default and Load
// make one. The one that a server goes by does not change: a reload replaces it.
type Config struct {
	Server     Server
	SMTP       SMTP
	POP3       POP3
	Submission Submission
	TLS        TLS
	Relay      Relay
	Policy     Policy
	Auth       Auth
	Limits     Limits
	Storage    Storage
	Web        Web
	Log        Log
	Capture    Capture
	Process    Process

	keys []*Key
	file string // that was read; "": none
}

// File is the file that was read; "" for none.
func (c *Config) File() string { return c.file }

// Process is what the process may use. No file has it: the server finds it out when it
// starts, see cmd/postrider. The zero value is enough of everything.
type Process struct {
	Questions  int // to name servers at once; 0: as many as are of use
	StoreFiles int // files of the store that are kept open; 0: as many as are useful
}

// Server is the group [server].
type Server struct {
	Hostname   string   // folded
	Domains    []string // folded; the first is the default domain
	Data       string   // the data directory
	Loops      int      // event loops; 0: one per core
	MailSocket string   // where every local user may hand in mail; "": see LocalMailSocket
	User       string   // to run as when started as root; "": not set
}

// SMTP is the group [smtp].
type SMTP struct {
	Listen          []SMTPListener
	ListenTLS       []SMTPListener // TLS from the first octet
	MaxSize         int64          // octets of a message
	MaxRecipients   int
	MaxMessages     int // 0: no limit
	MaxErrors       int
	MaxHops         int
	OverQuota       OverQuota
	BareLF          BareLF
	CommandTimeout  time.Duration
	DataTimeout     time.Duration
	MinDataRate     int64 // octets per second; 0: no minimum
	TrustedNetworks []netip.Prefix
}

// SMTPListener is an address to take mail at, with what it does differently.
type SMTPListener struct {
	Addr   string       // host:port
	BareLF BareLF       // "": as smtp.bare_lf
	Auth   ListenerAuth // "": AUTH is offered
}

// ListenerAuth is what an address does about AUTH.
type ListenerAuth string

// The values of auth= after an address.
const (
	AuthRequired ListenerAuth = "required"
	AuthOff      ListenerAuth = "off"
)

// POP3 is the group [pop3].
type POP3 struct {
	Listen      []string // host:port
	ListenTLS   []string // host:port; TLS from the first octet
	IdleTimeout time.Duration
	APOP        bool
	LoginDelay  time.Duration // whole seconds
	Expire      time.Duration // 0: never
	MaxListing  int
	MaxErrors   int
}

// Relay is the group [relay].
type Relay struct {
	Networks         []netip.Prefix // may relay without authentication
	Smarthost        string         // next hop of all mail that no other rule routes; "": by MX
	Transports       []string       // "DOMAIN=NEXTHOP"; see router.Transports
	SenderTransports []string       // "SENDER=NEXTHOP"
	Passwords        string         // path of a file of credentials for next hops; "": none
	Resolvers        []string       // host:port; none: from /etc/resolv.conf
	Port             int            // port of hosts found by MX
	PrivateNetworks  []netip.Prefix // in which hosts found by MX may be
	Source           string         // IP address to connect from; "": the kernel picks
	Families         Families

	TLS            []string // "DESTINATION LEVEL"; see tlspolicy.Rules
	TLSDefault     tlspolicy.Level
	TLSRoots       string // path of a PEM file; "": the authorities of the system
	MTASTS         bool
	CompleteHeader bool // complete mail from Networks that no other server has had
	DNSSEC         DNSSEC
	AuthWithoutTLS bool

	Retry       []time.Duration // waits between attempts; the last one repeats
	Jitter      int             // percent of a wait, up or down
	WarnAfter   time.Duration   // 0: never
	Lifetime    time.Duration
	DoubleError DoubleError
	ReturnSize  int64 // octets of a message that a bounce returns whole

	Connections               int // at once, in all
	ConnectionsPerDestination int
	InitialConnections        int
	MessagesPerConnection     int
	IdleConnection            time.Duration
	Rate                      int      // messages a second to one destination; 0: no limit
	Limits                    []string // "DOMAIN rate=N connections=N"
	MaxEntries                int      // in memory at once

	ConnectTimeout time.Duration
	CommandTimeout time.Duration
	DataTimeout    time.Duration
	ReplyTimeout   time.Duration // for the reply to a message
	MinDataRate    int64         // octets a second; 0: no minimum
}

// Families are the IP versions that mail leaves by.
type Families string

// The values of relay.families.
const (
	FamiliesBoth Families = "both"
	FamiliesIPv4 Families = "ipv4"
	FamiliesIPv6 Families = "ipv6"
)

// DNSSEC selects the name servers whose AD bit is trusted.
type DNSSEC string

// The values of relay.dnssec.
const (
	DNSSECAuto DNSSEC = "auto"
	DNSSECOn   DNSSEC = "on"
	DNSSECOff  DNSSEC = "off"
)

// DoubleError is what is done with a notification that can't be delivered.
type DoubleError string

// The values of relay.double_bounce.
const (
	DoublePostmaster DoubleError = "postmaster"
	DoubleDrop       DoubleError = "drop"
)

// Auth is the group [auth].
type Auth struct {
	Memory  int64 // octets for one argon2 hash
	Time    int   // passes for one argon2 hash
	Threads int   // threads for one argon2 hash
	Workers int   // hashes at once; 0: one per core

	Mechanisms       sasl.Set
	OfferSCRAM       OfferSCRAM
	MinPassword      int           // characters of a new password
	RefusedPasswords string        // file of passwords that are refused; "": none
	ClearText        bool          // passwords without TLS from anywhere
	ScramIterations  int           // for new verifiers
	CacheTTL         time.Duration // how long a verified password is remembered; 0: not at all
	CacheSize        int           // passwords remembered
	FailureDelay     time.Duration // what a wrong password costs its session
	AccountFailures  int           // wrong passwords for one account in FailureWindow without a wait; 0: never a wait
	AccountDelay     time.Duration // the longest wait
	NetworkFailures  int           // wrong passwords of one network in FailureWindow; 0: no limit
	FailureWindow    time.Duration
}

// Limits is the group [limits].
type Limits struct {
	Connections          int
	ConnectionsPerClient int
	Memory               int64 // octets of messages in flight
	DrainTimeout         time.Duration
}

// Storage is the group [storage].
type Storage struct {
	Cache       int64 // octets
	Memtable    int64 // octets
	FreeFloor   int64 // octets; 0: by the size of the disk
	Ballast     int64 // octets; 0: none
	Durability  Durability
	Compression Compression
	KeepDeleted time.Duration
	KeepRemoved time.Duration
}

// Web is the group [web].
type Web struct {
	Listen          []string // host:port; none: no HTTP
	ListenTLS       []string // host:port; HTTPS, the web client alone
	Profiling       bool
	OTLP            string // URL of a collector; "": none
	OTLPInterval    time.Duration
	OTLPHeaders     string         // path of a file of header fields; "": none
	OTLPSample      int            // one message of so many has a trace; 0: none
	Client          bool           // the web client is at Listen too
	Hosts           []string       // names that Host may give besides the host name
	Proxies         []netip.Prefix // whose X-Forwarded-For is believed
	SessionIdle     time.Duration
	SessionLifetime time.Duration
}

// BareLF is what is done with a message with a line end that is not CRLF.
type BareLF string

// The values of smtp.bare_lf.
const (
	BareLFReject    BareLF = "reject"
	BareLFNormalize BareLF = "normalize"
)

// OfferSCRAM is when SCRAM-SHA-256 is offered.
type OfferSCRAM string

// The values of auth.offer_scram.
const (
	OfferToAll  OfferSCRAM = "all"
	OfferToSome OfferSCRAM = "some"
)

// OverQuota is the reply to a message for a maildrop that is full.
type OverQuota string

// The values of smtp.over_quota.
const (
	OverQuotaWait  OverQuota = "452"
	OverQuotaFinal OverQuota = "552"
)

// Durability is what a 250 promises.
type Durability string

// The values of storage.durability.
const (
	DurabilityCommit Durability = "commit"
	DurabilityNone   Durability = "none"
)

// Compression is how bodies are kept.
type Compression string

// The values of storage.compression.
const (
	CompressionAuto Compression = "auto"
	CompressionNone Compression = "none"
)

// DefaultDomain is the domain of an address that names none.
func (c *Config) DefaultDomain() string { return c.Server.Domains[0] }

// HashCost is the cost of one password hash; never below what argon2 can do
// with (RFC 9106 section 3.1).
func (c *Config) HashCost() password.Cost {
	return password.Cost{
		Memory:  uint32(max(c.Auth.Memory>>10, 8*int64(c.Auth.Threads))),
		Time:    uint32(c.Auth.Time),
		Threads: uint8(c.Auth.Threads),
		SCRAM:   c.scramIterations(),
	}
}

// scramIterations is 0 where no mechanism wants a verifier: it would be one more
// thing to guess against.
func (c *Config) scramIterations() int {
	if !c.Auth.Mechanisms.Has(sasl.ScramSHA256) && !c.Auth.Mechanisms.Has(sasl.ScramSHA256Plus) {
		return 0
	}
	return c.Auth.ScramIterations
}

// AuthWorkers is how many passwords are hashed at once.
func (c *Config) AuthWorkers() int {
	if c.Auth.Workers == 0 {
		return runtime.NumCPU()
	}
	return c.Auth.Workers
}

// Retention is how long mail and what was deleted stay.
func (c *Config) Retention() storage.Retention {
	return storage.Retention{DeletedMail: c.Storage.KeepDeleted, RemovedAccounts: c.Storage.KeepRemoved, Mail: c.POP3.Expire}
}

// RouterSettings returns what the router knows besides the directory. Our own address
// literals are the loopback addresses and the IP addresses that SMTP listens on.
func (c *Config) RouterSettings() router.Settings {
	s := router.Settings{
		Hostname: c.Server.Hostname, DefaultDomain: c.DefaultDomain(), Delimiter: '+',
		Literals: []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()},
	}
	for _, listen := range c.SMTP.Listen {
		host, _, err := net.SplitHostPort(listen.Addr)
		if err != nil {
			continue
		}
		if ip, err := netip.ParseAddr(host); err == nil && !ip.IsUnspecified() {
			s.Literals = append(s.Literals, ip.WithZone(""))
		}
	}
	return s
}
