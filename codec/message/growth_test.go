package message

import (
	"strings"
	"testing"
	"time"

	"postrider/codec/growth"
)

// hostileLists are address lists that a reader could look through again and again: what
// begins many times, repeated up to the size, and what ends once.
var hostileLists = []struct{ begin, unit, end string }{
	{"", "<", ""}, {"", "(", ")"}, {"", "(", ""}, {"", `"`, ""}, {"", `"\`, `"`}, {"", "((a)", ""}, {"", "=?", ""}, {"", "=?a?q?", "?="},
	{"", "<@a,", ""}, {"", "a@b,", ""}, {"", "a:", ""}, {"", `"a>,`, ""}, {"", `<"`, `"`}, {"", "(\\", ")"}, {"", "a <b> ", ""}, {"", "@ ", ""},
	{"", `"" @`, ""}, {"<", `\"`, `"x`}, {"<", `\"`, `"@x>`}, {`"`, `\">,`, `"`}, {`""`, `\">,`, `"x"`}, {`a"`, `\"`, ""}, {"", `<"\"`, `">`},
	{"<@", ",", "<"}, {"", "a\r\n ", "@b"}, {"a@", " b@", ""}, {"", "[", "]"}, {"", "[\\", ""}, {"", "a.", ""}, {"mailto:", "mailto:", ""}, {"", "><", ">"},
	{"", "=?x?q?a", "?="}, {"", "(a(b", "))"}, {"(", "\\)", ")"}, {"", ";:", ""}, {"", "<a", ">"}, {"", "'", "'"}, {"", "a b ", "@c"},
}

func TestMailboxes_Growth(t *testing.T) {
	for _, h := range hostileLists {
		growth.Linear(t, h.begin+h.unit+h.end, 8<<10, func(n int) func() {
			list := h.begin + growth.Repeat(h.unit, n) + h.end
			return func() { Mailboxes(list) }
		})
	}
}

// Completing a header reads each field once, and domains add a bounded number of octets.
func TestCompletion_Growth(t *testing.T) {
	c := Completion{Domain: strings.Repeat("long.", 40) + "example", MessageID: "x@y", From: "a@b", Date: time.Unix(1, 0)}
	f := func(what string, header func(n int) string) {
		growth.Linear(t, what, 16<<10, func(n int) func() {
			text := []byte(header(n))
			dst := make([]byte, 0, len(text)+2*maxQualified)
			return func() {
				if out := c.Append(dst, text); len(out) > len(text)+maxQualified+1000 {
					t.Errorf("%s: %d octets become %d", what, len(text), len(out))
				}
			}
		})
	}
	for _, h := range hostileLists {
		f("To: "+h.begin+h.unit+h.end, func(n int) string { return "To: " + h.begin + growth.Repeat(h.unit, n) + h.end + "\r\n" })
	}
	for _, unit := range []string{"From: a\r\n", "From:\r\n", "Date: x\r\n", "Message-ID: <\r\n", "Message-ID: <x>\r\n", "Bcc:a\r\n", "To:a,\r\n", "a:\r\n", "To: a,\r\n b\r\n"} {
		f(unit, func(n int) string { return growth.Repeat(unit, n) })
	}
	for _, unit := range []string{" \r\n", " a,\r\n", " <\r\n", "\t\"\r\n"} {
		f("folds of "+unit, func(n int) string { return "From: x\r\n" + growth.Repeat(unit, n) })
	}
}

// The head of a message that passes is read once, whatever it repeats.
func TestHead_Growth(t *testing.T) {
	for _, unit := range []string{"Received: x\r\n", "Received:\n", "Delivered-To: a@b\r\n", "Delivered-To\t :a\r\n", "Subject: \r\n", "Subject:x\r\n x", "From: a\r\n \r\n", " x\r\n", "x", "x:\r\n", ":", ".\r\n", "a\t", "Date:\r\r"} {
		growth.Linear(t, unit, 16<<10, func(n int) func() {
			text := []byte("X: y\r\n" + growth.Repeat(unit, n))
			return func() {
				var h Head
				for i := 0; i < len(text); i += 7 {
					h.Feed(text[i:min(i+7, len(text))])
				}
				h.DeliveredTo([]byte("a@b"))
			}
		})
	}
}

// A field is found, and unfolded, in one pass.
func TestFind_Growth(t *testing.T) {
	for _, unit := range []string{"a:\r\n", "a:\n", "a: x\r\n", "Subject :x\r\n", " x\r\n", " \r\n", "\t\n"} {
		growth.Linear(t, unit, 16<<10, func(n int) func() {
			text := []byte("X: y\r\n" + growth.Repeat(unit, n) + "last: z\r\n")
			return func() {
				if f, ok := Find(text, "last"); !ok || len(f.Unfolded()) != 1 {
					t.Errorf("%q: the last field is not found", unit)
				}
				if f, ok := Find(text, "X"); ok {
					f.Unfolded()
				}
			}
		})
	}
}
