// Package mx finds which hosts take the mail of a next hop, and in which order they are
// tried (RFC 5321 section 5.1). It asks package dns.
//
//	own := mx.Listeners(addrs, net.InterfaceAddrs, time.Now)
//	finder := mx.New(dns.New(dns.Options{}), mx.Options{Own: own, OwnNames: []string{"mail.example"}})
//	answer, err := finder.Hosts(ctx, hop) // err is a *mx.Error
//
// # Which hosts, in which order
//
// For a hop by MX these are the hosts of the MX records, best preference first, in
// random order where preferences are equal, and of each host all addresses, IPv6
// and IPv4 by turns. A domain without MX records is its own mail host. How many
// hosts to try is the caller's decision. Addresses are asked for of 20 hosts at a time,
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
//     The web servers of MTA-STS policies are found in the same way ([Finder.Addrs]).
//   - Names with U-labels are asked for by their A-labels (RFC 5890).
//
// For a hop by host no MX record is asked for. An address is itself, whatever
// Options.Families says, and needs no DNS; a name is looked for in /etc/hosts
// first. /etc/hosts also comes first for a domain without a dot in it. It is
// never asked about hosts that an MX record names: those are public, and Debian
// writes a machine's own name into that file with the address 127.0.1.1.
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
package mx
