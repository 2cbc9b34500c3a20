package agent

import (
	"net"
	"time"

	"postrider/engine/mail/router"
	"postrider/engine/relay/queue"
	"postrider/engine/relay/tlspolicy"
)

// Settings are the operator's settings for mail to other hosts.
type Settings struct {
	Hostname      string // this host's name: in EHLO, notifications, Received fields
	DefaultDomain string // the postmaster's domain, for notifications that bounce

	Rules     *router.Transports     // where mail for other domains goes
	Policy    queue.Policy           // when an entry is tried, and when it is returned
	Limits    map[string]queue.Limit // limits by next hop
	Passwords string                 // the file of relay.passwords, or ""
	Security  SecuritySettings

	// AuthWithoutTLS allows logins in clear text at hosts that are not on this machine.
	AuthWithoutTLS bool
	// DropDoubleBounces drops and counts notifications that can't be delivered.
	DropDoubleBounces bool
	OverQuotaFails    bool  // mail for a full mailbox is returned at once
	ReturnSize        int64 // the largest message that a bounce returns whole

	Source *net.TCPAddr // the local address of connections; nil: any
	Sizes
	Times
}

// Sizes bound connections, messages and memory.
type Sizes struct {
	Connections               int
	ConnectionsPerDestination int
	InitialConnections        int // connections to a destination that is not known yet
	MessagesPerConnection     int
	Rate                      int // messages a second to one destination; 0: no limit
	MaxEntries                int // queue entries in memory
}

// Times are how long a host may take.
type Times struct {
	Connect     time.Duration // to accept a connection
	Command     time.Duration // for a whole reply to a command
	Data        time.Duration // to read a piece of a message
	MinDataRate int64         // octets a second of a message, after Data; 0: no minimum
	Reply       time.Duration // for the reply to a message
	Idle        time.Duration // how long a connection without mail is kept
}

// SecuritySettings are the operator's settings for TLS with other hosts.
type SecuritySettings struct {
	Rules  *tlspolicy.Rules
	Roots  string // a PEM file with the authorities; "": the authorities of the system
	MTASTS bool   // whether to look for MTA-STS policies
}
