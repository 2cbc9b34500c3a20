package binarymime

import (
	"testing"

	"postrider/codec/growth"
)

// A message is read twice, in pieces of any size: nests up to MaxDepth, delimiters that are
// nearly one, boundaries that begin as others do, headers without an end.
func TestConvert_Growth(t *testing.T) {
	part := func(boundary string) string {
		return "Content-Type: multipart/mixed; boundary=\"" + boundary + "\"\r\n\r\n--" + boundary + "\r\n"
	}
	nest, boundary := "", "b"
	for range MaxDepth - 2 {
		nest += part(boundary)
		boundary += "b"
	}
	for _, h := range []struct{ begin, unit, end string }{
		{nest, "--", ""}, {nest, "\r\n--", ""}, {nest, "\n--b", ""}, {nest, "--bbbbbbbb\r\n", ""}, {nest, "\r\n--" + growth.Repeat("b", 250), ""}, {nest, "-\n", ""}, {nest, "\r", ""}, {nest, "\r\n", ""}, {nest, "--bc\r\n", ""},
		{part("b"), "--b\r\n\r\n", ""}, {part("b"), "\r\n--b\r\nx: y", ""}, {part("b"), "--b--\r\n", ""}, {part("b"), "\x00\r\n--b \r\n\r\n", "--b--"}, {part("b"), "--b\r\nContent-Type: message/rfc822\r\n\r\n", ""},
		{"", part("b"), ""}, {"", "Content-Type: message/rfc822\r\n\r\n", ""}, {"Content-Type: ", "a;", "\r\n\r\n"}, {"Content-Type: multipart/mixed; ", "boundary=", "\r\n\r\n"}, {"Content-Type: multipart/mixed; ", "a*0=b; ", "boundary=b\r\n\r\n--b"},
		{"Content-Type: multipart/mixed", ";a*1*=b", "\r\n\r\n"}, {"X: y\r\n", " \r\n", "\r\n"}, {"", "x", ""}, {"", "x:\r\n", ""}, {"", ":", ""}, {"Content-Type: text/plain\r\n", "Content-Type: text/plain\r\n", "\r\n\x00"}, {"Content-Type: a/b; ", "(", ")"},
		{"Content-Transfer-Encoding: quoted-printable\r\n\r\n", "=\n\r", ""}, {"Content-Transfer-Encoding: base64\r\n\r\n", "A\n", ""}, {"Content-Transfer-Encoding: x\r\n\r\n", "-\x00\r", ""}, {"DKIM-Signature: a\r\n", "DKIM-Signature: a\r\n", "\r\n"},
	} {
		for _, piece := range []int{1, 7, 4096} {
			growth.Linear(t, h.begin[:min(len(h.begin), 60)]+h.unit+h.end, 16<<10, func(n int) func() {
				text := []byte(h.begin + growth.Repeat(h.unit, n) + h.end)
				return func() { inPieces(text, piece) }
			})
		}
	}
}

// inPieces converts a message that is within the limits.
func inPieces(text []byte, piece int) {
	var s Survey
	for at := 0; at < len(text); at += piece {
		if s.Write(text[at:min(at+piece, len(text))]) != nil {
			return
		}
	}
	plan, err := s.End()
	if err != nil {
		return
	}
	c := NewConverter(plan)
	var dst []byte
	for at := 0; at < len(text); at += piece {
		dst = c.Append(dst[:0], text[at:min(at+piece, len(text))])
	}
	c.End(dst[:0])
}
