package uu

import (
	"bytes"
	"encoding/base64"
	"strconv"
)

// maxMode is the most digits of a mode. GNU's uudecode takes any number of them.
const maxMode = 21

// ParseBegin reads the line that begins a file, without its line end: all that GNU's
// uuencode writes, its encoded names (begin-encoded) included, and what its uudecode
// takes: a mode of any octal digits, of which the permissions count, and any blanks
// around it. A sentence can look like such a line ("begin 644 times"): see what comes
// after it.
func ParseBegin(line []byte) (h Header, ok bool) {
	rest, ok := bytes.CutPrefix(line, []byte("begin"))
	if !ok {
		return h, false
	}
	rest, h.Base64 = bytes.CutPrefix(rest, []byte("-base64"))
	rest, encoded := bytes.CutPrefix(rest, []byte("-encoded"))
	if len(rest) == 0 || rest[0] != ' ' {
		return Header{}, false
	}
	rest = bytes.Trim(rest, " \t\r\n")
	end := bytes.IndexAny(rest, " \t")
	if end < 0 || end > maxMode {
		return Header{}, false
	}
	mode, err := strconv.ParseUint(string(rest[:end]), 8, 64)
	name := bytes.TrimLeft(rest[end:], " \t")
	if encoded && err == nil {
		name, err = base64.StdEncoding.AppendDecode(nil, name)
	}
	if err != nil || len(name) == 0 {
		return Header{}, false
	}
	h.Mode, h.Name = uint32(mode&0o7777), string(name)
	return h, true
}

// IsLine reports whether a line, without its line end, can be one of octets, the
// line of zero octets or the end: what has to come after a begin line.
func IsLine(line []byte) bool {
	line = bytes.TrimRight(line, "\r")
	if isEnd(line) {
		return true
	}
	d := Decoder{state: within}
	d.takeLine(nil, line)
	return d.err == nil
}

// takeBase64 decodes a line of base64, which is whole groups of four.
func (d *Decoder) takeBase64(dst, line []byte) (out []byte, ev Event) {
	line = bytes.Trim(line, " \t")
	if string(line) == "====" {
		d.state = outside
		return dst, End
	}
	if d.state == padded && len(line) > 0 {
		d.fail("%s after the end of the base64: expected \"====\"", quoted(line))
		return dst, More
	}
	out, err := base64.StdEncoding.AppendDecode(dst, line)
	if err != nil {
		d.fail("%s is not base64 in groups of four: %v", quoted(line), err)
		return dst, More
	}
	if bytes.HasSuffix(line, []byte("=")) {
		d.state = padded
	}
	return out, More
}
