// Package server joins the packages of the other wings to a server: listeners, their
// sessions, the store and the memory budget. It starts, drains and ends them, and has the
// health and the metrics. It decides nothing about protocols and nothing about files.
//
// # A message's way in
//
// Package smtpsrv has the sessions of SMTP; smtp.go hands it what the configuration says.
// Package incoming has the steps from the first octet of a message to the store, for the
// messages of all entrances.
//
// What is stored is the one wire form of the message (package dot); POP3 and DATA send it
// as it is. A message that came as BINARYMIME and is binary indeed is converted first, off
// the loop, from its draft into another one (packages incoming and binarymime). Its size is
// that of what is stored, also against smtp.max_size.
//
// Mail for other domains is put into the queue in the same step. Package agent
// works it off: it is a plain user of the store and of DNS, on goroutines of its
// own, and no loop knows of it.
//
// A message's way out, by POP3, is in package pop3srv; pop3.go joins it to the rest.
//
// # Who is who
//
// A machine asks about a claim (package sasl), and package login judges it, for SMTP, POP3
// and the web client alike. What can be judged without a hash is judged on the loop; the
// rest is hashed in a bounded pool (pools.go). A login that fails is answered by the loop's
// timer, at the same time after the question whatever was wrong.
//
// # Reload
//
// A room (smtpsrv, pop3srv, screen, login, agent, ...) has its rules in Settings that do not
// change. Reload makes new ones of another configuration and calls each room's Configure,
// which swaps a pointer and keeps all state. A session takes the pointer when it opens, with
// its listener: so its rules do not change under it, and no loop takes a lock for them. What
// can fail (files, sockets) is tried before the first room is changed. What has a size (pools,
// ledgers, tokens of handshakes) grows and shrinks in place. The addresses of HTTP belong to
// cmd/postrider, which follows after.
//
// # Whose goroutine
//
// Everything in a session belongs to its loop's goroutine. While a session waits for
// an answer (conn.Wait has all that a session can wait for), the job or transaction
// that it waits for belongs to a pool or to the store; it comes back through the
// loop's mailbox. Nothing here waits for a disk,
// a lock that is held for long, or a hash on a loop.
//
// # TLS
//
// A handshake has the connection to itself (package conn): the session's handler is away
// until it is done, and comes back on top of a layer of package tlsio, with the
// greeting where TLS comes first, else as a machine that has forgotten what was said
// in clear text. Package certs looks after the certificates.
//
// # Bounded memory
//
// All octets of messages in memory, on their way in or out, listings, unread input,
// recipients of open transactions and checks are booked in limits.memory. A session
// that gets no room waits in line without reading; a transaction that begins while
// little is left, and a recipient for which nothing is left, are answered 452.
// BOUNDS.md has all that a peer can make us keep or compute.
package server

// Version is the version of the server, as it is shown to operators and by
// POP3's CAPA. A build may set another one (-ldflags -X).
var Version = "0.1"
