package uu

import (
	"bytes"
	"encoding/base64"
	"strconv"
)

// ParseBegin reads the line that begins a file, without its line end. A sentence can
// look like one ("begin 644 times"): see what comes behind it.
func ParseBegin(line []byte) (h Header, ok bool) {
	rest, ok := bytes.CutPrefix(line, []byte("begin"))
	if !ok {
		return h, false
	}
	if after, is := bytes.CutPrefix(rest, []byte("-base64")); is {
		h.Base64, rest = true, after
	}
	words := bytes.SplitN(rest, []byte(" "), 3)
	if len(words) < 3 || len(words[0]) > 0 || len(words[1]) < 3 || len(words[1]) > 4 {
		return h, false
	}
	mode, err := strconv.ParseUint(string(words[1]), 8, 16)
	name := bytes.Trim(words[2], " \t\r\n")
	if err != nil || len(name) == 0 {
		return h, false
	}
	h.Mode, h.Name = uint32(mode), string(name)
	return h, true
}

// IsLine says whether a line, without its line end, can be one of octets, the
// line of zero octets or the end: what has to come behind a line of begin.
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
		d.fail("%s stands behind the end of the base64, where \"====\" has to", quoted(line))
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
