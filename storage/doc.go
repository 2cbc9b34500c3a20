// Package storage is the contract of the mail store: the types, the errors and
// the promises that the edge (package engine) relies on and that every engine
// under this folder keeps. It holds no engine; storage/lsm is the embedded one,
// and storage/storetest is the suite that each engine has to pass.
//
// # What a store promises
//
//   - A [Receipt] exists only after the message, its maildrop entries and its
//     index rows are synced to disk. A 250 is sent only against a Receipt.
//   - A delivery is one atomic step: all of its recipients have the message or
//     none has. A draft that is not delivered is invisible and is collected.
//   - A message id is never given twice, also not after its message was
//     deleted, after a crash or after a step back of the clock.
//   - No two messages of a maildrop have the same unique-id (RFC 1939 section 7),
//     whether they got it here or came with it.
//   - Expunge is one atomic, synced step, and fails as a whole when the lock
//     that it was called through is lost.
//   - What is deleted, and an account that is removed, can be had back as it was for
//     the time that [Retention] says, and is gone after it; see [Keeper].
//   - What a [Lock] lists was durable before List returned.
//
// # What may block
//
// The methods that say "never blocks" may be called on an event loop: they hand
// over and return, and the outcome comes through a Done function on one of the
// store's goroutines. Done must not block either: it posts to a loop and returns.
// All other methods may wait for the disk and belong in a bounded pool.
//
// # Wire form
//
// A body is kept as SMTP's DATA carries it and as POP3's RETR sends it: lines
// end with CRLF, a line that begins with a dot has a second one put before it,
// and the terminating ".CRLF" is not part of it. It always ends with CRLF. Two
// lengths belong to it: Wire, the octets as kept, and Size, the octets without
// the stuffed dots (RFC 1939 section 11, RFC 1870 section 5). When they are
// equal, no line begins with a dot and both forms are the same octets.
package storage
