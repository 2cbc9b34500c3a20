package bench

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
)

// Stuff returns message in the form that DATA carries: every line ends with
// CRLF and a line that begins with a dot has a second one put before it
// (RFC 5321 section 4.5.2). The message's lines must end with CRLF already; only
// a missing last CRLF is added. The result is a fresh slice.
func Stuff(message []byte) []byte {
	wire := make([]byte, 0, len(message)+16)
	for len(message) > 0 {
		line := message
		if end := bytes.Index(message, []byte("\r\n")); end >= 0 {
			line = message[:end+2]
		}
		if line[0] == '.' {
			wire = append(wire, '.')
		}
		wire = append(wire, line...)
		message = message[len(line):]
	}
	if !bytes.HasSuffix(wire, []byte("\r\n")) {
		wire = append(wire, "\r\n"...)
	}
	return wire
}

// Unstuff undoes Stuff, in a fresh slice.
func Unstuff(wire []byte) []byte {
	plain := bytes.ReplaceAll(append([]byte("\r\n"), wire...), []byte("\r\n."), []byte("\r\n"))
	return plain[2:]
}

// Message makes message number n of a load, in wire form and of about size
// octets: a small header, then text in lines of 72 octets that compresses well.
// Messages of different numbers differ in their Message-ID and in their text, and
// the field X-Digest holds the SHA-256 of the text, so that a reader can tell a
// whole message from half of one (see [CheckMessage]).
func Message(n, size int) []byte {
	text := make([]byte, 0, size+72)
	for line := 0; len(text) == 0 || len(text)+200 < size; line++ {
		text = fmt.Appendf(text, "message %9d line %7d: the post rider has the mail in his bag %4d\r\n", n, line, (n^line)%9973)
	}
	return message(n, text)
}

// Noise is Message with a text that doesn't compress beyond base64: what an
// attachment looks like to a store.
func Noise(n, size int) []byte {
	random := rand.NewChaCha8([32]byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)})
	text := make([]byte, 0, size+78)
	for len(text) == 0 || len(text)+200 < size {
		var octets [57]byte
		random.Read(octets[:])
		text = append(base64.StdEncoding.AppendEncode(text, octets[:]), "\r\n"...)
	}
	return message(n, text)
}

func message(n int, text []byte) []byte {
	return fmt.Appendf(nil, "From: <sender@bench.example>\r\nTo: <reader@localhost>\r\nSubject: load %d\r\n"+
		"Message-ID: <%d@bench.example>\r\nX-Digest: %x\r\n\r\n%s", n, n, sha256.Sum256(text), text)
}

// CheckMessage returns the number of a message that [Message] made, after a server
// has put its trace fields before it. It fails when the text isn't whole.
func CheckMessage(message []byte) (n int, err error) {
	header, text, ok := bytes.Cut(message, []byte("\r\n\r\n"))
	if !ok {
		return 0, fmt.Errorf("no empty line after the header in %d octets", len(message))
	}
	if _, err := fmt.Sscanf(field(header, "\nMessage-ID: <"), "%d@bench.example>", &n); err != nil {
		return 0, fmt.Errorf("no Message-ID of ours: %w", err)
	}
	if want, got := field(header, "\nX-Digest: "), fmt.Sprintf("%x", sha256.Sum256(text)); got != want {
		return n, fmt.Errorf("message %d isn't whole: its text has digest %s, its header says %s", n, got, want)
	}
	return n, nil
}

// field returns what follows the first occurrence of name in header, up to the
// end of the line.
func field(header []byte, name string) string {
	_, rest, _ := bytes.Cut(header, []byte(name))
	value, _, _ := bytes.Cut(rest, []byte("\r"))
	return string(value)
}
