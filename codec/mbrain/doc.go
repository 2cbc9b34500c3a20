// Package mbrain reads and writes the text form of a maildrop: one text file for
// an account, MBRAIN.TXT for the account mbrain, to which each message is
// appended in the order of arrival. It is the simple e-mail server's file from
// "How E-mail Works", which a person reads with any editor:
//
//	From: jsmith
//	To: mbrain
//	Marshall,
//	Can we have lunch Monday?
//	John
//
// # The form
//
// A file is entries, one after the other. An entry is
//
//   - a line "From: " and the sender: the address of the From field, else the
//     reverse-path, else MAILER-DAEMON;
//   - header lines, each at most once: "To: ", and when there is something to say
//     "Date: " and "Subject: ", and in a raw entry "Arrived: ", "UIDL: " and
//     "Octets: ". UIDL comes after Arrived only.
//     They are written in this order; a reader takes them in any order and case,
//     and the first line that is none of these, or was there already, ends them;
//   - the text, which goes to the next line that begins with "From:" or to the
//     end of the file.
//
// An empty line between header lines and text is not part of the text. One is
// written where the text could be misread without it: when its first line is
// empty or begins with one of the names above and a colon.
//
// The separator is a line that begins with "From:", in any case. A line of text
// that is any number of ">" and then "From:" in any case gets one more ">", and a
// reader takes one away; a line begins at the start of the text, after LF and
// after CR. So cutting a file at each line that begins with "From:" gives exactly
// the messages, to a program that knows nothing else.
//
// In a plain entry the text is for people: it ends with a line end (one is put
// there), and is written as it is otherwise. Attachments are in it as uuencoded
// files (package uu). In a raw entry it is a whole message octet for octet, line ends, NUL and all: "Octets: n" gives its length (before
// quoting), an empty line always comes before it, and after it one LF that is not
// part of it. "Arrived: " is the time of arrival (RFC 3339), "UIDL: " the unique-id
// that POP3 clients know the message by.
//
// Header lines are UTF-8 without controls, of at most 4,096 octets; lines end
// with LF, and CRLF is understood except inside of a raw text.
//
// # File names
//
// [FileName] is the account's name in upper case and ".TXT". Letters of ASCII,
// digits, "-", "_", "+" and "." (not as the first) stay; each other octet is "%"
// and two hexadecimal digits. An account of another domain than the default one
// has "@" and the domain, written likewise, after its name: JSMITH@EXAMPLE.NET.TXT.
// [ParseFileName] undoes it.
//
// # Errors
//
// A file that can't be understood gives a [FormatError] with the number of the
// line. Memory is bounded whatever the file holds.
package mbrain

import "strconv"

// FormatError has where and why a file can't be understood.
type FormatError struct {
	Line int // from 1
	Text string
}

func (e *FormatError) Error() string { return "line " + strconv.Itoa(e.Line) + ": " + e.Text }
