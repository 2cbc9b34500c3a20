// Package dsn writes delivery status notifications: the mail by which a mail
// system tells a sender that a message failed, is late, or has arrived. It is
// pure: a [Report] in, the octets of a message out.
//
// # The standards
//
// RFC 6522 is the envelope of three parts, RFC 3464 the part that programs read,
// RFC 3463 its status codes, RFC 3461 the SMTP extension (NOTIFY, RET,
// ENVID, ORCPT), RFC 3834 the Auto-Submitted field that keeps answering machines
// from answering, RFC 6533 addresses beyond ASCII. The first part is for people,
// in the shape and the familiar words of Postfix: people who run mail systems, and
// the programs that sort their returned mail, have known them for 25 years.
//
// # How it is used
//
// The caller decides. [Wants] reports whether a recipient's NOTIFY asks for a report
// of some kind and [Whole] how much of the message comes back; [HeaderOf] cuts a
// header out. [Append] then writes the message from its header on, in plain form:
// lines end with CRLF, dots are not stuffed, trace fields are not there. It goes
// out with the null reverse-path (RFC 3461 section 6.1), with BODY=8BITMIME where
// it has octets over 127, and with SMTPUTF8 where [Report.NeedsUTF8] says so. A message
// with the null reverse-path has no sender to notify; a report about it
// (DoubleBounce) goes to the postmaster or nowhere.
//
// # What it promises
//
// The result has three parts, or two when it is Bare. Each line has at most 998 octets,
// and no CR or LF is bare, whatever the Report holds. What others wrote (addresses, replies of servers) can't
// begin a line or a field: controls come out as "?", and so does what is beyond
// ASCII where the report does not speak UTF-8. The boundary does not occur in what
// is returned; it is found in linear time, also in a message that was written to
// collide with it.
//
// # The returned message
//
// The message comes back as it was sent, with one exception: a line over 998 octets goes on in
// the next line after a blank, which in a header is the folding of RFC 5322. A
// returned message is there to be recognized, not to be sent again, and the blank
// shows what was done. Dropped: an encoding, because RFC 2046 section 5.2.1
// allows none for message/rfc822; returning the header only, because a line too long
// is often the very reason why a message came back, and its sender has to see it.
package dsn
