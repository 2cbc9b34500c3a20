package dsn

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"postrider/codec/growth"
)

// What peers have said, ORCPT, and what comes back of a message are written in one pass.
func TestAppend_Growth(t *testing.T) {
	for _, unit := range []string{"x", "\r", "\n", "\r\n", "\xff", "\u00f6", " ", "x ", `\x{41}`, `\x{`, "+2B", "+", ";", "--", "--0000000000042.", "a:\r\n", "a: b\r\n ", "\r\r\n", "<", "\u202e"} {
		growth.Linear(t, unit, 8<<10, func(n int) func() {
			text := growth.Repeat(unit, n)
			r := report(Failure)
			r.UTF8, r.To, r.EnvID, r.QueueID, r.ReceivedFromMTA = true, text, text, text, text
			r.Original = []byte("X: y\r\n" + text)
			for _, kind := range []string{"rfc822;", "utf-8;", ""} {
				r.Recipients = append(r.Recipients, Recipient{Final: text, ORcpt: kind + text, Action: Failure, Status: text, RemoteMTA: text, Diagnostic: text, Reason: text, DiagnosticType: TypeSMTP})
			}
			return func() {
				Append(nil, r)
				HeaderOf(r.Original)
			}
		})
	}
}

// A message that has each boundary that could be used is looked through once.
func TestBoundary_Growth(t *testing.T) {
	growth.Linear(t, "boundaries", 1000, func(n int) func() {
		r := report(Failure)
		stem := fmt.Sprintf("--%s.%d", r.QueueID, r.Now.Unix())
		var b strings.Builder
		for i := range n {
			b.WriteString(stem + "." + strconv.Itoa(i+1) + "\r\n")
		}
		r.Original = []byte(b.String())
		return func() {
			if at := r.boundary(); !strings.Contains(at, "."+strconv.Itoa(n+1)+"/") {
				t.Errorf("with %d boundaries in the message it is %s", n, at)
			}
		}
	})
	growth.Linear(t, "digits", 8<<10, func(n int) func() {
		r := report(Failure)
		r.Original = []byte(fmt.Sprintf("--%s.%d.", r.QueueID, r.Now.Unix()) + growth.Repeat("1", n))
		return func() { r.boundary() }
	})
}
