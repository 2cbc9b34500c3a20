package client

import (
	"bufio"
	"strings"
	"testing"
)

// A listing is read up to its bounds and no further.
func TestListingsAreBounded(t *testing.T) {
	read := func(line string, n int, end string) (int, error) {
		p := &POP3{r: bufio.NewReader(strings.NewReader(strings.Repeat(line+"\r\n", n) + end))}
		got := 0
		return got, p.lines(func(string) error { got++; return nil })
	}
	if _, err := read("1 1", maxListing, ".\r\n"); err != nil {
		t.Errorf("as many messages as may be: %v", err)
	}
	for line, n := range map[string]int{"1 1": maxListing + 1, "1 " + strings.Repeat("u", maxReply-10): maxListingOctets/(maxReply-8) + 1} {
		if _, err := read(line, n, ".\r\n"); err == nil || !strings.Contains(err.Error(), "too long") {
			t.Errorf("%d lines of %d octets: %v", n, len(line), err)
		}
	}
}

func TestAMessageIsListedOnce(t *testing.T) {
	p := open(t, greeted+"C: LIST\nS: +OK\nS: 1 20\nS: 2 30\nS: 1 20\nS: .")
	if _, err := p.List(); err == nil || !strings.Contains(err.Error(), "listed twice") {
		t.Error(err)
	}
}
