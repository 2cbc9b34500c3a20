package smtpd

import (
	"testing"

	"postrider/codec/growth"
)

// Commands of any kind, a header of any fields, and lines of text cost as much as there is
// of them. What comes octet by octet is looked at again up to the length of one line.
func TestFeed_Growth(t *testing.T) {
	const hello, open1 = "EHLO a\r\n", "EHLO a\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<mbrain@example.org>\r\nDATA\r\n"
	for _, h := range []struct{ begin, unit string }{
		{"", "NOOP\r\n"}, {"", "HELP\r\n"}, {hello, "RSET\r\n"}, {hello, "VRFY x\r\n"}, {hello, "MAIL FROM:<a@b.test>\r\nRSET\r\n"}, {"", "x\r\n"}, {"", "\r\n"}, {hello + "MAIL FROM:<a@b.test>\r\n", "RCPT TO:<mbrain@example.org>\r\n"},
		{open1, "Received: x\r\n"}, {open1, "a:\r\n"}, {open1, ".\r"}, {open1, "\r"}, {open1, "..\r\n"}, {open1 + "\r\n", "\r\n"}, {open1, " x\r\n"}, {open1, "Delivered-To: a@b\r\n"}, {open1 + "\r\n", ".x\r\n"}, {open1, "\r\n.\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<mbrain@example.org>\r\nDATA\r\n"},
	} {
		for _, piece := range []int{1, 512} {
			growth.Linear(t, h.begin[max(0, len(h.begin)-10):]+h.unit, 4<<10, func(n int) func() {
				p := open(t, map[string]string{"max-errors": "0", "max-recipients": "100"})
				p.auto = true
				p.Greet()
				in := []byte(h.begin + growth.Repeat(h.unit, n))
				return func() {
					read := 0
					for at := piece; at <= len(in) && !p.closed; at += piece {
						for {
							k := p.Feed(in[read:at])
							p.reply = p.reply[:0]
							if read += k; k == 0 {
								break
							}
						}
					}
				}
			})
		}
	}
}
