// Package agent carries mail to other hosts: it joins the pure scheduler (package
// relay) and the pure SMTP client (package smtpclient) to the queue, to DNS and to
// sockets.
//
// # Whose goroutine
//
// A session with another host is a goroutine: dialing, DNS and a peer's slowness
// all block, and their number is bounded (relay.connections). A mutex guards the
// scheduler; it is held for some microseconds, never over a wait. It is cut
// into shards by next hop, so that sessions of one seldom wait for another.
//
// # What is promised
//
// An entry leaves the queue only by a synced step of the store. A session sends the
// next message after the outcome of the last is on the disk: so a crash repeats, of
// each session, the one message whose 250 it could not record, and nothing else. A
// notification is stored in the same step that takes its recipients off the queue.
//
// # Which hosts
//
// The hosts of a next hop are asked in turn, until each recipient is taken or refused
// for good: 4yz sends it to the next host, whatever command it answers, 5yz ends the
// matter. Five addresses are asked in one attempt, two of them of the other IP version
// when the best are all of one; those that this machine can't reach don't count. Once a
// host may have the whole message no other one is asked. The last host's words are the
// reason that is kept; it names the hosts that were tried and those that were not, and
// the history has what each one said.
//
// SMTPUTF8 is said of messages whose paths or header need it, and not because the client
// said it. Headers of parts are not looked at.
//
// # TLS
//
// Connections go under TLS where the host offers it, whoever it is: STARTTLS (RFC
// 3207, 7435), TLS 1.2 at least. Where nothing demands TLS and it breaks, at the
// command, in the handshake or before the host's first word under it, mail that has
// waited once goes in clear text over a new connection; other mail waits. When the host
// takes it so, all mail to this address goes so for an hour. A refusal over such a
// connection that may be about TLS is not final, and ends that hour. What
// comes in clear text after the reply to STARTTLS is taken for an attack, and the
// host for one that is down. More is demanded by the operator (relay.tls,
// relay.tls_default), by the domain's TLSA records (DANE) or by its MTA-STS policy;
// package tlspolicy says which counts when, [Security] finds them, the handshake
// checks them on the session's goroutine. A host that doesn't show what it should
// gets nothing: the next one is tried, and without one the mail waits (4.7.4, 4.7.5).
//
// DANE needs a name server that checks DNSSEC and is believed (relay.dnssec): of its
// answers the AD bit counts, for the MX records, the addresses and the TLSA records.
// The first message that leaves has it logged whether there is such a server.
//
// Passwords (relay.passwords) go in clear text to this machine itself only, unless
// relay.auth_without_tls says otherwise: for a host with a login TLS is demanded, but
// no name in its certificate: that takes "verify" in relay.tls.
//
// A session belongs to one next hop, and what is demanded is found for next hops; so
// a connection that is kept for the next message shows what that demands.
//
// # What is written to the log
//
// The lines of Postfix's smtp(8): "ID: to=<r>, relay=host[ip]:25, delay=1.2,
// delays=a/b, dsn=2.0.0, status=sent (250 ...)", with status deferred, bounced or
// expired; "ID: removed" when the last entry of the message is gone; and of notifications "ID: sender
// non-delivery notification: ID2".
//
// For each connection under TLS "ID: Untrusted TLS connection established to
// host[ip]:25: TLSv1.3 with cipher X (group)", or "Verified" and at the end "verified
// by" the record or the authorities. Untrusted says that nothing was demanded and so
// nothing looked at. The history of a message ("why") has the same of each attempt;
// a message that leaves at the first one has no history, and the log alone tells.
//
// # Diagnostics
//
//   - "Server certificate not trusted", "TLS is required, but ...", "host X is not
//     used": the host does not show what is demanded; the text says by what.
//     "postrider route" prints what each host would have to show.
//   - "mail goes to X in clear text now": its TLS is broken, and was so before.
//   - "TLS failed before, and is tried again": a refusal that may be about clear text.
//   - "MTA-STS policy in testing: X would not be used": only told of.
//   - "the outcome of a delivery can't be recorded yet": the store takes no writes,
//     the disk is full or fails. The session waits and tries again; the message is
//     sent twice only if the process ends before.
//   - "the queue can't be read": the destination is looked at again 10 s later.
//   - "mail that can't be delivered or returned goes to the postmaster": a bounce
//     bounced (relay.double_bounce). The line says when the postmaster has no password,
//     and so can't read it.
//   - "a notification could not be delivered and is dropped": so did that, or
//     relay.double_bounce says "drop".
//   - "host X: WORDS; host Y is asked": X put the message off, and Y may take it.
package agent
