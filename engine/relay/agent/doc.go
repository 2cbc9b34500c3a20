// Package agent carries mail to other hosts. It joins the scheduler (package queue) and
// the SMTP client (package smtpclient), which do no I/O, to the store's queue, to DNS and
// to sockets.
//
// # Whose goroutine
//
// A session with another host is a goroutine: dialing, DNS and a slow peer all block, and
// relay.connections bounds the sessions. A mutex guards the scheduler; it is
// held for some microseconds, never during a wait. The scheduler is cut into shards by
// next hop, so that sessions seldom wait for one another.
//
// # What is promised
//
// An entry leaves the queue only by a synced step of the store. A session sends the next
// message after the outcome of the last one is on the disk. So after a crash each session
// repeats at most one message: the one whose 250 it could not record. A notification is
// stored in the same step that removes its recipients from the queue.
//
// # Which hosts
//
// An attempt tries the next hop's hosts in turn, until each recipient is accepted or
// refused for good. A 4yz reply to any command sends the recipient to the next host; a 5yz
// reply is final. One attempt tries five addresses. When the best ones are all of one IP
// version, two of the five are of the other version. Addresses that this machine can't
// reach don't count. After one host may have the whole message no other host is tried. The
// reason that is kept is the last host's reply; it names the hosts that were tried and the
// hosts that were not. The history has each host's reply.
//
// A message is sent with SMTPUTF8 if its paths or its header need it, and not because the
// client said SMTPUTF8. Headers of MIME parts don't count.
//
// # TLS
//
// Connections use TLS wherever the host offers STARTTLS (RFC 3207, RFC 7435), at least
// TLS 1.2. TLS may break: at the command, in the handshake or before the host's first reply
// under it. Where nothing demands TLS, a message that has waited once is then sent in clear
// text over a new connection; other messages wait. When the host accepts it, all mail to
// this address goes in clear text for an hour. A refusal over such a connection that may be
// about TLS is not final, and ends that hour. Clear text after the reply to STARTTLS is
// treated as an attack, and the host as one that is down.
//
// The operator (relay.tls, relay.tls_default), the domain's TLSA records (DANE) or its
// MTA-STS policy may demand more. Package tlspolicy decides which of them counts,
// [Security] looks them up, and the session's goroutine checks them in the handshake. A
// host that fails the check gets no mail: the next host is tried, and without one the mail
// waits (4.7.4, 4.7.5).
//
// DANE needs a trusted name server that validates DNSSEC (relay.dnssec). The AD bit in its
// answers counts for MX, address and TLSA records. The log has a line about it when the
// first message leaves.
//
// Passwords (relay.passwords) are sent in clear text to this machine only, unless
// relay.auth_without_tls permits more. A host with a login must use TLS, but its
// certificate may be any; "verify" in relay.tls demands the host's name in it.
//
// A session has one next hop, and demands are the same for a whole next hop. So a
// connection that is kept for the next message meets its demands too.
//
// # What is written to the log
//
// The lines have the form of Postfix's smtp(8): "ID: to=<r>, relay=host[ip]:25, delay=1.2,
// delays=a/b/c/d, dsn=2.0.0, status=sent (250 ...)". The status may also be deferred, bounced
// or expired. The delays are as in Postfix: a until the entry fell due, b until the attempt
// began, c until the host was ready for the message, d for the message. "ID: removed" follows the last entry of a message, and "ID: sender
// non-delivery notification: ID2" tells of a notification.
//
// Each connection under TLS has the line "ID: Untrusted TLS connection established to
// host[ip]:25: TLSv1.3 with cipher X (group)". With "Verified" the line ends with "verified
// by" and the record or the authorities. Untrusted means that nothing was demanded, and so
// nothing was checked. A message's history ("why") has the same about each attempt,
// with the dialogue (history.go).
//
// # Diagnostics
//
//   - "Server certificate not trusted", "TLS is required, but ...", "host X is not
//     used": the host does not meet a demand; the text names the key, record or policy.
//     "postrider route" prints the demand for each host.
//   - "mail goes to X in clear text now": TLS with X is broken, and was broken before.
//   - "TLS failed before, and is tried again": the refusal may be about clear text.
//   - "MTA-STS policy in testing: X would not be used": a warning only.
//   - "the outcome of a delivery can't be recorded yet": the store takes no writes,
//     because the disk is full or fails. The session waits and tries again. The message
//     is sent twice only if the process ends before that.
//   - "the queue can't be read": the destination is read again 10 s later.
//   - "mail that can't be delivered or returned goes to the postmaster": a bounce
//     bounced (relay.double_bounce). The line has a hint when the postmaster's account
//     has no password, so that no login can read the mail.
//   - "a notification could not be delivered and is dropped": the notification to the
//     postmaster failed too, or relay.double_bounce is "drop".
//   - "host X: WORDS; trying host Y next": X deferred the message, and Y may accept it.
package agent
