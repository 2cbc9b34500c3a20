package pop3d

import (
	"testing"

	"postrider/codec/growth"
)

// Commands cost as much as there is of them, and a listing as much as the maildrop has.
func TestFeed_Growth(t *testing.T) {
	const login = "USER a\r\nPASS b\r\n"
	for _, h := range []struct{ begin, unit string }{
		{"", "NOOP\r\n"}, {"", "CAPA\r\n"}, {"", "x\r\n"}, {"", "\r\n"}, {login, "STAT\r\n"}, {login, "LIST 1\r\n"}, {login, "DELE 1\r\nRSET\r\n"}, {login, "UIDL 2\r\n"}, {login, "TOP 1 0\r\n"}, {login, "LIST\r\n"},
	} {
		for _, piece := range []int{1, 512} {
			growth.Linear(t, h.begin+h.unit, 4<<10, func(n int) func() {
				p := newPeer(testConfig(), 100, 200, 300)
				in := []byte(h.begin + growth.Repeat(h.unit, n))
				return func() {
					for at := 0; at < len(in) && !p.closed; at += piece {
						p.feed(in[at:min(at+piece, len(in))])
						p.replies = p.replies[:0]
					}
				}
			})
		}
	}
	growth.Linear(t, "a maildrop", 500, func(n int) func() {
		sizes := make([]int64, n)
		for i := range sizes {
			sizes[i] = 100
		}
		p := newPeer(testConfig(), sizes...)
		return func() { p.feed([]byte(login + "STAT\r\nLIST\r\nUIDL\r\nRSET\r\nQUIT\r\n")) }
	})
}
