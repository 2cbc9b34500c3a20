// Package pop3 is the grammar of POP3: commands from lines, and the fixed forms
// of responses. RFC 1939 has the protocol, RFC 2449 the extension mechanism with
// CAPA and response codes, RFC 3206 the codes SYS and AUTH, RFC 6856 the commands
// UTF8 and LANG.
//
// Parse borrows the line and allocates nothing; the Append functions append to
// dst. Lines are found by package line with the limit MaxLine. What a command
// means, and when it may be given, is the business of engine/protocol/pop3d.
//
// # What is read generously, and what isn't
//
// Keywords are read in any case (RFC 1939 section 3), and blanks at the end of a
// line are forgiven, except after PASS: a password may have any. Numbers are
// digits and nothing else: no sign, no blanks before them, nothing after them.
// Arguments that a command does not have are an error, so that "QUIT please",
// or the tail of some other protocol's line, never deletes mail.
package pop3
