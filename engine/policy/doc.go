// Package policy decides, of a client that is not known, whether it is served and
// whether its mail is taken. It decides only: what is known of the client is handed
// in, with the time, and the caller says the reply. No I/O, no clock, no goroutine. How
// often a client may come is the question of package limit.
//
//   - [Greylist] lets those wait who were never seen before: a true mail server
//     comes back, most senders of junk do not (RFC 6647).
//   - [Blocklist] and [Score] weigh what DNS lists say of an address (RFC 5782).
//   - [EvaluateDMARC] tells whether the sender in the From field is proven by SPF or
//     DKIM, and what the owner of that domain wants done if not (RFC 7489).
//
// # Memory
//
// The Greylist has a bound. When it is reached, it forgets what does not matter any
// more, and then what matters least: a stranger may have to wait once more. It is kept in
// memory only: a restart forgets it, which costs a sender that was greylisted one more
// round.
//
// A value of these types belongs to one goroutine at a time; the caller locks.
package policy
