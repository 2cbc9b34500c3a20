package smtpclient

import (
	"testing"

	"postrider/codec/growth"
)

// A reply that comes octet by octet, or line by line, is read once: what was looked at is
// not looked at again with each octet.
func TestFeed_Growth(t *testing.T) {
	for _, h := range []struct{ begin, unit string }{{"", "220-x\r\n"}, {"", "220-\n"}, {"", "\r\n"}, {"", " \n"}, {"", "220-" + growth.Repeat("x", 400) + "\r\n"}, {"220-", "x"}, {" ", " "}, {"220 a\r\n", "250-x\r\n"}} {
		for _, piece := range []int{1, 7} {
			growth.Linear(t, h.begin+h.unit, 4<<10, func(n int) func() {
				p := open(t, nil)
				in := []byte(h.begin + growth.Repeat(h.unit, n))
				return func() {
					read := 0
					for at := piece; at <= len(in); at += piece {
						p.e.Reset()
						read += p.s.Feed(in[read:at], &p.e)
					}
				}
			})
		}
	}
	// After the dialogue has come to rest, empty lines may come at any time.
	growth.Linear(t, "empty lines while nothing is due", 4<<10, func(n int) func() {
		p := open(t, map[string]string{"begin": "none"})
		p.feedAll([]byte("220 a\r\n"))
		p.feedAll([]byte("250 a\r\n"))
		in := []byte(growth.Repeat("\r\n", n))
		return func() {
			for at := range in {
				p.e.Reset()
				if p.s.Feed(in[:at], &p.e) != 0 || p.closed {
					t.Error("empty lines were taken for a reply")
				}
			}
		}
	})
}
