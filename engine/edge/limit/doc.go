// Package limit answers two questions that each part which bounds its clients has: which
// addresses are one client, and has that client come too often.
//
//	who := limit.Client(ip)
//	rates := limit.NewBuckets[netip.Prefix](limit.Rate{Count: 30, Per: time.Minute}, 100_000)
//	if !rates.Take(who, now) {
//		// refused: 30 a minute
//	}
//
// It decides only: no I/O, no clock, no goroutine. The time comes in as an argument, and
// the caller locks: a value belongs to one goroutine at a time.
//
// # Which addresses are one client
//
//	           IPv4  IPv6  who uses it
//	Client     /32   /64   connections, messages, TLS handshakes and checks of a client;
//	                       connections to a host
//	Customer   /24   /64   wrong passwords: a customer of a provider can move around there
//	Network    /24   /48   connections and messages of a neighbourhood; the greylist
//
// A host has as many addresses as it likes in its IPv6 /64, so no count is by a single
// IPv6 address. An IPv4 address that is mapped into IPv6 is that of IPv4; a zone is dropped.
//
// # Buckets
//
// A [Bucket] is a token bucket as one number: the time at which it will be full again (the
// generic cell rate algorithm). A full bucket needs no memory, and nothing has to fill the
// others. [Buckets] has one for each of many keys.
//
// # Memory
//
// [Map] remembers a bounded number of keys. When it is full it looks at 16 entries, forgets
// those of them that mean nothing any more, and at least the one that matters least. It
// looks at no more, however many there are: a client that comes from many networks would
// otherwise have each of its logins walk through all of them under a lock.
package limit
