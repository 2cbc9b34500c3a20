// Package bench loads a mail server over TCP and says what came of it: how many
// messages were accepted or fetched, how long each took, what the server's
// process cost. It speaks SMTP and POP3 with code of its own and imports neither
// the engine nor the store, so it measures any server with the same ruler, and a
// misreading of an RFC in the server isn't hidden by the same misreading here.
//
// # Use
//
// [Load] sends messages in many SMTP sessions, [Fetch] empties a maildrop by
// POP3. Both run in step (each command waits for its reply) or pipelined
// (RFC 2920, RFC 2449 section 6.6). The command postbench is a thin face over
// them; the end-to-end tests use them with a ledger ([Load.Accepted]) to prove
// that nothing acknowledged is lost. [SMTPConn] and [POP3Conn] are the two
// conversations by hand.
//
// # Promises
//
// Every reply is read and checked: a message counts as accepted only when its
// own 250 came. Accepted is called before anything further is sent in that
// session, so a ledger kept by it holds every message that the server
// acknowledged to us. Every wait has a time-out; a peer that stalls ends the
// run with an error and doesn't hang it.
//
// # What was dropped
//
// Postfix's smtp-source is a fine peer for comparison, but it knows no
// PIPELINING, keeps no ledger and reports no latency. A bucketed histogram was
// dropped in favour of keeping every sample: eight octets a message are little
// beside the message, and the quantiles are exact.
package bench
