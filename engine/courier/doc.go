// Package courier carries mail to other hosts: it joins the pure scheduler (package
// relay) and the pure SMTP client (package smtpclient) to the queue, to DNS and to
// sockets.
//
// # Whose goroutine
//
// A session with another host is a goroutine: dialing, DNS and a peer's slowness
// all block, and their number is bounded (relay.connections). The scheduler stands
// behind a mutex that is held for some microseconds, never over a wait. It is cut
// into shards by next hop, so that sessions of one seldom wait for another.
//
// # What is promised
//
// An entry leaves the queue only by a synced step of the store. A session sends the
// next message after the outcome of the last is on the disk: so a crash repeats, of
// each session, the one message whose 250 it could not record, and nothing else. A
// notification is stored in the same step that takes its recipients off the queue.
//
// # What is written to the log
//
// The lines of Postfix's smtp(8): "ID: to=<r>, relay=host[ip]:25, delay=1.2,
// delays=a/b, dsn=2.0.0, status=sent (250 ...)", with status deferred, bounced or
// expired; "ID: removed" when the entry is gone; and of notifications "ID: sender
// non-delivery notification: ID2".
//
// # Diagnostics
//
//   - "the outcome of a delivery can't be recorded yet": the store takes no writes,
//     the disk is full or fails. The session waits and tries again; the message is
//     sent twice only if the process ends before.
//   - "the queue can't be read": the destination is looked at again 10 s later.
//   - "a notification could not be delivered": a bounce bounced. The postmaster has
//     it, or it was dropped (relay.double_bounce).
package courier
