// Package entity reads and writes messages of several parts: MIME entities
// (RFC 2045 section 2.4) and files that are uuencoded within the text.
//
// [Walk] goes through a message once and hands over each leaf, decoded, as a
// stream; a message is never whole in memory. [ReadHead] reads the header alone,
// for listings. [Draft] writes a message. Both know the plain form of RFC 5322
// with CRLF, not the wire form with its stuffed dots. Nothing here does I/O but by
// the readers and writers that it is given.
package entity
