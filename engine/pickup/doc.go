// Package pickup takes mail from programs on this host: what cron, scripts and
// mail readers hand to sendmail. Postfix's program of that name does the same.
//
//	p := pickup.Pickup{Inbox: store, Router: router, Hostname: "mx.example.org", ...}
//	result, err := p.Submit(ctx, pickup.Mail{Sender: "alice@example.org", Recipients: ..., Text: os.Stdin})
//
// [Pickup.Submit] reads a message in plain form with any line ends, completes its
// header, finds out where its recipients are, and stores it in one step: a maildrop
// entry for each account here, a queue entry for each domain elsewhere. It returns
// when the message is durable. Any goroutine may call it; it waits for the disk.
//
// # What is done to the header
//
// From, Date and Message-ID are added when they are missing or empty, and addresses
// without a domain get the default domain (see message.Completion). Bcc, Resent-Bcc and
// Return-Path are removed: whom a message was sent to in silence is nobody's
// business, and a Return-Path is written at delivery only (RFC 5321 section 4.4).
// A Received field goes in front. A "From " line of mbox at the very start is
// dropped. Nothing else is changed, and the body not at all but for its line ends.
//
// With Pickup.Keys the message is signed by the domain of its From field (see package
// dkim); the DKIM-Signature stands in front of all.
//
// # Recipients from the header
//
// With Mail.FromHeader these are the addresses of To, Cc and Bcc, or, of a message
// that is sent on, those of Resent-To, Resent-Cc and Resent-Bcc alone (RFC 5322
// section 3.6.6). [ParseList] reads them: display names, comments, groups and
// quoted strings, and names without a domain, which scripts write and RFC 5322
// does not know.
//
// # Errors
//
// A recipient without a mailbox here is in Result.Refused; the others get the message
// all the same, and the caller tells. An entry of a list that can't be read stops the
// message. With Mail.Return neither is so if there is a recipient who gets the message:
// the others are put into the queue, where delivery fails, and the sender gets a
// notification. A program that repeats a command after an error sends no second copy. All
// other faults of the message wrap storage.ErrInvalid; faults of the store are its
// own errors. Then nothing was stored.
package pickup
