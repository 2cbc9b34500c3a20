// Package vetting asks DNS about clients and their mail: reverse DNS with its
// confirmation and DNS lists before the greeting, SPF, DKIM and DMARC while a message
// comes in. It finds facts; package policy decides.
//
//	c := vetter.Client(ctx, ip, true)        // on a goroutine that may wait
//
//	check := vetter.Begin(vetting.Envelope{...})
//	check.Write(octets)                      // each run of the message, in wire form
//	check.Finish(timeout, report)            // report runs on a goroutine: see Result
//	verdict := check.Verdict()
//
// # How a message is checked
//
// A signature can be checked only over the whole message, and the message must not be
// in memory as a whole. So a Check is a goroutine that reads a copy of what arrives,
// and hashes as it comes. The copy is bounded: a caller looks at Backlog before it
// takes more from the client, and is called by Notify when there is room again. The
// goroutine waits for DNS only when it has read the header, and SPF is looked up
// beside it; when the message ends, most answers are there.
//
// # Failures
//
// A name server that does not answer is a TempError, never a lost or refused message.
// A signature that can't be read is a PermError. Neither lets DMARC pass, and DMARC
// with a TempError in it asks for nothing.
//
// # Fields that others have forged
//
// An Authentication-Results field with our name in it that comes from outside is a lie
// by definition (RFC 8601 section 5). [Sift] takes it out of the header as it streams
// by. The check still sees it: a signature may cover it.
package vetting
