package incoming

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"strings"

	"postrider/codec/message"
	"postrider/storage"
)

// maxHeader bounds a header, which is held in memory.
const maxHeader = 1 << 20

// maxName is how far a line is read to see whether it is a field.
const maxName = 1 << 10

// readHeader reads the fields before the body, and the empty line after them. in is at the
// body then. reserve books the memory before the header takes it.
func readHeader(in *bufio.Reader, reserve func(octets int64) error) (header []byte, err error) {
	for first := true; ; first = false {
		start, err := in.Peek(maxName)
		if len(start) == 0 && err == io.EOF {
			return header, nil
		}
		if err != nil && err != io.EOF {
			return nil, err
		}
		line := start
		if end := bytes.IndexByte(start, '\n'); end >= 0 {
			line = start[:end+1]
		}
		envelope := first && bytes.HasPrefix(line, []byte("From "))
		if !envelope && !isField(line, len(header) > 0) {
			if len(bytes.TrimRight(line, "\r\n")) == 0 {
				_, err = in.Discard(len(line))
				return header, err
			}
			return header, nil // mail without an empty line: the body begins here
		}
		if line, err = readLine(in, maxHeader-len(header), reserve); err != nil {
			return nil, err
		}
		if !envelope {
			header = append(header, line...)
		}
	}
}

// isField reports whether line is a field, or continues the field before it.
func isField(line []byte, after bool) bool {
	if after && (line[0] == ' ' || line[0] == '\t') {
		return true
	}
	_, _, ok := message.Next(line)
	return ok
}

// headerCopies is how many copies of a header are in memory: as it came, completed, in wire
// form, and in the draft.
const headerCopies = 4

// readLine reads a line of at most limit octets, and adds a missing line end.
func readLine(in *bufio.Reader, limit int, reserve func(octets int64) error) ([]byte, error) {
	var line []byte
	for {
		piece, err := in.ReadSlice('\n')
		if err := reserve(headerCopies * int64(len(piece))); err != nil {
			return nil, err
		}
		if line = append(line, piece...); len(line) > limit {
			return nil, fmt.Errorf("%w: the header is longer than %d octets", storage.ErrInvalid, maxHeader)
		}
		switch {
		case err == nil:
			return line, nil
		case err == io.EOF:
			return append(line, '\n'), nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}

// addressed returns the recipients that a header names, and the entries that can't be read.
func addressed(header []byte) (found, bad []string) {
	var plain, resent, plainBad, resentBad []string
	for text := header; ; {
		f, rest, ok := message.Next(text)
		if !ok {
			break
		}
		text = rest
		switch {
		case f.Is("To"), f.Is("Cc"), f.Is("Bcc"):
			found, bad := readList(string(f.Unfolded()))
			plain, plainBad = append(plain, found...), append(plainBad, bad...)
		case f.Is("Resent-To"), f.Is("Resent-Cc"), f.Is("Resent-Bcc"):
			found, bad := readList(string(f.Unfolded()))
			resent, resentBad = append(resent, found...), append(resentBad, bad...)
		}
	}
	if len(resent)+len(resentBad) > 0 {
		return resent, resentBad
	}
	return plain, plainBad
}

// fromField makes a From field's value.
func fromField(name, address string) string {
	name = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(name, "?"))
	switch coded := mime.BEncoding.Encode("utf-8", name); { // Q would leave specials as they are
	case strings.TrimSpace(name) == "":
		return "<" + address + ">"
	case coded != name:
		return coded + " <" + address + ">"
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `" <` + address + ">"
}
