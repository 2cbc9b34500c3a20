// Package screen finds out about untrusted clients and their mail, and refuses what the
// settings refuse. It asks DNS: reverse DNS with its confirmation and DNS lists before the
// greeting, SPF, DKIM and DMARC while a message comes in.
//
//	g := screen.NewGuard(settings, vetter)   // one for all sessions of a server
//	refused := g.MayConnect(ip)              // nil, or the reply
//	c := g.LookUp(ip)                        // on a goroutine that may wait, after MayLookUp
//	refused = g.Blocked(ip, &c)
//
//	check := g.Begin(screen.Envelope{...})   // an incoming.Check, for From.Check
//
// A [Vetter] and its checks find facts; package policy judges them; a [Guard] has the rules
// of [Settings], counts how often clients come, and counts refusals by reason. Package
// incoming calls the check of a message while it comes and at its end (screening.go): it
// learns what is stored of the message, the Authentication-Results field, whether the message
// is refused, and whether its sender may be notified of success.
//
// # How a message is checked
//
// A signature can be checked only over the whole message, and the message must not be
// in memory as a whole. So a Check is a goroutine that reads a copy of what arrives,
// and hashes as it comes. The copy is bounded: a caller asks IsFull before it takes more
// from the client, and WhenRoom calls it when there is room again. Keys, and SPF, are looked
// up beside that; when the message ends, most answers are there. Then the rules of the Guard
// are applied on a goroutine of the check, which goes on with the steps of the message.
//
// # What a message may cost
//
// The header is kept once, up to 64 KiB. Of a larger one the From fields are still found,
// so DMARC is no less strict; signatures are a permerror. Eight signatures are checked, with
// one hash of the body for each canonicalization. Package codec/dkim has the bounds of what
// a signature and a key may be. SPF may ask 100 questions, all else 18. The memory of a
// check is booked (Memory): where there is none, the check is not made, and the Verdict is
// Busy. Once Finish was called the time that it was given ends all work, and Abort ends it
// at once.
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
package screen
