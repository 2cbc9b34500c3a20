// Package mbox reads and writes mailboxes in the mbox form of Unix: messages one
// after the other, each after a line "From SENDER DATE" and before an empty
// line. It does no I/O of its own beyond the io.Reader that a [Reader] is given.
//
// # What is written
//
// mboxrd: a body or header line of any number of ">" and then "From " gets one
// more ">", which a reader takes away again, so that every message comes back
// octet for octet. A message that ends in the middle of a line gets a line end.
// Line ends are as the caller has them; other tools on Unix expect LF. The date
// is asctime's, in UTC (RFC 4155); see [Writer] for the one exception.
//
// # What is read
//
// mboxrd with LF or CRLF, after a byte order mark or not. Files of other programs
// quote less, and leave empty lines out, so what a line is depends on all of it.
// A line that begins with "From " begins a message
//
//   - if a sender and a date that can be read follow, with or without an empty
//     line before it (Dovecot's rule);
//   - without a date, if an empty line is before it, or the beginning of the
//     file, and a header field in the next line.
//
// All other lines are text and stay. Close decisions are reported to
// Reader.Doubt.
//
// The older forms mboxo and mboxcl differ only in that lines that had a ">"
// of their own lose it, which can't be seen from the file. mboxcl2 quotes nothing
// and has a Content-Length in each header. It is wrong in many files, so it counts
// only where it agrees with the file: where the body ends by it, the file
// ends, or a From_ line with a date follows. Then no line within the body
// begins a message.
package mbox

import (
	"time"

	"postrider/codec/quote"
)

var rule = quote.Rule{Word: "From "}

// Writer writes messages in mboxrd form, by appending. The zero Writer is ready.
type Writer struct {
	// OwnLength: the message that begins has a Content-Length, see HasLength. It may
	// say anything, and a reader must not follow it over the beginning of the next
	// message: the From_ line gets a zone after its year, which tells a [Reader] so.
	OwnLength bool

	q    quote.Quoter
	last byte
}

// zoned is the date of a message with a Content-Length.
const zoned = time.ANSIC + " -0700"

// Begin appends the From_ line of a message. The empty sender is MAILER-DAEMON.
func (w *Writer) Begin(dst []byte, sender string, at time.Time) []byte {
	w.q, w.last = quote.Quoter{Rule: rule}, '\n'
	dst = append(dst, rule.Word...)
	if sender == "" {
		sender = "MAILER-DAEMON"
	}
	for i := range len(sender) {
		c := sender[i]
		if c <= ' ' || c == 0x7f {
			c = '_' // the date begins after the first space
		}
		dst = append(dst, c)
	}
	dst = append(dst, ' ')
	layout := time.ANSIC
	if w.OwnLength {
		layout = zoned
	}
	dst = at.UTC().AppendFormat(dst, layout)
	return append(dst, '\n')
}

// Append appends the next octets of the message, cut anywhere.
func (w *Writer) Append(dst, run []byte) []byte {
	if len(run) > 0 {
		w.last = run[len(run)-1]
	}
	return w.q.Append(dst, run)
}

// End appends what ends the message.
func (w *Writer) End(dst []byte) []byte {
	dst = w.q.Flush(dst)
	if w.last != '\n' {
		dst = append(dst, '\n')
	}
	return append(dst, '\n')
}
