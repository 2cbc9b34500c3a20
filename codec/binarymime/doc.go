// Package binarymime turns a message that came as BODY=BINARYMIME into lines of text
// that SMTP's DATA and POP3 can carry, as RFC 3030 section 3 asks of a host whose next
// hop does not offer BINARYMIME. It does no I/O and keeps no input.
//
// # Two passes
//
// The conversion of a part depends on all of it, and changes its header. So a
// message is read twice, in plain form and in pieces cut anywhere: a [Survey] finds its
// parts and makes a [Plan], then a [Converter] with that plan appends the message as
// lines. Both walk the message by the same code (walker).
//
// # What becomes of a part
//
//   - A part whose lines are text (CRLF ends each, no CR, LF or NUL elsewhere, at most
//     998 octets) stays octet for octet. If its Content-Transfer-Encoding was binary, it
//     is 7bit or 8bit now.
//   - Another part becomes base64: decoded, it is what it was, octet for octet.
//   - A part that came in base64 or quoted-printable, and whose lines are not text, gets
//     lines. One in an encoding that is not known gets lines too, and may lose by it.
//   - A multipart or message/rfc822 keeps its parts: RFC 2045 section 6.4 forbids base64
//     for it. Its encoding, if it was binary, is 7bit or 8bit now. What is before its
//     first and after its last part gets lines, with a blank for a CR or NUL. No reader
//     can read a multipart without a single delimiter line: it becomes
//     application/octet-stream in base64.
//   - A message without Content-Type, with a body that becomes base64, gets one:
//     text/plain with the charset us-ascii, utf-8, or unknown-8bit (RFC 1428), or, where
//     it has a NUL, application/octet-stream. It gets MIME-Version if it has none.
//   - Header lines end with LF or CRLF. Other CRs and NULs in them become blanks. A line
//     that is no header field ends the header, as with Postfix and Sendmail, and is the
//     first of the body.
//
// A delimiter line begins after CRLF or LF. A message that is in form already comes out
// as it is.
//
// # What it promises
//
// Time is linear in the input. Memory is bounded by the limits below, whatever comes: a
// message beyond them is refused with an error that wraps [ErrLimit] ("conversion
// required but not supported" in the words of RFC 3463, 5.6.3).
//
// # Signatures
//
// A DKIM or ARC signature covers the body, and a multipart/signed its first part, as it
// came: they can't be verified any more once it was changed. The plan says so
// (Plan.Broken), for the log and a trace field. Before the conversion is the time to
// verify them.
package binarymime
