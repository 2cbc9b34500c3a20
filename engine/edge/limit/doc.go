// Package limit has what all limits on clients share: which addresses are one client, and
// token buckets for rates.
//
//	client := limit.Client(ip)
//	rates := limit.NewBuckets[netip.Prefix](limit.Rate{Count: 30, Per: time.Minute}, 100_000)
//	if !rates.Take(client, now) {
//		// refused: 30 a minute
//	}
//
// The package has no I/O, no clock, no goroutine and no lock of its own. The time is an
// argument, and a value belongs to one goroutine at a time.
//
// # Which addresses are one client
//
//	           IPv4  IPv6  counts
//	Client     /32   /64   connections, messages, TLS handshakes and checks for a client;
//	                       connections to a host
//	Customer   /24   /64   wrong passwords: a provider's customer can change its address there
//	Network    /24   /48   connections and messages from a network; the greylist
//
// A host can use any address in its IPv6 /64, so nothing is counted by a single IPv6
// address. An IPv4 address that is mapped into IPv6 counts as IPv4. Zones are dropped.
//
// # Buckets
//
// A [Bucket] is a token bucket as one number: the time at which it will be full again (the
// generic cell rate algorithm). So a full bucket needs no memory, and no timer fills
// buckets. [Buckets] has a Bucket for each key.
//
// # Memory
//
// [Map] remembers a bounded number of keys. When it is full, it takes a sample of 16
// entries, and forgets the ones that are over, and at least the one that matters least.
// Searching all entries would take too long under the caller's lock, when a client fills the
// Map from many networks.
//
// The caller's lock is one that event loops wait for, so no call holds it for a time in
// proportion to the entries: [Map.Change] and [Buckets.Configure] let others have it after
// each few entries, and [Recent] forgets by generation. For a million clients the longest
// hold of a new rate is 1 ms of processor time, and of a new bound 0.25 ms; in one piece they
// were 68 ms and 3.8 s (BenchmarkConfigure).
package limit
