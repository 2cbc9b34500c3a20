package trace

import (
	"strings"
	"testing"
	"unicode"
)

// FuzzDialogue gives a dialogue octets of both sides in any state. Its lines have a bounded
// length and nothing that could command a terminal, and while a machine is at AUTH no octet of
// the client is shown.
func FuzzDialogue(f *testing.F) {
	f.Add(true, []byte("\x00EHLO x\r\n\x04250 ok\r\n\x01c2VjcmV0\r\n\x02Subject: x\r\n\r\ny"))
	f.Add(false, []byte("\x00RETR 1\r\nLIST\r\n\x04+OK\r\nSubject: x\r\n\r\n..\r\n.\r\n+OK\r\n1 2\r\n.\r\n"))
	f.Add(true, []byte("\x00BDAT 5\r\nxBDAT 99999999999999999999\r\nAUTH PLAIN \xff\r\n"))
	f.Fuzz(func(t *testing.T, smtp bool, script []byte) {
		hidden := false
		check := func(line string) {
			if len(line) > 6*MaxLine+100 || strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Fatalf("%d octets: %q", len(line), line)
			}
			if hidden && line != " -> (not shown)" && line != " ~> (not shown)" && !strings.HasSuffix(line, " octets more)") {
				t.Fatalf("a response is shown: %q", line)
			}
		}
		p := POP3
		if smtp {
			p = SMTP
		}
		d := New(p, len(script)%2 == 1, check)
		// An octet below 8 begins a run of octets, and tells whose it is.
		for len(script) > 0 {
			whose := script[0]
			n := 1
			for n < len(script) && script[n] >= 8 {
				n++
			}
			run := script[1:n]
			script = script[n:]
			hidden = whose == 1
			switch whose {
			case 1:
				d.Client(run, "AUTH")
			case 2:
				d.Client(run, "DATA")
			case 3:
				d.Secured()
			case 4, 5:
				d.Server(run)
			case 6:
				d.Sent(run, false)
			default:
				d.Client(run, "EHLO")
			}
			if len(d.pending) > maxPending || len(d.message.part) > MaxLine+1 || len(d.retr.part) > MaxLine+1 {
				t.Fatalf("%d commands, %d and %d octets are kept", len(d.pending), len(d.message.part), len(d.retr.part))
			}
		}
	})
}
