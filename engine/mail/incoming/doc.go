// Package incoming brings messages into the store. Each program or protocol that has a
// message, SMTP for example, makes a [Message] of it:
//
//	m.Init(entrance, done)        // once; a Message is used again for the next message
//	m.Begin(reversePath, mayRelay)
//	m.Recipient(rcpt)             // for each; returns how the recipient was routed
//	m.Open(&from)                 // begins the draft, with the Received field, and the check
//	m.Append(run)                 // any number of times, cut anywhere
//	m.Finish(&end)                // done gets a Receipt or an error, once
//
// A Message is given facts (From, End), and does not know its connection. The [Entrance]
// has what is the same for all messages. Programs on this host, the web client and sendmail
// have a whole text: [Entrance.Submit] makes the Message for them. [Message.Write] stores
// what this host writes itself, [Message.Copy] what it copies.
//
// # While it comes
//
// The header of a message from our own users is kept until it has ended. Then it is
// completed (message.Completion), the From and Sender fields are compared with the addresses
// of the account, and the signature begins: see header.go. A message from another client has
// a [Check] (From.Check), which sees each run and returns what is to be stored of it. A
// client has to wait while Backlog is large, or the check is full (IsFull); Notify tells when
// it may go on.
//
// # Steps
//
// Finish carries out these steps, in this order (steps.go). Each may end the message with a
// reply of its own (Refusal) or with an error.
//
//  1. finishHeader refuses a message for its header.
//  2. routeForwarded routes the recipients again if the message was at an alias before, and
//     refuses it if all of them are in a loop (placing.go).
//  3. finishCheck waits for the check, and judge carries out what it has found (check.go):
//     it refuses the message, or puts a field in front of it.
//  4. routeNotified routes the recipients again if the check lets the sender have
//     notifications of success.
//  5. commit fills in the delivery. From here on the message is not dropped any more.
//  6. convert converts a binary message to lines of text (convert.go).
//  7. sign finishes the signature (package dkim).
//  8. address makes the trace fields (trace.go), and the store gets the delivery.
//
// # Goroutines
//
// A Message belongs to the goroutine that calls its methods. Submit, Write and Copy block;
// the other methods don't. From Finish on the Message belongs to its steps: a step that
// waits or computes runs on another goroutine (of Entrance.Place, the check, Entrance.Convert
// or package dkim), and the next step follows on that goroutine. done is called once,
// mostly on a store goroutine. Then the Message is the caller's again, and Reset
// prepares it for the next message.
//
// Drop may be called at any time by the goroutine that called Finish. Before Finish it ends
// the message at once, without done. After Finish it ends the check, and the message at its
// next step, with ErrDropped; a message that is past commit is stored all the same. What a
// message has booked (its draft, its check, what the store expects) is given back before
// done. A step that panics fails its message only.
//
// # Errors
//
// Recipient reports a recipient without a mailbox. Refusal is the reply to a message that is
// at fault itself. ErrDropped and ErrNoRoom, a pool without room, and errors of the store are
// the rest; a client that is told of them may try again.
package incoming
