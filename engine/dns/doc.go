// Package dns finds the hosts to try for a next hop: by DNS as RFC 5321
// section 5.1 has it, through name servers that do recursion, with a cache of its
// own.
//
//	own := resolver.Listeners(addrs, net.InterfaceAddrs, time.Now)
//	r := resolver.New(resolver.Options{Own: own, OwnNames: []string{"mail.example"}})
//	answer, err := r.Hosts(ctx, hop) // err is a *resolver.Error
//
// # Which hosts, in which order
//
// For a hop by MX these are the hosts of the MX records, best preference first, in
// random order where preferences are equal, and of each host all addresses, IPv6
// and IPv4 by turns. A domain without MX records is its own mail host. How many
// hosts to try is the caller's affair. Addresses are asked for of 20 hosts at a time,
// until one has an address, and of 100 at most: the best ones.
//
//   - A null MX (RFC 7505) means that the domain takes no mail.
//   - Where we are among the MX hosts, by name or by address, they and all that are
//     not better are left out; if nothing is left the mail loops.
//   - CNAMEs are followed, of the domain and, though RFC 5321 forbids them, of MX
//     hosts.
//   - An MX record that names an IP address or something else that is no host name
//     is passed over; so is an address that no host can have, such as 0.0.0.0.
//   - An address that is private or local is passed over, unless the operator named the
//     next hop or permits the network (relay.private_networks): loopback, link-local,
//     private, shared and reserved ones, those of IPv6 that have such a one of IPv4 in
//     them (mapped, compatible, NAT64, 6to4, Teredo), whether MX, an address literal or
//     /etc/hosts leads there. Addresses at which this server takes mail are ourselves.
//     The servers of MTA-STS policies are found in the same way.
//   - Names with U-labels are asked for by their A-labels (RFC 5890).
//
// For a hop by host no MX record is asked for. An address is itself, whatever
// Options.Families says, and needs no DNS; a name is looked for in /etc/hosts
// first. /etc/hosts also comes first for a domain without a dot in it. It is
// never asked about hosts that an MX record names: those are public, and Debian
// writes a machine's own name into that file with the address 127.0.1.1.
//
// # Name servers
//
// The servers are asked in turn: the one that answered last, then the others, and
// the silent ones once more. A server that says SERVFAIL or REFUSED, that does no
// recursion, or that answers what can't be read is not asked again for this
// question. Each question goes out from a new socket, so port and id are random;
// only an answer with this id, to this question, from this server counts. Answers
// longer than 1232 octets come by TCP.
//
// # Strangers
//
// The questions that a stranger makes us ask ([ForStranger]) have 64 slots, at most 8 of
// them about one registered domain; our own have 192, at most 48 about one. So whoever
// sends mail that names silent name servers holds up himself, then other strangers, and
// not the relay. Waiting for a slot ends with the context. A [Budget] bounds the questions
// of one message; what is in the cache is free.
//
// # DNSSEC
//
// It is left to the name servers: one that validates says SERVFAIL of what is
// forged, and sets the AD bit where signatures vouch for the answer. That bit is
// worth what the way to the server is: it is believed of servers on this machine
// (loopback addresses, without two that are known to pass on the bit of others), of
// all with relay.dnssec = "on", of none with "off": say that where the server on
// this machine is a forwarder of such a kind. A server that does not validate never
// sets it, so nothing has to be told: without such a server no answer is Secure, and
// nobody's TLSA records count. [Resolver.Vouches] says which it is, by a question
// about the root, which is signed.
//
// # Cache
//
// Answers are kept for their TTL, from 1 second to 1 hour; answers that say no for
// the time that the SOA record says, from 5 seconds to 15 minutes (RFC 2308); a
// failure 10 seconds, so that a thousand messages for one domain do not each wait
// for the same silent servers. What is asked by several at once is asked once. The cache
// has 20,000 answers and 16 MiB at most, with the octets of all texts counted.
//
// # Diagnostics
//
// The texts are those of Postfix, with RFC 3463 status codes. All temporary ones
// go away by themselves, or with the network's cure.
//
//	4.4.3  Host or domain name not found. Name service error for name=X type=T:
//	       Host not found, try again
//	       No name server gave an answer: the log and the notes have what each said.
//	       Look at relay.resolvers, or at the name servers of the domain.
//	4.4.3  ...: there are more records than are read, and none of those that are leads
//	       to a host
//	       Of more than 100 MX records the best 100 don't help. Ask the domain's owner.
//	5.1.2  ...: Host not found            The domain does not exist (NXDOMAIN).
//	5.1.2  ...: Malformed domain name     It can't exist; nothing was asked.
//	5.4.4  ...: Host not found            The mail host X does not exist.
//	5.4.4  ...: Host found but no data record of requested type
//	       X exists and has no address; type=AAAA where IPv4 is turned off.
//	5.4.4  ...: Malformed or unexpected name server reply
//	       None of the MX records names a host.
//	5.4.4  mail for X is not sent to HOST[ADDRESS]: this address is private or local,
//	       and not in relay.private_networks
//	       No mail host of X has another address. If mail is to go there, put the
//	       network into relay.private_networks, or make a transport for X.
//	5.1.10 Domain X does not accept mail (nullMX)
//	5.4.6  mail for X loops back to myself
//	       By DNS this server is the best host for X, but X is not among its domains:
//	       add it, or a transport for it.
//	4.3.5  One of the above, of a next hop that the configuration names. The mail
//	       waits for the operator.
//	5.x.x  The text of a transport error:TEXT.
//
// # Dropped
//
// Additional records, the addresses that some servers send along with MX records,
// are not used: they save a question when nothing is in the cache, and are what
// an attacker would like to have us believe.
package dns
