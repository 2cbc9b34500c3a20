package transfer

import (
	"bytes"
	"strconv"

	"postrider/codec/message"
)

// top is what a message begins with.
type top struct {
	skip    int  // octets that are not part of it
	field   bool // a header field follows
	blank   bool // an empty line follows: the header is empty
	deleted bool // Mozilla has deleted it
}

// maxTop is how much of a message is looked at for that.
const maxTop = 32 << 10

// outlook is the line on top of a header that was copied out of Outlook.
var outlook = []byte("Microsoft Mail Internet Headers Version 2.0")

// topOf looks at the beginning of a message: From_ lines, quoted or not, and Outlook's
// line are not part of it. In a file, a byte order mark and empty lines before the
// header are not part of it either.
func topOf(text []byte, file bool) (t top) {
	rest := text
	if file {
		rest = bytes.TrimPrefix(rest, []byte("\ufeff"))
	}
	for len(rest) > 0 {
		line, after, _ := bytes.Cut(rest, []byte("\n"))
		line = bytes.TrimRight(line, "\r")
		if !isEnvelope(line) && !bytes.Equal(bytes.TrimSpace(line), outlook) && !(file && len(line) == 0) {
			break
		}
		rest = after
	}
	t.skip = len(text) - len(rest)
	t.blank = bytes.HasPrefix(rest, []byte("\n")) || bytes.HasPrefix(rest, []byte("\r\n"))
	for {
		f, after, ok := message.Next(rest)
		if !ok {
			return t
		}
		t.field, rest = true, after
		switch {
		case f.Is("X-Mozilla-Status"):
			// Mozilla writes it before what came with the message; further down a sender could.
			n, err := strconv.ParseUint(string(f.Unfolded()), 16, 16)
			t.deleted = err == nil && n&0x0008 != 0
			return t
		case f.Is("Received"), f.Is("Return-Path"), f.Is("Delivered-To"):
			return t
		}
	}
}

// isEnvelope reports whether a line is a From_ line, "From " or ">From ", and no field
// of that name.
func isEnvelope(line []byte) bool {
	rest, ok := bytes.CutPrefix(bytes.TrimLeft(line, ">"), []byte("From "))
	return ok && !bytes.HasPrefix(bytes.TrimLeft(rest, " \t"), []byte(":"))
}
