package smtp

import (
	"bytes"
	"testing"

	"postrider/codec/growth"
)

const everyExtension = ExtSize | Ext8BitMIME | ExtBinaryMIME | ExtDSN | ExtSMTPUTF8 | ExtAuth

// A command is read in one pass, whatever its path and its parameters are. Sessions give
// lines of a few thousand octets at most; the parsers do not rely on it.
func TestCommands_Growth(t *testing.T) {
	for _, h := range []struct{ begin, unit, end string }{
		{"<", "a", ">"}, {"<", "@", ">"}, {`<"`, `\"`, `"@b>`}, {`<"`, `"`, "@b>"}, {"<", "a.", "@b>"}, {"<a@", "b.", ">"}, {"<@", "a,@", ":b@c>"}, {"<", "<", ">"}, {`"`, `\\`, ""},
		{"<a@b>", " SIZE=1", ""}, {"<a@b>", " BODY=7BIT", ""}, {"<a@b>", " ", ""}, {"<a@b>", " x=y", ""}, {"<a@b> ORCPT=rfc822;", "+2B", ""}, {"<a@b> ENVID=", "+2B", ""},
		{"<a@b> NOTIFY=", "SUCCESS,", "FAILURE"}, {"<a@b> ORCPT=utf-8;", `\x{41}`, ""}, {"<a@b> AUTH=", "x", ""}, {"<a@[", "1:", "]>"}, {"<a@[IPv6:", ":", "]>"}, {"", " ", "<a@b>"}, {"<\xc3\xa4", "\xc3\xa4", "@b>"}, {"<a@xn--", "\xc3\xa4", ">"},
	} {
		growth.Linear(t, h.begin+h.unit+h.end, 4<<10, func(n int) func() {
			path := h.begin + growth.Repeat(h.unit, n) + h.end
			from, to, line := []byte("FROM:"+path), []byte("TO:"+path), []byte("MAIL FROM:"+path)
			return func() {
				ParseVerb(line)
				_, _ = ParseMail(from, everyExtension)
				_, _ = ParseRcpt(to, everyExtension, true)
				_, _ = ParseHello([]byte(path))
				_, _, _ = ParseBdat([]byte(path))
				_, _ = ParseXclient([]byte(path))
			}
		})
	}
}

// An xtext is decoded and made in one pass.
func TestXtext_Growth(t *testing.T) {
	for _, unit := range []string{"+2B", "+", "=", "+2", "x", "\xff", "+00"} {
		growth.Linear(t, unit, 8<<10, func(n int) func() {
			text := []byte(growth.Repeat(unit, n))
			dst := make([]byte, 0, 4*len(text))
			return func() {
				AppendXtextDecoded(dst, text)
				AppendXtext(dst, text)
			}
		})
	}
}

// A reply of a peer is read in one pass, and so is its text.
func TestParseReply_Growth(t *testing.T) {
	for _, unit := range []string{"250-\r\n", "250-x\n", "\r\n", " \n", "250", "\r", "x\r\n", "250-\xff\xfe\r\n", "250-\u202e\r\n", "250--\n", "999-\n"} {
		growth.Linear(t, unit, 16<<10, func(n int) func() {
			text := []byte("250-a\r\n" + growth.Repeat(unit, n) + "\r\n250 b\r\n")
			return func() {
				r, _, err := ParseReply(text, len(text))
				if err != nil {
					t.Errorf("%q: %v", unit, err)
				}
				r.AppendText(nil)
				for line := range r.Lines() {
					bytes.TrimSpace(line)
				}
				r.Enhanced()
				IsFiller(text)
			}
		})
	}
}
