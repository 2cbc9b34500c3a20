// Package uidlist reads the files in which other servers keep the unique-ids (UIDLs) of
// their messages, and makes the unique-ids that Dovecot makes of its own:
//
//   - [ReadDovecot] reads dovecot-uidlist, versions 1 and 3, of a Maildir;
//   - [ReadCourier] reads courierpop3dsizelist, versions 1 to 3 and the one before them;
//   - [ReadMap] reads a map that an operator made, a key and a unique-id on each line;
//   - [ParseFormat] reads Dovecot's pop3_uidl_format.
//
// # dovecot-uidlist
//
// The first line is "3 V<uidvalidity> N<next uid> G<guid>", with any number of such fields
// in any order; each other line "<uid> <fields> :<file name>". A field is a letter and its
// value, up to the next space: P is the unique-id of a message that Dovecot got from another
// server (empty: it is the file's name), O its place in the order of POP3, G its guid.
// Version 1 is "1 <uidvalidity> <next uid>", and lines "<uid> <file name>".
//
// # courierpop3dsizelist
//
// The first line is "/<version> <next number> <uidvalidity>", and a line "<file name> <size>
// <number>:<uidvalidity>" is a message, in version 3 with ":<is UTF-8>" after it. The
// unique-id is UID<number>-<uidvalidity>, without an uidvalidity UID<number>, and with the
// number 0 the file's name. Before version 1 there was no first line, and a message was
// "<file name> <number>".
//
// # Errors
//
// A file whose first line is not understood is an error, a [FormatError]. Lines that are not
// understood later on are passed over and counted: a list that a crash has cut short still
// has the unique-ids of all other messages. A map is the operator's, so each wrong line of it
// is an error. Memory is bounded by what is kept: a line of more than 4,096 octets is not
// understood.
package uidlist

import "fmt"

// FormatError has where and why a file can't be understood.
type FormatError struct {
	Line int // from 1
	Text string
}

func (e *FormatError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Text) }
