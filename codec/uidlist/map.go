package uidlist

import (
	"bytes"
	"fmt"
	"io"

	"postrider/codec/pop3"
)

// ReadMap reads a map of keys to unique-ids: on each line a key, spaces or tabs, and the
// unique-id, which has none. A key may have spaces inside. Empty lines, and lines that begin
// with "#", say nothing.
func ReadMap(r io.Reader) (map[string]string, error) {
	in := newLines(r)
	m := make(map[string]string)
	for {
		line, err := in.next()
		if err == io.EOF {
			return m, nil
		}
		if err != nil {
			return nil, err
		}
		if line == nil {
			return nil, &FormatError{in.n, "the line is too long"}
		}
		line = bytes.Trim(line, " \t")
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		i := bytes.LastIndexAny(line, " \t")
		if i < 0 {
			return nil, &FormatError{in.n, "expected a key, a space and a unique-id"}
		}
		key := string(bytes.TrimRight(line[:i], " \t"))
		if _, twice := m[key]; twice {
			return nil, &FormatError{in.n, fmt.Sprintf("%.100q is there twice", key)}
		}
		if !pop3.ValidUIDL(string(line[i+1:])) {
			return nil, &FormatError{in.n, fmt.Sprintf("%.100q is no unique-id: expected 1 to 70 visible characters", line[i+1:])}
		}
		m[key] = string(line[i+1:])
	}
}
