// Package dnstest is a DNS server for tests, on loopback, over UDP and TCP. It answers from a
// zone in memory as a recursive server would, and misbehaves where a test wants it to.
//
//	dns := dnstest.Start(t,
//		"example.org. 300 IN MX 10 mx.example.org.",
//		"mx.example.org. 300 IN A 127.0.0.2")
//	dns.Behave("slow.example.org", dns.TypeANY, dnstest.Behaviour{Silent: true})
//
// A name without records, and without names below it, does not exist (NXDOMAIN). A name
// without records of the question's type has an empty answer (NODATA). Both come with the
// zone's SOA record, which has the time for negative caching. A CNAME is followed as far as
// the zone has its target. "*.example.org" matches all names under example.org that do not
// exist otherwise. Answers about names given to Vouch have the AD bit, as if they were
// validated.
package dnstest
