package screen

import (
	"testing"

	"postrider/codec/growth"
)

// The header is sifted in one pass: names that are nearly ours, fields of any number,
// comments in comments, encoded words.
func TestSift_Growth(t *testing.T) {
	const field = "Authentication-Results:"
	for _, h := range []struct{ begin, unit, end string }{
		{"", field + " mx.test; none\r\n", ""}, {"", field + "x\r\n", ""}, {"", field + "\r\n", ""}, {field, "(", ")"}, {field, "\\", ""}, {field, "a ", "mx.test"}, {field, "=?x?q?a?=", ""}, {field, "=?", "?="}, {field, "=?utf-8?q?", "?="}, {field, " \r\n ", "mx.test"},
		{"", " ", ""}, {"", "\xff", ""}, {"", "A", ""}, {"", "a\r\n", ""}, {"", "Authentication-Result\r\n", ""}, {"", "\x00", field}, {field, "\u200b", ""}, {field, "\"", ""}, {field, "mx.", "test"}, {"", field + " (mx.test) x;\r\n\tx\r\n", ""}, {field, "0", ""},
	} {
		for _, piece := range []int{1, 1 << 20} {
			growth.Linear(t, h.begin+h.unit+h.end, 16<<10, func(n int) func() {
				text := []byte(h.begin + growth.Repeat(h.unit, n) + h.end + "\r\n\r\n")
				dst := make([]byte, 0, len(text))
				return func() {
					s := Sift{Host: "mx.test"}
					out := dst
					for at := 0; at < len(text); at += piece {
						out = s.Append(out, text[at:min(at+piece, len(text))])
					}
					s.End(out)
				}
			})
		}
	}
}
