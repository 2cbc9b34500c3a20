// Package smtpd is a server's side of an SMTP session as a pure machine: octets
// and answers in; reply lines, message octets and at most one question out. It
// does no I/O, knows no clock, and starts nothing (RFC 5321 with the extensions
// that EHLO names).
//
// # Who calls it, and how
//
// The engine embeds a Session in each connection: Init, Greet, then Feed with
// what was read, while there is any, until a call consumes nothing. After each
// call it carries out the Effects, in this order: Drop, Body, Reply, Ask,
// Close or StartTLS. While a question is open Feed consumes nothing; Answer closes it, and
// Feed goes on with what was left. Octets that Feed left are presented again
// with more after them: at most a command line, or 3 octets of a message.
//
// # What it promises
//
//   - A 250 for a message needs a storage.Receipt; an Answer without one is
//     replied to with 451.
//   - Every octet of a message that AskStored asks about was in a Body before,
//     in the one wire form that it has (package dot), and a draft that will not be stored is dropped
//     by Drop. A message without octets has no Body at all.
//   - Only CRLF "." CRLF ends DATA. A line end that is not CRLF refuses the
//     message at its true end, or with the policy Normalize a bare LF becomes
//     CRLF; a dot after it is stuffed, so it can end nothing anywhere.
//   - A line that is a dot and ends with LF alone ends the session, with a 550 at once,
//     unless the policy is Normalize: a person who types into nc reads why, and what
//     follows is never read as commands.
//   - The replies and the accepted messages are the same however the network
//     cuts the input.
//   - What a peer sends is bounded: command lines by 2,048 octets, an address
//     by 256, recipients by Config.MaxRecipients, replies gathered in one Feed by
//     16 KiB and a little.
//   - A session without errors allocates once for HELO's argument and once for
//     the memory of its transactions, which are used again.
//
// # Command lines that end with LF
//
// They are accepted (package line has the reason), so that a person can type a dialogue
// into nc. The text of a message can't be typed that way: the dot at its end gets a 550
// that says so (nc -C sends CRLF).
//
// # BDAT
//
// Chunks are plain, the store keeps wire form: dots are put in as static runs
// between the runs of the input. A message that doesn't end with CRLF gets one,
// which counts in its size. A bare CR or LF refuses the message as in DATA. With
// BODY=BINARYMIME it is content: Transaction.Body says at the end whether the message
// is binary indeed, and then its Body runs are not in wire form yet: the caller turns it
// into lines (package binarymime) before it is stored. A refused BDAT is
// answered at once and its octets are read and dropped; the transaction is over
// when its message was refused.
//
// # AUTH and STARTTLS
//
// AUTH is an exchange of package sasl, in the phase Authenticating. The machine
// asks AskAuth for what it can't know, once or twice, with a Claim. A Yes to a
// claim that is not proven logs no user in. What may be used depends on
// the peer: passwords in the clear only after TLS, on loopback, or by
// configuration; -PLUS only with a channel binding. The reply to EHLO lists what may be
// used at that moment.
//
// STARTTLS asks AskTLS. Octets that are there before the answer end the session
// (554): they were not protected by TLS, and a client has to wait for the 220. After Secured the
// session is a new one.
//
// # Diagnostics
//
// Refused lists the refusals in Reply for the log. Config.MaxErrors refusals
// that are the peer's fault since the last accepted message end the session with
// 421 4.7.0. VERB makes refusals show the command's syntax, and the reply to a
// message describe what arrived.
//
// # Tried and dropped
//
// One reply text for each pair of command and cause as a method: the tables
// order (phase × verb) and answers (question × verdict) are shorter and can be
// read in one look. Sending the refusal of a BDAT after its octets: a peer that
// announced more than it has waits for ever.
package smtpd
