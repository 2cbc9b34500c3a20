// Package entity reads and writes messages of several parts: MIME entities
// (RFC 2045 section 2.4) and files that are uuencoded within the text.
//
// [Reader] goes through a message once and hands over each leaf, decoded, as a
// stream; [Walk] is the same with a function. A message is never whole in memory:
// 64 KiB and one header are. [ReadHead] reads the header alone, for listings.
// [Draft] writes a message. All know the plain form of RFC 5322, not the wire form
// with its stuffed dots, and do no I/O but by the readers and writers they are given.
//
// # What is read
//
// Mail as it is, not as it should be. A header that isn't one ends where it stops
// looking like one, and the rest is body. A parameter that can't be read is left out, a
// part without an end goes to the end of what contains it, base64 with characters
// that are none is read without them, text of an unknown charset is shown as UTF-8 or
// as Windows-1252, whichever it looks like. What can't be decoded gives what could be,
// and then an error that wraps [ErrDamaged] and names the part.
//
// [ReadText], [ReadAddresses] and [ReadDate] read values of header fields, piece by
// piece: what can't be read stays as it is and does not affect the rest. All code
// that shows a field uses them, so that pages, terminal, API and export agree.
//
// A message/rfc822 part is a file, as in most mail programs: what it contains is not
// mixed with what contains it. So is a multipart deeper than [Limits.Depth].
//
// # What is used, and what not
//
// Charsets come from golang.org/x/text, and writing parts is emersion/go-message's.
// Splitting into parts is done here, in some hundred lines: package mime/multipart and
// go-message's form of it give up at the first line of a part's header that is none, which
// ended 10 of the 3,061 messages of the test corpus before their end, and neither tells a
// part that was cut off. So are parameters: package mime knows RFC 2231 in two charsets,
// and drops all parameters for one that is wrong.
package entity
