package config

import (
	"net/netip"
	"time"

	"postrider/engine/admit/policy"
	"postrider/engine/edge/limit"
)

// Policy is the group [policy].
type Policy struct {
	ClientConnections  string // limit.ParseRate reads it; "": no limit
	NetworkConnections string
	ClientMessages     string
	NetworkMessages    string
	RateEntries        int // clients remembered, for each limit

	GreetDelay   time.Duration
	EarlyTalkers Manners
	Pipelining   Manners

	ProxyNetworks   []netip.Prefix // balancers that speak the PROXY protocol
	XclientNetworks []netip.Prefix // clients that may use XCLIENT

	ReverseDNS     bool
	Blocklists     []string // policy.ParseBlocklist reads them
	BlockThreshold int
	LookupTimeout  time.Duration // for lookups before the greeting

	Verify        bool // SPF, DKIM and DMARC
	DMARC         DMARCAction
	VerifyTimeout time.Duration // for results that are missing when the message has ended
	Verifications int           // at once
	Questions     string        // to name servers, for the mail of one client
	Notifications string        // notifications of success, caused by the mail of one client

	Greylist        bool
	GreylistDelay   time.Duration
	GreylistWindow  time.Duration
	GreylistKeep    time.Duration
	GreylistEntries int
}

// Manners is what is done with a client that speaks out of turn.
type Manners string

// The values of policy.early_talkers and policy.pipelining.
const (
	MannersLog    Manners = "log"
	MannersRefuse Manners = "refuse"
)

// DMARCAction is what is done with mail that its domain's policy has rejected.
type DMARCAction string

// The values of policy.dmarc.
const (
	DMARCMark   DMARCAction = "mark"
	DMARCReject DMARCAction = "reject"
)

func rate(s string) (string, error) {
	r, err := limit.ParseRate(s)
	return r.String(), err
}

func blocklist(s string) (string, error) {
	_, err := policy.ParseBlocklist(s)
	return s, err
}

// contains reports whether an address is in one of the networks.
func contains(networks []netip.Prefix, ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	for _, n := range networks {
		if n.Contains(ip) {
			return true
		}
	}
	return false
}

// IsBalancer reports whether connections from this address begin with a PROXY header.
func (c *Config) IsBalancer(ip netip.Addr) bool { return contains(c.Policy.ProxyNetworks, ip) }

// MayXclient reports whether this client may speak for others.
func (c *Config) MayXclient(ip netip.Addr) bool { return contains(c.Policy.XclientNetworks, ip) }

