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
	Hostname      string // ours: in EHLO, in notifications and in their Received fields
	DefaultDomain string // of the postmaster who gets notifications that can't be delivered

	Rules     *router.Transports     // where mail for other domains goes
	Policy    queue.Policy           // when an entry is tried, and when it is returned
	Limits    map[string]queue.Limit // by next hop
	Passwords string                 // the file of relay.passwords, or ""
	Security  SecuritySettings

	// AuthWithoutTLS allows logins in clear text at hosts that are not on this machine.
	AuthWithoutTLS bool
	// DropDoubleBounces: a notification that can't be delivered is dropped and counted.
	DropDoubleBounces bool
	OverQuotaFails    bool  // mail for a full mailbox is returned at once
	ReturnSize        int64 // of a failed message that is returned whole, at most

	Source *net.TCPAddr // that connections come from; nil: any
	Sizes
	Times
}

// Sizes bound what is done at once.
type Sizes struct {
	Connections               int
	ConnectionsPerDestination int
	InitialConnections        int // to a destination of which nothing is known yet
	MessagesPerConnection     int
	Rate                      int // messages a second to one destination; 0: no limit
	MaxEntries                int // of the queue that are in memory
}

// Times are how long a host may take.
type Times struct {
	Connect     time.Duration // to accept a connection
	Command     time.Duration // for a whole reply to a command
	Data        time.Duration // to read a piece of a message
	MinDataRate int64         // octets a second of a message, after Data; 0: no minimum
	Reply       time.Duration // for the reply to a message
	Idle        time.Duration // that a connection without mail is kept
}

// SecuritySettings are the operator's settings for TLS with other hosts.
type SecuritySettings struct {
	Rules  *tlspolicy.Rules
	Roots  string // a PEM file with the authorities; "": those of the system
	MTASTS bool   // look for MTA-STS policies
}
