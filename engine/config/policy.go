package config

import (
	"net/netip"
	"time"

	"postrider/engine/limit"
	"postrider/engine/policy"
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
	XclientNetworks []netip.Prefix // clients that may say XCLIENT

	ReverseDNS     bool
	Blocklists     []string // policy.ParseBlocklist reads them
	BlockThreshold int
	LookupTimeout  time.Duration // of what is looked up before the greeting

	Verify        bool // SPF, DKIM and DMARC
	DMARC         DMARCAction
	VerifyTimeout time.Duration // of what is not known when the message has ended
	Verifications int           // at once
	Questions     string        // to name servers, for the mail of one client
	Notifications string        // of success, because of the mail of one client

	Greylist        bool
	GreylistDelay   time.Duration
	GreylistWindow  time.Duration
	GreylistKeep    time.Duration
	GreylistEntries int
}

// Manners is what becomes of a client that speaks out of turn.
type Manners string

// The values of policy.early_talkers and policy.pipelining.
const (
	MannersLog    Manners = "log"
	MannersRefuse Manners = "refuse"
)

// DMARCAction is what becomes of mail that its domain says is to be rejected.
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

// contains says whether an address is in one of the networks.
func contains(networks []netip.Prefix, ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	for _, n := range networks {
		if n.Contains(ip) {
			return true
		}
	}
	return false
}

// IsBalancer says whether connections from this address begin with a PROXY header.
func (c *Config) IsBalancer(ip netip.Addr) bool { return contains(c.Policy.ProxyNetworks, ip) }

// MayXclient says whether this client may speak for others.
func (c *Config) MayXclient(ip netip.Addr) bool { return contains(c.Policy.XclientNetworks, ip) }

// keysOfPolicy are those of standing up to abuse. None of them concerns clients on
// smtp.trusted_networks and relay.networks, but the networks named here.
func keysOfPolicy(c *Config) []*Key {
	const aRate = "COUNT/TIME, such as 30/1m, or empty for no limit"
	networks := "networks such as 192.0.2.0/24"
	p := &c.Policy
	return []*Key{
		text("policy.client_connections", &p.ClientConnections, "", rate, aRate).
			help("Connections that a client (an IPv4 address, an IPv6 /64) may open in a time; the next one hears 421. Like all of [policy], not for clients on smtp.trusted_networks and relay.networks."),
		text("policy.network_connections", &p.NetworkConnections, "", rate, aRate).
			help("The same for a network: an IPv4 /24, an IPv6 /48."),
		text("policy.client_messages", &p.ClientMessages, "", rate, aRate).
			help("Messages that a client may begin in a time; the next one hears 450."),
		text("policy.network_messages", &p.NetworkMessages, "", rate, aRate).
			help("The same for a network."),
		count("policy.rate_entries", &p.RateEntries, 100_000, 100, 100_000_000).
			help("Clients that each of these limits remembers, about 100 octets of memory each. Beyond it those are forgotten who matter least."),
		duration("policy.greet_delay", &p.GreetDelay, 0, 0, time.Minute).
			help("How long the greeting waits for a client to speak before its turn, as much bad software does."),
		choice("policy.early_talkers", &p.EarlyTalkers, MannersLog, MannersRefuse).
			help("What becomes of clients that speak before the greeting: log them, or refuse them with 554. They show themselves while the greeting waits, for policy.greet_delay or for DNS."),
		choice("policy.pipelining", &p.Pipelining, MannersLog, MannersRefuse).
			help("What becomes of clients that send more behind EHLO, HELO or DATA before they have the reply: log them, or refuse their mail with 503."),
		list("policy.proxy_networks", &p.ProxyNetworks, nil, network, netip.Prefix.String, networks).
			help("Balancers. Connections from there begin with a PROXY header, version 1 or 2, in front of TLS and of all else; the client that it names is the client."),
		list("policy.xclient_networks", &p.XclientNetworks, nil, network, netip.Prefix.String, networks).
			help("Who may speak for other clients by XCLIENT. For tests."),
		boolean("policy.reverse_dns", &p.ReverseDNS, true).
			help("Look for the name of a client, for the log and for Received. It counts when it leads back to the address."),
		list("policy.dnsbl", &p.Blocklists, nil, blocklist, sameString, "ZONE, or ZONE score=N codes=127.0.0.2,127.0.0.3; a negative score is for lists of the good").
			help("DNS lists that are asked about a client. Without codes, every answer in 127.0.0.0/8 counts, but for 127.255.255.0/24, by which lists say that they don't answer."),
		count("policy.dnsbl_threshold", &p.BlockThreshold, 1, 1, 1000).
			help("The sum of the scores from which on a client is refused with 554."),
		duration("policy.lookup_timeout", &p.LookupTimeout, 5*time.Second, 100*time.Millisecond, time.Minute).
			help("How long a greeting waits for DNS. What is not known by then does not count."),
		boolean("policy.verify", &p.Verify, true).
			help("Check SPF, DKIM and DMARC and say in an Authentication-Results field what came of it. Fields of that kind which claim to be ours are taken out."),
		choice("policy.dmarc", &p.DMARC, DMARCMark, DMARCReject).
			help("What becomes of a message that fails DMARC and whose domain says p=reject: mark it only, or refuse it with 550."),
		duration("policy.verify_timeout", &p.VerifyTimeout, 20*time.Second, 100*time.Millisecond, 5*time.Minute).
			help("How long a check may take once the message is there. What is not known by then is a temperror in the field; mail is never refused for it."),
		count("policy.verifications", &p.Verifications, 2000, 1, 1_000_000).
			help("Messages being checked at once, 32 of one client. A check takes 80 KiB, or 256 KiB with a large header or many signatures, from the eighth of limits.memory that is for checks and recipients. A client that would begin one more hears 452."),
		text("policy.client_questions", &p.Questions, "1000/1m0s", rate, aRate).
			help("Questions to name servers that the mail of one client may cost, when the answers are not known yet. Over it the client hears 450; \"\" is no limit."),
		text("policy.client_notifications", &p.Notifications, "60/1h0m0s", rate, aRate).
			help("Notifications of success (NOTIFY=SUCCESS) that the mail of one client may bring, if it passes SPF; \"\" is no limit. Over it, without SPF and without policy.verify its mail is taken and the wish passed over; failures are told of. Logins and relay.networks have no such limit."),
		boolean("policy.greylist", &p.Greylist, false).
			help("Let a sender that was never seen before come back later (RFC 6647). What was seen is in memory only, a restart forgets it."),
		duration("policy.greylist_delay", &p.GreylistDelay, 5*time.Minute, time.Second, day).
			help("How much later."),
		duration("policy.greylist_window", &p.GreylistWindow, 2*day, time.Minute, 30*day).
			help("By when it has to be back."),
		duration("policy.greylist_keep", &p.GreylistKeep, 35*day, time.Hour, 365*day).
			help("How long it is known from then on."),
		count("policy.greylist_entries", &p.GreylistEntries, 200_000, 100, 100_000_000).
			help("Senders remembered, about 150 octets of memory each."),
	}
}
