// Package dns is the stub resolver: it asks name servers that do recursion, and keeps
// their answers. All parts of the server that need DNS share one Resolver: the relay
// (package mx, which finds the hosts of next hops), SPF, DKIM, DMARC, MTA-STS, DANE and
// block lists.
//
//	r := dns.New(dns.Options{})
//	texts, err := r.LookupTXT(ctx, "example.org")         // as net.Resolver; err is a *net.DNSError
//	records := r.Ask(ctx, "example.org.", dns.TypeMX)     // with what became of the question
//
// The Lookup functions are those of [net.Resolver], for libraries. Ask, Cached and
// InHostsFile take a name as [FQDN] writes it: lower case, U-labels as A-labels
// (RFC 5890), with the final dot.
//
// # Name servers
//
// The servers are asked in turn: the one that answered last, then the others, and
// the silent ones once more. A server that says SERVFAIL or REFUSED, that does no
// recursion, or that answers what can't be read is not asked again for this
// question. Each question goes out from a new socket, so port and id are random;
// only an answer with this id, to this question, from this server counts. Answers
// longer than 1232 octets come by TCP. CNAMEs are followed, 8 at most.
//
// # Strangers
//
// The questions that a stranger makes us ask ([ForStranger]) have 64 slots, at most 8 of
// them about one registered domain; our own have 192, at most 48 about one. So a client
// that sends mail which names silent name servers delays its own mail, then that of other
// strangers, and not the relay. Waiting for a slot ends with the context. A [Budget] bounds
// the questions of one message; what is in the cache is free.
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
// no TLSA records count. [Resolver.Vouches] says which it is, by a question
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
// Of one answer 100 records and 16 KiB of text are kept: of more MX records those with the
// best preference, of more texts those that begin with "v=". Where one of these would be
// missing, [Records.Cut] says so, or the lookup of a text fails for now.
//
// # Hosts file
//
// /etc/hosts is read again when it is older than 5 seconds. Only InHostsFile looks into
// it: whether its names count is the caller's decision.
//
// # Diagnostics
//
// Of a question that no name server answered the log has, at level warning,
// "name service error" with name, type and err: what each server said, such as
// "192.0.2.53:53: timed out; 192.0.2.54:53: SERVFAIL". Look at relay.resolvers, or at the
// name servers of the domain.
//
// # Dropped
//
// Additional records, the addresses that some servers send along with MX records,
// are not used: they save a question when nothing is in the cache, and are what
// an attacker would like to have us believe.
package dns
