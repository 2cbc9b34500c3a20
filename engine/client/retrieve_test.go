package client

import (
	"bufio"
	"bytes"
	"io"
	"testing"
	"testing/iotest"

	"postrider/codec/dot"
)

// Whatever message was stuffed comes out as it was, however the network cuts it, and
// what follows it stays in the connection.
func FuzzBody(f *testing.F) {
	f.Add([]byte(".a\r\n..\r\nb.\r\n"), false)
	f.Add([]byte("x\n.\ny\r\r\n"), true)
	f.Fuzz(func(t *testing.T, text []byte, slow bool) {
		var form dot.Normalizer
		wire := form.End(form.Append(nil, text))
		want := dot.AppendUnstuffed(nil, wire)
		var in io.Reader = bytes.NewReader(append(bytes.Clone(wire), ".\r\n+OK\r\n"...))
		if slow {
			in = iotest.OneByteReader(in)
		}
		p := &POP3{r: bufio.NewReaderSize(in, 64<<10)}
		got, err := io.ReadAll(p.body("RETR", 1<<30))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%q: %q %v, want %q", text, got, err, want)
		}
		if line, err := p.line(); line != "+OK" || err != nil || p.reading != nil {
			t.Errorf("%q: after it comes %q, %v", text, line, err)
		}
	})
}

// What is sent in whatever form never panics and never ends without its end.
func FuzzBody_any(f *testing.F) {
	f.Add([]byte("a\r\n.\n.\r\n"))
	f.Add([]byte("..\r.\r\n.\r"))
	f.Fuzz(func(t *testing.T, wire []byte) {
		read := func(in io.Reader) (string, error) {
			p := &POP3{r: bufio.NewReaderSize(in, 64<<10)}
			text, err := io.ReadAll(p.body("RETR", 1<<30))
			return string(text), err
		}
		whole, err := read(bytes.NewReader(wire))
		cut, cutErr := read(iotest.OneByteReader(bytes.NewReader(wire)))
		if whole != cut || (err == nil) != (cutErr == nil) {
			t.Errorf("%q: whole %q %v, cut %q %v", wire, whole, err, cut, cutErr)
		}
		if err == nil && !bytes.Contains(wire, []byte(".\r\n")) {
			t.Errorf("%q has no end", wire)
		}
	})
}
