package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"postrider/codec/address"
	"postrider/engine/mail/router"
	"postrider/engine/relay/tlspolicy"
)

// anyString takes every string.
func anyString(s string) (string, error) { return s, nil }

func ipOrEmpty(s string) (string, error) {
	if s == "" {
		return s, nil
	}
	ip, err := netip.ParseAddr(s)
	if err != nil {
		return "", fmt.Errorf("%q is not an IP address", s)
	}
	return ip.String(), nil
}

// wait reads a duration between attempts.
func wait(s string) (time.Duration, error) {
	n, err := readDuration(s)
	if err == nil && time.Duration(n) < time.Second {
		err = fmt.Errorf("%s is less than 1s", s)
	}
	return time.Duration(n), err
}

// nextHop reads HOST, HOST:PORT, [HOST] or [HOST]:PORT; "" is by MX.
func nextHop(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	_, err := router.ParseHop(s)
	return s, err
}

// transport reads PATTERN=NEXTHOP.
func transport(s string) (string, error) {
	pattern, hop, ok := strings.Cut(s, "=")
	if !ok || strings.TrimSpace(pattern) == "" {
		return "", fmt.Errorf("%q: expected PATTERN=NEXTHOP", s)
	}
	_, err := router.ParseHop(strings.TrimSpace(hop))
	return s, err
}

// DestinationLimit is a word of relay.limits, read.
type DestinationLimit struct {
	Destination string // folded
	Rate        int    // messages a second; 0: no limit
	Connections int    // 0: as the general key
}

// ParseLimit reads "DOMAIN rate=N connections=N".
func ParseLimit(s string) (l DestinationLimit, err error) {
	words := strings.Fields(s)
	if len(words) < 2 {
		return l, errors.New("expected a destination followed by rate=N, connections=N or both")
	}
	l.Destination = address.FoldDomain(words[0])
	for _, w := range words[1:] {
		name, digits, _ := strings.Cut(w, "=")
		n, err := strconv.Atoi(digits)
		if err != nil || n < 1 {
			return l, fmt.Errorf("%q: expected a number from 1 on after the =", w)
		}
		switch name {
		case "rate":
			l.Rate = n
		case "connections":
			l.Connections = n
		default:
			return l, fmt.Errorf("%q is neither rate=N nor connections=N", w)
		}
	}
	return l, nil
}

func destinationLimit(s string) (string, error) {
	_, err := ParseLimit(s)
	return s, err
}

func tlsRule(s string) (string, error) {
	_, _, err := tlspolicy.ParseRule(s)
	return s, err
}

// TLSRules are the levels of relay.tls and relay.tls_default.
func (c *Config) TLSRules() (*tlspolicy.Rules, error) {
	r, err := tlspolicy.NewRules(c.Relay.TLSDefault, c.Relay.TLS)
	if err != nil {
		return nil, &Fault{Key: "relay.tls", Text: err.Error()}
	}
	return r, nil
}

// RelayRules returns where mail for other domains goes by the keys; the error names
// the key.
func (c *Config) RelayRules() (*router.Transports, error) {
	t, err := router.NewTransports(c.Relay.Smarthost, c.Relay.Transports, c.Relay.SenderTransports)
	if err != nil {
		return nil, &Fault{Key: "relay.transports", Text: err.Error()}
	}
	return t, nil
}

// MayRelay reports whether mail of this client for other domains is taken.
func (c *Config) MayRelay(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	for _, n := range c.Relay.Networks {
		if n.Contains(ip) {
			return true
		}
	}
	return false
}

// SourceAddr is the local address of connections to other hosts; nil: any.
func (c *Config) SourceAddr() *net.TCPAddr {
	if c.Relay.Source == "" {
		return nil
	}
	ip := netip.MustParseAddr(c.Relay.Source)
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(ip, 0))
}

