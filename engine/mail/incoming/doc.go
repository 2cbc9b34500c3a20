// Package incoming is the way of a message into the store. Whatever brings a message,
// SMTP for example, makes a [Message] of it:
//
//	m.Init(entrance, done)        // once; a Message is used again for the next one
//	m.Begin(reversePath, mayRelay)
//	m.Recipient(rcpt)             // for each; says where it leads
//	m.Open(&from)                 // the draft begins, with the Received field
//	m.Append(run)                 // any number of times, cut anywhere
//	m.Finish(&end)                // done gets a Receipt or an error, once
//
// A Message is given facts (From, End), and knows nothing of the connection that it comes
// by. What is the same for all messages is in the [Entrance]. Programs on this host, the
// web client and sendmail hand in a whole text: [Entrance.Submit] makes the Message. What
// this host writes or copies itself goes through [Message.Write] and [Message.Copy].
//
// # Steps
//
// Between the octets that come and the delivery are these steps, in this order:
//
//  1. The header of a message of our own people is kept until it has ended. Then it is
//     completed (message.Completion), the From and Sender fields are compared with the
//     addresses of the account, and the signature begins. See header.go.
//  2. EndHeader refuses what turned out wrong, before the message is accepted.
//  3. A message that is binary is converted to lines of text (convert.go).
//  4. The signature is finished (package dkim).
//  5. The trace fields are made (trace.go), and the store gets the delivery.
//
// Before Finish the caller checks the message of an untrusted client, and has recipients
// placed anew (placing.go): both may still refuse it.
//
// # Goroutines
//
// A Message belongs to the goroutine that calls its methods, and none of them blocks, but
// Submit, Write and Copy, which say so. What is done for it elsewhere before Finish has a
// copy, so that the caller can drop the message at any time. From Finish on it belongs to
// its steps: a step that has to wait or compute goes on another goroutine, of
// Entrance.Convert or of package dkim, and the next step follows on that one. done is
// called on the goroutine of the last step, mostly one of the store; from then on the
// Message is the caller's again, and Reset prepares it for the next one. A message that is
// finished can't be dropped: it is stored, or done gets the error.
//
// # Errors
//
// A recipient without a mailbox is told by Recipient. EndHeader and Refusal have the
// reply for a message that is at fault itself. All other errors come from the store.
package incoming
