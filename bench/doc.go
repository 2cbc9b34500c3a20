// Package bench loads a mail server over TCP and reports the result: how many
// messages were accepted or fetched, how long each took and each stage of it, what
// the server's processes cost, and whether what was acknowledged is there. It
// speaks SMTP and POP3 with code of its own and imports neither the engine nor the
// store, so it measures every server in the same way, and a misreading of an RFC
// in the server isn't hidden by the same misreading here.
//
// # Use
//
// [Load] sends messages in many SMTP sessions, [Fetch] reads or empties a maildrop by
// POP3, with the commands in a [Profile], [Client.Open] times how a maildrop opens,
// [Idle] holds sessions. Load and Fetch run in step (each command waits for
// its reply) or pipelined (RFC 2920, RFC 2449 section 6.6). [Client] has how a
// session begins: TLS, AUTH, source address. A [Corpus] makes or reads what is
// sent, a [Ledger] keeps what was acknowledged and checks what is found. A
// [Meter] counts while a run goes on, [Intervals] cut it into pieces; a [Report] is one round, a [Result] several,
// and [Compare] judges two results. The command postbench is a thin layer over
// them; the end-to-end tests use them too. [SMTPConn] and [POP3Conn] are the two
// conversations by hand. Package sink is the other end.
//
// # Times
//
// A closed loop (Load.Rate 0) asks how fast a server can be: each session sends as
// soon as it is answered. Its latencies leave out what a stall costs the messages
// that would have come meanwhile. An open loop asks what users see at a given rate:
// message n is meant to begin at a fixed time, and its latency counts from there,
// so it includes the wait after a stall. Histograms are HDR: three digits, from a
// microsecond to an hour. The tests compare both with times computed by hand.
//
// # Promises
//
// Every reply is read and checked: a message counts as accepted only when its
// own 250 came. Accepted is called before anything further is sent in that
// session, so a ledger kept by it holds every message that the server
// acknowledged to us. Every wait has a time-out; a peer that stalls ends the
// run with an error and doesn't hang it.
//
// # Limits
//
// The cost of a server is the cost of the named processes and their descendants.
// CPU comes in ticks of 10 ms, so take enough messages. The work of a process that
// became an orphan and ended is lost. RSS of a tree counts shared pages for each
// process; PSS doesn't. A compare has no more to go by than its rounds: with three
// each, a difference that isn't there is shown once in ten.
//
// # What was dropped
//
// Postfix's smtp-source is a fine peer for comparison, but it knows no
// PIPELINING, keeps no ledger and reports no latency ("postbench smtp-source" takes
// its command lines). Keeping every sample was dropped for histograms when runs of
// half an hour came: they add up at any time, for a display too. Benchstat's test
// needs more rounds than one has patience for with whole servers (three against
// three can't reach p = 0.05), so compare asks whether the rounds overlap.
package bench
