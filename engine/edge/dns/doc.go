// Package dns is the stub resolver: it sends questions to recursive name servers, and caches
// their answers. All parts of the server that need DNS share one Resolver: the relay
// (package mx, which finds the hosts for next hops), SPF, DKIM, DMARC, MTA-STS, DANE and
// block lists.
//
//	r := dns.New(dns.Options{})
//	texts, err := r.LookupTXT(ctx, "example.org")         // as net.Resolver; err is a *net.DNSError
//	records := r.Ask(ctx, "example.org.", dns.TypeMX)     // with the outcome of the question
//
// The Lookup functions have the form of [net.Resolver], for libraries. Ask, Cached and
// InHostsFile take a name as [FQDN] writes it: lower case, U-labels as A-labels
// (RFC 5890), with the final dot.
//
// # Name servers
//
// A question goes to the server that answered last, then to the others in turn, and to
// silent servers once more. A server that answers SERVFAIL or REFUSED, does no recursion or
// sends a malformed answer is not tried again for this question. Each question is sent from
// a new socket, so port and id are random. An answer counts only with this id, to this
// question, from this server. Answers longer than 1232 octets come by TCP. CNAMEs are
// followed, 8 at most.
//
// # Strangers
//
// Strangers are untrusted clients. The questions for their mail ([ForStranger]) have 64
// slots, at most 8 for one registered domain; our own questions have 192, at most 48 for
// one. So a client whose mail names silent name servers delays its own mail, then other
// strangers' mail, and never the relay. Waiting for a slot ends with the context. A [Budget]
// bounds the questions for one message; answers from the cache are free.
//
// # DNSSEC
//
// The name servers validate, not this package. A validating server answers SERVFAIL for
// forged data, and sets the AD bit where the signatures are right. The AD bit is only as
// safe as the network between. So it counts from servers on this machine: loopback
// addresses, except for two forwarders that pass on other servers' bits. With relay.dnssec =
// "on" it counts from all servers, with "off" from none: use "off" if the server on this
// machine is such a forwarder. A server that does not validate never sets the bit. Without a
// validating server no answer is Secure, and no TLSA record counts. [Resolver.Validates]
// finds out by a question about the root, which is signed.
//
// # Cache
//
// Answers are kept for their TTL, from 1 second to 1 hour. Negative answers are kept for the
// time in the SOA record, from 5 seconds to 15 minutes (RFC 2308). Failures are kept for 10
// seconds, so that a thousand messages to one domain do not each wait for the same silent
// servers. The same question from several goroutines is sent once. The cache has 20,000
// answers and 16 MiB at most, including all texts.
//
// One answer keeps 100 records and 16 KiB of text: the MX records with the best preference,
// and first the texts that begin with "v=". Where a record that counts may be missing,
// [Records.Cut] is true, or the lookup of a text fails for now.
//
// # Hosts file
//
// /etc/hosts is read again when the last reading is 5 seconds old. Only InHostsFile reads
// it; the caller decides whether its names count.
//
// # Diagnostics
//
// A question without an answer from any name server is logged at level warning: "name
// service error" with name, type and err, which has each server's fault, such as
// "192.0.2.53:53: timed out; 192.0.2.54:53: SERVFAIL". Check relay.resolvers, or the
// domain's name servers.
//
// # Dropped
//
// Additional records, such as addresses that some servers send with MX records, are not
// used. They save a question when the cache is empty, but make it easier to inject false
// addresses.
package dns
