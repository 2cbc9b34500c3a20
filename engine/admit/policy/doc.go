// Package policy decides about an untrusted client whether it is served and
// whether its mail is taken. It decides only: what is known of the client is handed
// in, with the time, and the caller sends the reply. No I/O, no clock, no goroutine. How
// often a client may come is the question of package limit.
//
//   - [Greylist] refuses unknown senders for a while: a real mail server tries
//     again, most senders of junk do not (RFC 6647).
//   - [Blocklist] and [Score] weigh the DNS lists that an address is on (RFC 5782).
//   - [EvaluateDMARC] tells whether the sender in the From field is proven by SPF or
//     DKIM, and what the policy of that domain is if not (RFC 7489).
//
// # Memory
//
// The Greylist has a bound. When it is reached, it forgets what does not matter any
// more, and then what matters least: a client may have to wait once more. It is kept in
// memory only: a restart forgets it, which costs a sender that was greylisted one more
// round.
//
// A value of these types belongs to one goroutine at a time; the caller locks.
package policy
