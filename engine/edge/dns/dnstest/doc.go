// Package dnstest is a DNS server for tests: a real one, on loopback, over UDP
// and TCP, which answers from a zone in memory as a recursive server would, and
// misbehaves where it is told to.
//
//	dns := dnstest.Start(t,
//		"example.org. 300 IN MX 10 mx.example.org.",
//		"mx.example.org. 300 IN A 127.0.0.2")
//	dns.Behave("slow.example.org", dns.TypeANY, dnstest.Behaviour{Silent: true})
//
// Names that have no record, and none below them, do not exist (NXDOMAIN); a name
// without a record of the type asked for gets an empty answer (NODATA). Both come
// with the SOA record of the zone, for the time that the "no" may be kept. A CNAME
// is followed as far as the zone knows. "*.example.org" means all names under
// example.org that do not exist otherwise. For names that Vouch was told of, answers
// bear the AD bit, as if DNSSEC had been checked.
package dnstest
