// Package proxy reads the header with which a balancer names the client it speaks for:
// the PROXY protocol of HAProxy, versions 1 (a line) and 2 (octets).
//
//	h, n, err := proxy.Parse(in)
//	if n == 0 && err == nil {
//		// more is needed
//	}
//
// The header comes once, first on the connection, before TLS and before any
// greeting. It is believed from trusted balancers only: any other client could name
// any address. Which balancers are trusted is the caller's decision.
//
// A header that names no client ("PROXY UNKNOWN", LOCAL of version 2: the balancer's
// own health checks, and address families that are not IP) has a zero Source; the
// connection is the balancer's own then. Extensions (TLVs) of version 2 are passed
// over. A header that does not fit into [MaxHeader] octets is an error.
package proxy
