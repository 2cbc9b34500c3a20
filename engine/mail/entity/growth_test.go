package entity

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"postrider/codec/growth"
)

// walk reads all of a message.
func walk(message string) {
	p := make([]byte, 4096)
	_, _ = Walk(growth.Reader(message), DefaultLimits, func(_ Leaf, body io.Reader) error {
		for {
			if _, err := body.Read(p); err != nil {
				return nil
			}
		}
	})
}

// nested is the header of n multiparts, one in the other; each boundary begins with the
// one before it.
func nested(n int, begin string) string {
	var b strings.Builder
	boundary := begin
	for range n {
		fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=\"%s\"\n\n--%s\n", boundary, boundary)
		boundary += "b"
	}
	return b.String()
}

// Nests, empty multiparts, lines that are nearly a delimiter, and headers of parts are read
// in one pass.
func TestWalk_Growth(t *testing.T) {
	deep := nested(DefaultLimits.Depth+5, "b")
	long := nested(DefaultLimits.Depth+5, strings.Repeat("b", 2000))
	for _, h := range []struct{ begin, unit string }{
		{deep, "--\n"}, {deep, "\n--"}, {deep, "\n--b"}, {deep, "--bbbbb"}, {deep, "--bbbbbbbbbbbb\n"}, {deep, "--b\n\n"}, {deep, "--b--\n"}, {deep, "\n--bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"}, {deep, "--bb\n--bbb\n"},
		{long, "--" + strings.Repeat("b", 1999) + "\n"}, {long, "\r\n--"}, {deep, "\r"}, {deep, "\r\n"}, {deep, "-"}, {deep, "\n-"}, {deep, "\r\n-"},
		{"", nested(1, "b")}, {"", nested(3, "b")}, {nested(1, "b"), "--b\n\n"}, {nested(1, "b"), "--b\nContent-Type: multipart/mixed; boundary=c\n\n"}, {nested(1, "b"), "--b\nx: y\nno field\n"},
		{nested(1, "b"), "--b\n\nbegin 644 x\n!AAAA\n"}, {"", "From x\n"}, {"Content-Type: multipart/digest; boundary=b\n\n", "--b\n\nx: y\n\n"},
		{"Content-Type: message/rfc822\n\n", "Content-Type: message/rfc822\n\n"}, {"X: y\n", "no field at all\nContent-\n"}, {"X: y\n", " \n"}, {"X: y\n", "\tx\r\n"}, {"", "x:\n"}, {"", ":"}, {"X:", "x"},
	} {
		growth.Linear(t, h.begin[min(len(h.begin), 30):min(len(h.begin), 90)]+h.unit, 12<<10, func(n int) func() {
			message := h.begin + growth.Repeat(h.unit, n)
			return func() { walk(message) }
		})
	}
}

// Texts in any encoding and charset, with files in them and without, are decoded in one
// pass.
func TestBodies_Growth(t *testing.T) {
	units := []string{"begin 644 x\n", "begin", "begin 644 x\n!AAAA\n", "\nb", "=", "= ", "=\n", "=20", " ", " \n", "\t\r\n", "A", "=A", "A=", "!AAAA\n", "\x1b", "\x1b$B", "\xff", "\xc3\xa4", "\xc3", ">", "> \n", ">> x \n", "-- \n", "+", "+A", "+-", "\r", "\x00",
		"<meta ", "<meta charset=x>", "M" + strings.Repeat("!", 59) + " \n"}
	for _, kind := range []string{"text/plain", "text/plain; format=flowed; delsp=yes", "text/plain; charset=utf-7", "text/plain; charset=iso-2022-jp", "text/plain; charset=utf-8", "text/html", "text/html; charset=x", "application/octet-stream"} {
		for _, encoding := range []string{"7bit", "base64", "quoted-printable", "x-uuencode"} {
			for _, unit := range units {
				growth.Linear(t, kind+" "+encoding+" "+unit, 4<<10, func(n int) func() {
					message := "Content-Type: " + kind + "\nContent-Transfer-Encoding: " + encoding + "\n\n" + growth.Repeat(unit, n)
					return func() { walk(message) }
				})
			}
		}
	}
}

