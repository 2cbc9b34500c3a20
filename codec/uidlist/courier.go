package uidlist

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
)

// Courier is a courierpop3dsizelist.
type Courier struct {
	Messages []CourierMessage // in the order of the file, which is that of the messages
	Wrong    int              // lines that were not understood
}

// CourierMessage is a line of a courierpop3dsizelist.
type CourierMessage struct {
	File string // the file's name, perhaps with flags
	UIDL string // as Courier's server sends it
}

// ReadCourier reads a courierpop3dsizelist.
func ReadCourier(r io.Reader) (*Courier, error) {
	c, headless := new(Courier), false
	err := read(r, func(line []byte) error {
		if headless = len(line) > 0 && line[0] != '/'; !headless {
			if !courierHeader(line) {
				return &FormatError{1, "not a courierpop3dsizelist of version 1, 2 or 3"}
			}
			return nil
		}
		if c.add(line, true); c.Wrong > 0 {
			return &FormatError{1, "not a courierpop3dsizelist: expected \"/2 <number> <number>\""}
		}
		return nil
	}, func(line []byte) { c.add(line, headless) })
	if err != nil {
		return nil, err
	}
	return c, nil
}

// courierHeader reports whether line is the first line of version 1, 2 or 3.
func courierHeader(line []byte) bool {
	if len(line) < 4 || line[0] != '/' || line[1] < '1' || line[1] > '3' || line[2] != ' ' {
		return false
	}
	_, _, ok := number(line[3:])
	return ok
}

// add reads a line of a message.
func (c *Courier) add(line []byte, headless bool) {
	name, numbers, ok := cutLast(line)
	if ok && !headless {
		var size []byte
		if name, size, ok = cutLast(name); ok {
			_, after, digits := number(size)
			ok = digits && len(after) == 0
		}
	}
	n, rest, digits := number(numbers)
	validity, more := uint64(0), true
	if len(rest) > 0 && !headless {
		if validity, rest, more = number(rest[1:]); more && len(rest) > 1 {
			_, rest, more = number(rest[1:]) // whether the header is UTF-8
		}
	}
	if !ok || !digits || !more || len(rest) > 0 || len(name) == 0 || !onlyColons(numbers) {
		c.Wrong++
		return
	}
	m := CourierMessage{File: string(name)}
	switch {
	case n == 0:
		m.UIDL = courierName(m.File)
	case validity == 0:
		m.UIDL = "UID" + strconv.FormatUint(n, 10)
	default:
		m.UIDL = fmt.Sprintf("UID%d-%d", n, validity)
	}
	c.Messages = append(c.Messages, m)
}

// onlyColons reports whether text is digits and colons.
func onlyColons(text []byte) bool {
	for _, c := range text {
		if c != ':' && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// cutLast cuts a line at its last space.
func cutLast(line []byte) (before, after []byte, ok bool) {
	i := bytes.LastIndexByte(line, ' ')
	if i < 0 {
		return line, nil, false
	}
	return line[:i], line[i+1:], true
}

// courierName is the unique-id that Courier makes of a file's name: up to the flags, with
// some octets by their numbers.
func courierName(name string) string {
	var uidl []byte
	for i := 0; i < len(name) && name[i] != ':'; i++ {
		switch c := name[i]; {
		case c < 0x21, c > 0x7e, c == '\'', c == '"', c == '+':
			uidl = fmt.Appendf(uidl, "+%02X", c)
		default:
			uidl = append(uidl, c)
		}
	}
	return string(uidl)
}
