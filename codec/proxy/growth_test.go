package proxy

import (
	"testing"

	"postrider/codec/growth"
)

// A header is bounded: what comes after MaxHeader octets costs nothing.
func TestParse_Growth(t *testing.T) {
	for _, h := range []struct{ begin, unit string }{
		{lineStart, " "}, {lineStart, "TCP4 "}, {lineStart + "TCP4 1.2.3.4 ", "1"}, {lineStart, "\r"}, {signature + "\x21\x11\x07\x00", "\x00"}, {signature + "\x21\x21\xff\xff", "\x01\x00\x00"},
	} {
		growth.Linear(t, h.begin+h.unit, 4<<10, func(n int) func() {
			in := []byte(h.begin + growth.Repeat(h.unit, n))
			return func() { _, _, _ = Parse(in) }
		})
	}
}