// A value with parameters is read in one pass, and of its parameters a bounded number.
func TestParams_Growth(t *testing.T) {
	for _, h := range []struct{ begin, unit, end string }{
		{"text/plain", ";a=b", ""}, {"text/plain", ";", ""}, {"text/plain", ";charset=", ""}, {"text/plain; charset=a", " charset=a", ""}, {"text/plain; x=", " name=", ";"}, {"text/plain; x=", "\t", "charset=y"},
		{"a/b; n*0*=''x", ";n*1*=%41", ""}, {"a/b; n*0=x", ";n*0=x", ""}, {"a/b; n*0=x", ";n*999999999999=x", ""}, {"a/b", `;a="`, `"`}, {"a/b; a=\"", `\"`, `"`}, {"a/b; a=\"", `\`, ""}, {"a/b; ", "*", "=x"}, {"a/b; n*=utf-8''", "%", ""},
		{"a/b; n=", "=?x?q?a?= ", ""}, {"a/b; n=", "=?", ""}, {"", "(", ""}, {"", " ", "=;"}, {"a/b", ";=", ""}, {"a/b", "; a", ""}, {"a/b;a*", "1", "=x"}, {"a/b", ";a*0*=x", ""}, {"a ", "b=c ", ""}, {"a/b; n*=", "'", ""},
	} {
		growth.Linear(t, h.begin+h.unit+h.end, 16<<10, func(n int) func() {
			value := h.begin + growth.Repeat(h.unit, n) + h.end
			return func() { params(value) }
		})
	}
	// A name of its own for each parameter.
	growth.Linear(t, "names", 4000, func(n int) func() {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, ";n%d=x;m%d*0=x", i, i)
		}
		value := "a/b" + b.String()
		return func() {
			if _, named := params(value); len(named) > 2*maxParams {
				t.Errorf("%d parameters are kept", len(named))
			}
		}
	})
	// Sections that come in the worst order.
	growth.Linear(t, "sections", 4000, func(n int) func() {
		var b strings.Builder
		for i := n; i >= 0; i-- {
			fmt.Fprintf(&b, ";n*%d=x", i)
		}
		value := "a/b" + b.String()
		return func() { params(value) }
	})
}

// Encoded words, addresses and dates of a header are read in one pass.
func TestHead_Growth(t *testing.T) {
	for _, h := range []struct{ begin, unit, end string }{
		{"", "=?", ""}, {"", "=?utf-8?q?a?=", ""}, {"", "=?utf-8?q?a?= ", ""}, {"", "=?utf-8?b?w6Q=?= =?latin1?q?=E4?= ", ""}, {"", "=?a?q?", "?="}, {"", "=?utf-8?q?", "?"}, {"", "=?utf-8*de?b?", "?="}, {"", "=?x?q?a?= ", ""}, {"=?utf-8?q?", "=", "?="}, {"=?utf-8?b?", "A", "?="},
		{"", "=?utf-8?x?a?=", ""}, {"", "=?iso-2022-jp?b?GyRC?= ", ""}, {"", "=?utf-7?q?+AAA?=\t", ""}, {"", "?=", ""}, {"", "\x1b$B", ""}, {"", "\xff", ""}, {"", "\xe2\x80\xae", ""},
		{"", "<", ">"}, {"", "<a> ", ""}, {"", "< ", ">"}, {"", "a@b, ", ""}, {"<", `\"`, `"x`}, {"", `"`, ""}, {"", "(", ")"}, {"", "Mon, ", "1 Jan 2026"}, {"", "1 ", "Jan"}, {"", "\r\n ", "x"}, {"", "=?utf-8?q?a?= <", ""},
	} {
		growth.Linear(t, h.begin+h.unit+h.end, 4<<10, func(n int) func() {
			value := h.begin + growth.Repeat(h.unit, n) + h.end + "\n"
			var b strings.Builder
			for _, name := range []string{"From", "Subject", "Date", "Message-ID", "References", "Content-Type", "To", "To", "Reply-To"} {
				b.WriteString(name + ": " + value)
			}
			header := b.String()
			return func() { _, _ = ReadHead(growth.Reader(header), DefaultLimits) }
		})
	}
	growth.Linear(t, "fields", 4000, func(n int) func() {
		header := strings.Repeat("To: a@b\nCc: c@d\n", n)
		return func() { _, _ = ReadHead(growth.Reader(header), DefaultLimits) }
	})
}
