// Package incoming brings messages into the store. Each program or protocol that has a
// message, SMTP for example, makes a [Message] of it:
//
//	m.Init(entrance, done)        // once; a Message is used again for the next message
//	m.Begin(reversePath, mayRelay)
//	m.Recipient(rcpt)             // for each; returns how the recipient was routed
//	m.Open(&from)                 // begins the draft, with the Received field
//	m.Append(run)                 // any number of times, cut anywhere
//	m.Finish(&end)                // done gets a Receipt or an error, once
//
// A Message is given facts (From, End), and does not know its connection. The [Entrance]
// has what is the same for all messages. Programs on this host, the web client and sendmail
// have a whole text: [Entrance.Submit] makes the Message for them. [Message.Write] stores
// what this host writes itself, [Message.Copy] what it copies.
//
// # Steps
//
// Between the octets that come and the delivery are these steps, in this order:
//
//  1. The header of a message from our own users is kept until it has ended. Then it is
//     completed (message.Completion), the From and Sender fields are compared with the
//     addresses of the account, and the signature begins. See header.go.
//  2. EndHeader refuses a message for its header, before the message is accepted.
//  3. A binary message is converted to lines of text (convert.go).
//  4. The signature is finished (package dkim).
//  5. The trace fields are made (trace.go), and the store gets the delivery.
//
// Before Finish the caller checks a message from an untrusted client, and may have its
// recipients routed again (placing.go). Both may still refuse the message.
//
// # Goroutines
//
// A Message belongs to the goroutine that calls its methods. Submit, Write and Copy block;
// the other methods don't. Work on other goroutines before Finish has a copy, so that the
// caller can drop the message at any time. From Finish on the Message belongs to its steps:
// a step that waits or computes runs on another goroutine, of Entrance.Convert or of
// package dkim, and the next step follows on that goroutine. The last step calls done,
// mostly on a store goroutine. Then the Message is the caller's again, and Reset
// prepares it for the next message. After Finish a message can't be dropped: it is stored,
// or done gets the error.
//
// # Errors
//
// Recipient reports a recipient without a mailbox. EndHeader and Refusal return the reply to
// a message that is at fault itself. All other errors come from the store.
package incoming
