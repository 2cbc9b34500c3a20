// Package policy decides about an untrusted client whether it is served and
// whether its mail is taken. It decides only: what is known of the client is handed
// in, with the time, and the caller sends the reply. No I/O, no clock, no goroutine.
//
//   - [Rates] bounds how often a client comes: token buckets in bounded memory, for a
//     client and for the network that it is in.
//   - [Greylist] refuses unknown senders for a while: a real mail server tries
//     again, most senders of junk do not (RFC 6647).
//   - [Blocklist] and [Score] weigh the DNS lists that an address is on (RFC 5782).
//   - [EvaluateDMARC] tells whether the sender in the From field is proven by SPF or
//     DKIM, and what the owner of that domain wants done if not (RFC 7489).
//
// # Memory
//
// Everything that grows with clients has a bound. Rates and Greylist forget what does
// not matter any more when the bound is reached, and then whatever matters least: a
// client may get a fresh bucket or has to wait once more, none is locked out for
// good. They are kept in memory only: a restart forgets them, which costs a sender who was
// greylisted one more round.
//
// A value of these types belongs to one goroutine at a time; the caller locks.
package policy
