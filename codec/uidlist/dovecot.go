package uidlist

import (
	"bytes"
	"io"
	"math"
)

// Dovecot is a dovecot-uidlist.
type Dovecot struct {
	Validity uint32    // UIDVALIDITY
	Messages []Message // in the order of the file, which is that of their UIDs
	Wrong    int       // lines that were not understood
}

// Message is a line of a dovecot-uidlist.
type Message struct {
	UID   uint32
	File  string // the file's name, perhaps with flags
	Kept  bool   // the message has a unique-id that Dovecot has not made
	UIDL  string // that unique-id; "": the file's name without flags
	GUID  string // "": the file's name without flags
	Order uint32 // place in the order of POP3; 0: after the messages that have one
}

// ReadDovecot reads a dovecot-uidlist.
func ReadDovecot(r io.Reader) (*Dovecot, error) {
	d, extended := new(Dovecot), false
	err := read(r, func(line []byte) error {
		var ok bool
		if extended, ok = d.header(line); !ok {
			return &FormatError{1, "not a dovecot-uidlist: expected \"3 V<number> N<number>\" or \"1 <number> <number>\""}
		}
		return nil
	}, func(line []byte) {
		m, ok := dovecotLine(line, extended)
		if !ok {
			d.Wrong++
			return
		}
		d.Messages = append(d.Messages, m)
	})
	if err != nil {
		return nil, err
	}
	return d, nil
}

// header reads the first line.
func (d *Dovecot) header(line []byte) (extended, ok bool) {
	version, rest, _ := bytes.Cut(line, []byte{' '})
	switch string(version) {
	case "1":
		validity, rest, ok := number32(rest)
		if !ok || len(rest) == 0 || rest[0] != ' ' || validity == 0 {
			return false, false
		}
		d.Validity = validity
		_, _, ok = number(rest[1:])
		return false, ok
	case "3":
		for len(rest) > 0 {
			var field []byte
			field, rest, _ = bytes.Cut(rest, []byte{' '})
			if len(field) == 0 || field[0] != 'V' {
				continue
			}
			validity, after, ok := number32(field[1:])
			if !ok || len(after) > 0 {
				return true, false
			}
			d.Validity = validity
		}
		return true, d.Validity != 0
	}
	return false, false
}

// dovecotLine reads a line of a message.
func dovecotLine(line []byte, extended bool) (m Message, ok bool) {
	uid, rest, ok := number32(line)
	if !ok || uid == 0 || uid == math.MaxUint32 || len(rest) == 0 || rest[0] != ' ' {
		return m, false
	}
	m.UID = uid
	rest = bytes.TrimLeft(rest, " ")
	if extended {
		if rest, ok = m.fields(rest); !ok {
			return m, false
		}
	}
	if len(rest) == 0 || bytes.IndexByte(rest, '/') >= 0 {
		return m, false
	}
	m.File = string(rest)
	return m, true
}

// fields reads the fields of a line and returns the file name after them.
func (m *Message) fields(line []byte) (name []byte, ok bool) {
	for len(line) > 0 {
		if line[0] == ':' {
			return line[1:], true
		}
		var field []byte
		field, line, _ = bytes.Cut(line, []byte{' '})
		switch value := field[1:]; field[0] {
		case 'P':
			m.Kept, m.UIDL = true, string(value)
		case 'G':
			m.GUID = string(value)
		case 'O':
			if n, after, ok := number32(value); ok && len(after) == 0 {
				m.Order = n
			}
		}
		line = bytes.TrimLeft(line, " ")
	}
	return nil, false
}
