// Package mx finds the hosts that take the mail for a next hop, and the order in which they
// are tried (RFC 5321 section 5.1). It asks package dns.
//
//	own := mx.Listeners(addrs, net.InterfaceAddrs, time.Now)
//	finder := mx.New(dns.New(dns.Options{}), mx.Options{Own: own, OwnNames: []string{"mail.example"}})
//	answer, err := finder.Hosts(ctx, hop) // err is a *mx.Error
//
// # Which hosts, in which order
//
// A next hop by MX has the hosts in the domain's MX records, best preference first, in
// random order where preferences are equal. Each host has all its addresses, IPv6 and IPv4
// in turn. A domain without MX records is its own mail host. The caller decides how many
// hosts it tries. Addresses are looked up for 20 hosts at a time, until one host has an
// address, and for the 100 best hosts at most.
//
//   - A null MX (RFC 7505) means that the domain accepts no mail.
//   - If this host is among the MX hosts, by name or by address, it and all hosts that are
//     not better are left out. If no host is left, the mail loops.
//   - CNAMEs are followed: for the domain and, though RFC 5321 forbids them, for MX hosts.
//   - An MX record is skipped if it names an IP address or another text that is not a host
//     name. An address that no host can have, such as 0.0.0.0, is skipped too.
//   - A private or local address is skipped, unless the operator named the next hop or
//     permits the network (relay.private_networks). Such addresses are loopback, link-local,
//     private, shared and reserved ones, and IPv6 addresses with such an IPv4 address in them
//     (mapped, compatible, NAT64, 6to4, Teredo). It does not matter whether an MX record, an
//     address literal or /etc/hosts has the address. An address at which this server accepts
//     mail counts as this host. [Finder.Addrs] finds the web servers for MTA-STS policies by
//     the same rules.
//   - Names with U-labels are looked up by their A-labels (RFC 5890).
//
// A next hop by host needs no MX record. If it is an address, it needs no DNS, and
// Options.Families does not apply. A name is looked up in /etc/hosts first. /etc/hosts also
// comes first for a domain without a dot. It does not count for hosts in MX records: their
// names are public, and Debian writes a machine's own name into /etc/hosts with the address
// 127.0.1.1.
//
// # Diagnostics
//
// The texts are Postfix's, with RFC 3463 status codes. Temporary errors go away once the
// network or the name servers work again.
//
//	4.4.3  Host or domain name not found. Name service error for name=X type=T:
//	       Host not found, try again
//	       No name server answered: the log and the notes have each server's fault.
//	       Check relay.resolvers, or the domain's name servers.
//	4.4.3  ...: too many records, and none of the best ones leads to a host
//	       There are more than 100 MX records. The domain's owner has to mend that.
//	5.1.2  ...: Host not found            The domain does not exist (NXDOMAIN).
//	5.1.2  ...: Malformed domain name     It can't exist; nothing was looked up.
//	5.4.4  ...: Host not found            The mail host X does not exist.
//	5.4.4  ...: Host found but no data record of requested type
//	       X exists and has no address; type=AAAA where IPv4 is turned off.
//	5.4.4  ...: Malformed or unexpected name server reply
//	       No MX record names a host.
//	5.4.4  mail for X is not sent to HOST[ADDRESS]: this address is private or local,
//	       and not in relay.private_networks
//	       No mail host for X has another address. To send mail there, add the
//	       network to relay.private_networks, or make a transport for X.
//	5.1.10 Domain X does not accept mail (nullMX)
//	5.4.6  mail for X loops back to myself
//	       By DNS this server is the best host for X, but X is not among its domains:
//	       add it, or a transport for it.
//	4.3.5  One of the above, about a next hop that the configuration names. The mail
//	       waits until the configuration is corrected.
//	5.x.x  The text of a transport error:TEXT.
package mx
