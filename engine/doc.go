// Package engine is the map of the server's folders; it has no code. Each wing answers one
// question, and an import goes down only, in this order (.ci/tidy holds it):
//
//   - server: is there a server? It joins all rooms, starts, drains and ends.
//   - config: what did the operator say? Each key once; every other package gets values.
//   - front: which protocols and programs speak with us? smtpsrv, pop3srv, web, capture, admin, localmail.
//   - relay: how does mail get to other hosts? queue (when), agent (carries it out), mx,
//     mtasts, tlspolicy.
//   - admit: which clients and users are let in? login, signin (a login of a session), password, policy,
//     screen (untrusted clients and their mail).
//   - mail: what is a message, and whose is it? incoming (the one way into the store),
//     router, allowance, dkim, entity, hypertext, transfer, retention.
//   - edge: how do octets come? loop, conn (the one driver of sessions), tlsio, certs, dns,
//     budget, limit, privilege.
//   - host: this process and machine: maillog, history, perms, unixsocket, httpserver.
//   - protocol: what is said? smtpd, pop3d, smtpclient: pure machines; transcript plays
//     their dialogues, trace writes dialogues of sessions down.
//
// Beside them is client, the mail reader for terminals, which the server does not use.
//
// FLOW.md follows a message from the socket to the disk and back. BOUNDS.md lists what a
// peer can make the server keep or compute. HACKING.md is for changes.
package engine
