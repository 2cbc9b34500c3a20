package pop3

import (
	"testing"

	"postrider/codec/growth"
)

// A command is read in one pass. Sessions give lines of MaxLine octets; the parser does
// not rely on it.
func TestParse_Growth(t *testing.T) {
	for _, verb := range []string{"USER ", "PASS ", "APOP ", "LIST ", "TOP ", "RETR ", "UIDL ", "AUTH ", "LANG ", "NOOP ", ""} {
		for _, unit := range []string{" ", "x", "1", "1 ", "0", "\x00", "\xff", "\xc3\xa4", "a-", "="} {
			growth.Linear(t, verb+unit, 4<<10, func(n int) func() {
				line := []byte(verb + growth.Repeat(unit, n))
				return func() { _, _ = Parse(line) }
			})
		}
	}
}