// keysOfPolicy returns the keys of protection against abuse. None of them concerns clients on
// smtp.trusted_networks and relay.networks, but the networks named here.
func keysOfPolicy(c *Config) []*Key {
	const aRate = "COUNT/TIME, such as 30/1m, or empty for no limit"
	networks := "networks such as 192.0.2.0/24"
	p := &c.Policy
	return []*Key{
		text("policy.client_connections", &p.ClientConnections, "", rate, aRate).
			help("Connections that a client (an IPv4 address, an IPv6 /64) may open in a time; over it, it gets 421. Like all of [policy], not for clients on smtp.trusted_networks and relay.networks."),
		text("policy.network_connections", &p.NetworkConnections, "", rate, aRate).
			help("The same for a network: an IPv4 /24, an IPv6 /48."),
		text("policy.client_messages", &p.ClientMessages, "", rate, aRate).
			help("Messages that a client may begin in a time; over it, it gets 450."),
		text("policy.network_messages", &p.NetworkMessages, "", rate, aRate).
			help("The same for a network."),
		count("policy.rate_entries", &p.RateEntries, 100_000, 100, 100_000_000).
			help("Clients that each of these limits remembers, about 100 octets of memory each. Over it, the least important ones are forgotten."),
		duration("policy.greet_delay", &p.GreetDelay, 0, 0, time.Minute).
			help("How long the greeting is delayed, to see whether the client speaks before it, as much spam software does."),
		choice("policy.early_talkers", &p.EarlyTalkers, MannersLog, MannersRefuse).
			help("What to do with clients that speak before the greeting: log them, or refuse them with 554. They are noticed while the greeting waits, for policy.greet_delay or for DNS."),
		choice("policy.pipelining", &p.Pipelining, MannersLog, MannersRefuse).
			help("What to do with clients that send more after EHLO, HELO or DATA before they have the reply: log them, or refuse their mail with 503."),
		list("policy.proxy_networks", &p.ProxyNetworks, nil, network, netip.Prefix.String, networks).
			help("Networks of load balancers. Connections from there begin with a PROXY header, version 1 or 2, before TLS and everything else; it names the client. A header that names none (PROXY UNKNOWN, LOCAL) leaves the balancer as the client, with the rights of its address."),
		list("policy.xclient_networks", &p.XclientNetworks, nil, network, netip.Prefix.String, networks).
			help("Networks of clients that may use XCLIENT. For tests."),
		boolean("policy.reverse_dns", &p.ReverseDNS, true).
			help("Look up the name of a client, for the log and for Received. The name counts when it resolves to the address."),
		list("policy.dnsbl", &p.Blocklists, nil, blocklist, sameString, "ZONE, or ZONE score=N codes=127.0.0.2,127.0.0.3; a negative score is for lists of good clients").
			help("DNS lists (DNSBL) to look up clients in. Without codes, every answer in 127.0.0.0/8 counts, except 127.255.255.0/24, by which lists refuse to answer."),
		count("policy.dnsbl_threshold", &p.BlockThreshold, 1, 1, 1000).
			help("Sum of scores from which on a client is refused with 554."),
		duration("policy.lookup_timeout", &p.LookupTimeout, 5*time.Second, 100*time.Millisecond, time.Minute).
			help("How long a greeting waits for DNS. Answers that come later do not count."),
		boolean("policy.verify", &p.Verify, true).
			help("Check SPF, DKIM and DMARC and add the results in an Authentication-Results field. Fields of that kind that claim to be ours are removed."),
		choice("policy.dmarc", &p.DMARC, DMARCMark, DMARCReject).
			help("What to do with a message that fails DMARC and whose domain has the policy p=reject: only mark it, or refuse it with 550."),
		duration("policy.verify_timeout", &p.VerifyTimeout, 20*time.Second, 100*time.Millisecond, 5*time.Minute).
			help("How long a check may take once the message has arrived. Results that are missing by then are a temperror in the field; mail is never refused for it."),
		count("policy.verifications", &p.Verifications, 2000, 1, 1_000_000).
			help("Maximum number of messages that are checked at once, 32 of one client. A check takes 80 KiB, or 256 KiB with a large header or many signatures, from the eighth of limits.memory that is for checks and recipients. A client that would begin one more gets 452."),
		text("policy.client_questions", &p.Questions, "1000/1m0s", rate, aRate).
			help("DNS questions that the mail of one client may cause, when the answers are not cached yet. Over it the client gets 450; \"\" is no limit."),
		text("policy.client_notifications", &p.Notifications, "60/1h0m0s", rate, aRate).
			help("Notifications of success (NOTIFY=SUCCESS) that the mail of one client may cause, if it passes SPF; \"\" is no limit. Over it, without SPF and without policy.verify its mail is accepted and the request ignored; failures are still reported. Logins and relay.networks have no such limit."),
		boolean("policy.greylist", &p.Greylist, false).
			help("Greylist: have an unknown sender try again later (RFC 6647). Known senders are in memory only; a restart forgets them."),
		duration("policy.greylist_delay", &p.GreylistDelay, 5*time.Minute, time.Second, day).
			help("How long an unknown sender has to wait."),
		duration("policy.greylist_window", &p.GreylistWindow, 2*day, time.Minute, 30*day).
			help("How long after its first try an unknown sender has to try again."),
		duration("policy.greylist_keep", &p.GreylistKeep, 35*day, time.Hour, 365*day).
			help("How long a known sender is remembered after its last message."),
		count("policy.greylist_entries", &p.GreylistEntries, 200_000, 100, 100_000_000).
			help("Maximum number of remembered senders, about 150 octets of memory each."),
	}
}
