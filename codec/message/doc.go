// Package message reads and writes what postrider needs of the header of a mail
// message (RFC 5322) and nothing of its body. It is pure: bytes in, values out.
//
//   - [Head] looks at a message while it comes in, in runs cut anywhere and in
//     wire form (dots stuffed, CRLF): where the header ends, how many Received
//     fields it has, its earlier Delivered-To addresses, and clips of the fields
//     that a log line or a listing shows. It allocates nothing and, once the
//     header has ended, does nothing.
//   - [AppendReceived], [AppendReturnPath] and [AppendDeliveredTo] write the trace
//     fields of RFC 5321 section 4.4. What a peer said is made harmless first: it
//     can't begin a line, end a comment or end the field.
//   - [Next], [Find], [Mailboxes] and [Address] read a header that is whole in memory, without
//     stuffed dots, for export and listings. They are not for hot paths.
//
// # Where a header ends
//
// At the empty line, which still counts as header. Mail without one exists: then
// the body begins at the first line that is neither a field nor the continuation
// of one (RFC 5322 section 2.2), and that line is body. A field is a name of
// printable ASCII, perhaps white space (obsolete syntax, section 4.5), a colon. A
// line ends with LF; the CR before it belongs to the line end. Reading a lone LF
// as a line end counts more Received fields rather than fewer, which is the
// safe side for a loop; telling a lone LF to the sender is the edge's business.
//
// # Tried and dropped
//
// Handing whole lines to a callback: a line may be cut by a run anywhere, so it
// needs a line buffer or an allocation, and nine of ten lines are of no interest.
package message
