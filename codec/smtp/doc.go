// Package smtp reads and writes the words of SMTP: commands, paths, the ESMTP
// parameters of MAIL and RCPT, and replies (RFC 5321 with 1870, 2034, 3030,
// 3461, 6152, 6531). It knows one line at a time; the order of commands is
// engine/protocol/smtpd's. ParseReply is the client's side: it reads a server's reply.
//
// # What it promises
//
// Parsers borrow: what they return points into the line that was given, which
// must stay unchanged while it is in use; Clone and Keep copy. They allocate
// only for a quoted local part with a backslash and for an address literal,
// both rare. A parser that refuses returns the Reply that says so, ready to be
// sent. No path or parameter value that came through a parser holds a control
// octet, so it may be written into a reply, a header or a log line as it is.
//
// # What it tolerates, and what not
//
// As people type it: any case, blanks after the colon, missing angle brackets,
// blanks at the end of the line, a dot at the end of a domain, underscores in a
// domain, dots anywhere in a local part ("a..b", "a.", which are written with quotes).
// Source routes are read and dropped (RFC 5321 appendix C); "%" and "!"
// are ordinary characters. Not tolerated: control octets anywhere, octets over
// 127 without SMTPUTF8, a parameter that is unknown, repeated or not offered.
//
// A local part may be as long as its path, which has at most 256 octets as it is
// written (RFC 5321 section 4.5.3.1: where possible no limit should be imposed).
// Bulk mail, lists and ticket systems put whole addresses and tokens into it, and
// refusing them would lose mail that every other server takes. Names of accounts keep
// to the 64 octets of section 4.5.3.1.1.
package smtp