// keysOfRelay returns the keys of outgoing mail.
func keysOfRelay(c *Config) []*Key {
	return []*Key{
		list("relay.networks", &c.Relay.Networks, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")},
			network, netip.Prefix.String, "networks such as 192.0.2.0/24").
			help("Networks of clients whose mail for other domains is relayed. Other clients get 554 Relay access denied."),
		text("relay.smarthost", &c.Relay.Smarthost, "", nextHop, "HOST, HOST:PORT, or [HOST]:PORT for no MX lookup; empty: by MX of each domain").
			help("Next hop for mail to other domains that has no entry in the transports."),
		list("relay.transports", &c.Relay.Transports, nil, transport, sameString, "DOMAIN=NEXTHOP; .DOMAIN means its subdomains, NEXTHOP is as in relay.smarthost, or mx, or error:TEXT").
			help("Next hops for mail to these domains. The first entry that matches counts."),
		list("relay.sender_transports", &c.Relay.SenderTransports, nil, transport, sameString, "SENDER=NEXTHOP; SENDER is an address, or @DOMAIN").
			help("Next hops for mail of these senders, if no entry of relay.transports matches."),
		text("relay.passwords", &c.Relay.Passwords, "", anyString, "a path").
			help("A file with a line \"NEXTHOP USER:PASSWORD\" for each next hop that requires a login, NEXTHOP as in the keys above. Readable by its owner only."),
		list("relay.resolvers", &c.Relay.Resolvers, nil, hostPort, sameString, "HOST:PORT").
			help("DNS servers, tried in turn. None: the ones in /etc/resolv.conf."),
		count("relay.port", &c.Relay.Port, 25, 1, 65535).
			help("Port of mail hosts that are found by MX."),
		list("relay.private_networks", &c.Relay.PrivateNetworks, nil, network, netip.Prefix.String, "networks such as 10.0.0.0/8").
			help("Networks with private, local or reserved addresses in which mail hosts of other domains may be. If the MX of a domain has any other such address (127.0.0.1, 192.168.1.1, fe80::1 and the like), the host is skipped, and so is a server of MTA-STS policies; without another host the mail is returned. Next hops that the keys above name may have any address."),
		text("relay.source", &c.Relay.Source, "", ipOrEmpty, "an IP address, or empty").
			help("Source address of connections to other hosts."),
		choice("relay.families", &c.Relay.Families, FamiliesBoth, FamiliesIPv4, FamiliesIPv6).
			help("IP versions of connections to other hosts."),
		list("relay.tls", &c.Relay.TLS, nil, tlsRule, sameString, "DESTINATION LEVEL; DESTINATION is a domain, .DOMAIN for its subdomains, or a next hop, LEVEL as in relay.tls_default").
			help("TLS levels for connections to these destinations."),
		word("relay.tls_default", &c.Relay.TLSDefault, tlspolicy.May, tlspolicy.ParseLevel, tlspolicy.Level.String, "\"none\", \"may\", \"encrypt\", \"verify\" or \"dane\"").
			help("Minimum TLS level of connections to other hosts: no TLS; TLS where it is offered; TLS always; TLS with a valid certificate; TLS with a certificate that matches TLSA records. From may on, the policy of the domain itself (DANE, MTA-STS) counts too."),
		text("relay.tls_roots", &c.Relay.TLSRoots, "", anyString, "a path, or empty").
			help("PEM file with the trusted certificate authorities; empty: the system's."),
		boolean("relay.complete_header", &c.Relay.CompleteHeader, true).
			help("Complete the header of mail from relay.networks that goes to other hosts and has no Received field, as after a login: add a missing Date and Message-ID and the domain of addresses without one; Bcc is removed."),
		boolean("relay.mta_sts", &c.Relay.MTASTS, true).
			help("Look up the MTA-STS policies of the domains that mail is sent to (RFC 8461), and enforce them."),
		choice("relay.dnssec", &c.Relay.DNSSEC, DNSSECAuto, DNSSECOn, DNSSECOff).
			help("Name servers that are trusted to validate DNSSEC, which DANE needs (RFC 7672): auto, the ones on this machine; on, all of relay.resolvers, because the network path to them is safe; off, none."),
		boolean("relay.auth_without_tls", &c.Relay.AuthWithoutTLS, false).
			help("Send the passwords of relay.passwords in clear text if a host has no TLS. To hosts on this machine this is always allowed."),
		list("relay.retry", &c.Relay.Retry, []time.Duration{15 * time.Minute}, wait, func(d time.Duration) string { return writeDuration(int64(d)) }, "durations from 1s on").rfc("RFC 5321 section 4.5.4.1: at least 30m in the long run; less is usual").
			help("Waits between the attempts of a message; the last one repeats."),
		count("relay.jitter", &c.Relay.Jitter, 10, 0, 50).
			help("Percentage by which each wait is made longer or shorter at random, so that messages that failed together are not tried together again."),
		duration("relay.warn_after", &c.Relay.WarnAfter, 4*time.Hour, 0, 30*day).
			help("Age of a message at which its sender is notified of the delay; 0: never."),
		duration("relay.lifetime", &c.Relay.Lifetime, 5*day, time.Second, 100*day).rfc("RFC 5321 section 4.5.4.1: at least 4 to 5 days").
			help("Age at which a message that can't be delivered is returned."),
		choice("relay.double_bounce", &c.Relay.DoubleError, DoublePostmaster, DoubleDrop).
			help("What to do with a notification that can't be delivered: send it to the postmaster, once, or drop it and count it."),
		octets("relay.return_size", &c.Relay.ReturnSize, 50*kib, 0, 50*mib).
			help("A failed message up to this size is returned whole, a larger one with its header only (RFC 3461 RET=FULL asks for the whole message, RET=HDRS for the header)."),
		count("relay.connections", &c.Relay.Connections, 500, 1, 100_000).
			help("Maximum number of connections to other hosts."),
		count("relay.connections_per_destination", &c.Relay.ConnectionsPerDestination, 20, 1, 10_000).
			help("Maximum number of connections to one destination."),
		count("relay.initial_connections", &c.Relay.InitialConnections, 5, 1, 10_000).
			help("Initial number of connections to a destination; more after successes, fewer after failures."),
		count("relay.messages_per_connection", &c.Relay.MessagesPerConnection, 100, 1, 1<<30).
			help("Maximum number of messages sent over one connection before it is closed."),
		duration("relay.idle_connection", &c.Relay.IdleConnection, 2*time.Second, 0, 5*time.Minute).
			help("How long an idle connection is kept for the next message."),
		count("relay.rate", &c.Relay.Rate, 0, 0, 1<<30).
			help("Maximum number of messages per second to one destination; 0: no limit."),
		list("relay.limits", &c.Relay.Limits, nil, destinationLimit, sameString, "DOMAIN rate=N connections=N").
			help("Limits for single destinations (the domain, or the next hop as in relay.transports), instead of relay.rate and relay.connections_per_destination."),
		count("relay.max_entries", &c.Relay.MaxEntries, 20000, 100, 10_000_000).
			help("Maximum number of queue entries in memory: the ones that are being delivered or are next. The others are on disk only."),
		duration("relay.connect_timeout", &c.Relay.ConnectTimeout, 30*time.Second, 100*time.Millisecond, time.Hour).
			help("How long a host may take to accept a connection."),
		duration("relay.command_timeout", &c.Relay.CommandTimeout, 5*time.Minute, 100*time.Millisecond, time.Hour).rfc("RFC 5321 section 4.5.3.2: 5m").
			help("How long a host may take for its whole greeting and for each whole reply to a command. From the greeting to the message it has three times as long in total."),
		duration("relay.data_timeout", &c.Relay.DataTimeout, 3*time.Minute, 100*time.Millisecond, time.Hour).rfc("RFC 5321 section 4.5.3.2.5: 3m").
			help("How long a host may take to read a piece of a message; see relay.min_data_rate."),
		duration("relay.reply_timeout", &c.Relay.ReplyTimeout, 10*time.Minute, 100*time.Millisecond, time.Hour).rfc("RFC 5321 section 4.5.3.2.6: 10m").
			help("How long a host may take for the reply to a message."),
		octets("relay.min_data_rate", &c.Relay.MinDataRate, 500, 0, gib).
			help("Minimum rate at which a host has to read a message, in octets per second, on average, after relay.data_timeout; 0: no minimum."),
	}
}
