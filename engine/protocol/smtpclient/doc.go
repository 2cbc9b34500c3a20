// Package smtpclient is a client's side of an SMTP session as a pure machine:
// octets of the peer in; octets for the peer, one question and one outcome out. It
// does no I/O, knows no clock, and starts nothing (RFC 5321 with 1870, 2034, 2920,
// 3030, 3207, 3461, 4954, 6152, 6531 and 9422).
//
// # Who calls it, and how
//
// The relay makes a connection, then: Init, Begin with the first transaction, and
// Feed with what was read, while there is any, until a call consumes nothing.
// After each call it carries out the Effects, in this order: Send, Ask, StartTLS,
// Outcome, Close. AskBody wants the message sent, in pieces of the
// caller's choice; BodyDone reports that it was. Input may be fed meanwhile, but need not be.
// Waiting tells which time limit counts; TimeOut and Lost report what went wrong.
//
// An Outcome ends a transaction. Then the session is Ready for another Begin, or
// it takes leave of the peer by itself: the caller goes on feeding until Close.
// Quit ends an idle session.
//
// # What it promises
//
//   - Each transaction has one Outcome, with one Result for each recipient.
//   - Delivered needs a 2yz that came after BodyDone. One that came before, which
//     can't be about a message that the peer had not read, ends the session.
//   - A message without recipients is never sent to its end: the peer that
//     replies 354 all the same gets the dot alone, and its answer means nothing.
//   - No text of an address or a parameter ends a command or begins another.
//   - What is sent and what comes out are the same however the network cuts the
//     input.
//   - Memory is bounded: a reply by Config.MaxReply, the text of a result by 1,000
//     octets, commands whose replies are not read by 4 KiB and a little.
//   - A message costs one allocation, for the text of its reply, once a session
//     has the memory for its recipients.
//
// # How far a failure reaches
//
// ScopeHost is what any message would meet: no greeting or a refusal in it, EHLO and HELO
// refused, AUTH refused, no TLS where it must be, 421 at any time, a lost connection, a
// time-out, a peer that is out of step. Another host of the destination is worth a try.
// These are Temporary, whatever the digit, as with Postfix (a blocklist that is wrong for
// an hour should not return the mail of that hour), except 521, by which a host declares
// that it accepts no mail at all (RFC 7504). ScopeMessage is a refusal of MAIL, DATA or
// the message, ScopeRecipient one of RCPT. What was known before the host failed stays: a
// recipient that was refused is refused.
//
// After the whole message was sent, the lack of a reply leaves a Doubt: Temporary,
// and the peer may have the message (RFC 1047).
//
// # The extensions
//
//   - PIPELINING: MAIL, RCPT and DATA in one group; without it one by one. RSET
//     comes only after a transaction that failed, in the same group.
//   - SIZE: a message over the peer's limit is refused here, 5.3.4.
//   - 8BITMIME: without it an 8-bit message is sent as it is, as Exim and qmail do.
//     To turn it into 7 bits would break signatures, to return it would lose mail
//     that nearly every server takes unharmed.
//   - CHUNKING and BINARYMIME are not used: what came as BINARYMIME was made lines of
//     text when it came (RFC 3030 section 3), which any host takes by DATA, and for
//     lines BDAT brings nothing.
//   - SMTPUTF8: when the message has the flag or an address is beyond ASCII. To a
//     host without it goes an address whose domain alone is beyond ASCII, in
//     A-labels; for the others it is 5.6.7.
//   - DSN: what the sender asked for is passed on, nothing is added: a notification's wishes
//     are the sender's (RFC 3461 section 5.2.1 lets a relay add an ORCPT, but by now
//     the address may be the work of an alias). Without DSN all is left out, and
//     the Outcome tells.
//   - LIMITS: recipients over RCPTMAX are left for the next transaction (Again), at
//     MAILMAX the session ends. RCPTDOMAINMAX is not looked at: the recipients of
//     a transaction share their domain.
//   - STARTTLS: as Config.TLS demands. After the 220 the caller makes the handshake and
//     calls Secured; then all that was offered is forgotten and EHLO is sent again.
//     Clear text after the 220 ends the session. Whether the peer's
//     certificate will do is for the caller to see; the machine knows none.
//   - AUTH: PLAIN, else LOGIN, when there are Credentials. They go as they are: a
//     caller that wants them protected sets TLSMust.
//
// ENHANCEDSTATUSCODES is not looked at: a code of the right class and form is taken
// for one, offered or not.
//
// # Diagnostics
//
// A Result's Reply is the peer's reply, or our own text in Postfix's wording: "lost
// connection while sending RCPT TO". An enhanced code that the peer did not give is
// made from the reply's code, and is no more specific than that. A reply is judged by
// its last line; its other lines, with a code or without, are text. What is no reply
// at all is quoted: "the host does not speak SMTP: it sent ...".
//
// # Tried and dropped
//
// A count of replies that are due, and a state beside it: two cursors over the same
// commands, one for writing and one for reading, tell the same and can't disagree.
// One large group of all recipients: with thousands, both sides may wait for the
// other to read.
package smtpclient
