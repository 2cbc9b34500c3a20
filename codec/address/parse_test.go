package address

import (
	"strings"
	"testing"
)

func TestParseDomain(t *testing.T) {
	f := func(text, want, words string) {
		t.Helper()
		got, err := ParseDomain(text)
		switch {
		case (err == nil) != (words == ""), err == nil && got != want:
			t.Errorf("%q: %q, %v", text, got, err)
		case err != nil && !strings.Contains(err.Error(), words):
			t.Errorf("%q: %v, want %q", text, err, words)
		}
	}
	f("Example.ORG", "example.org", "")
	f(" example.org. ", "example.org", "")
	f("Café.example", "xn--caf-dma.example", "")
	f("localhost", "localhost", "")
	f("a_b.example", "a_b.example", "")
	f("", "", "is empty")
	f(".", "", "is empty")
	f(strings.Repeat("a.", 130), "", "longer than 255 octets")
	f("192.0.2.1", "", "IP address")
	f("[192.0.2.1]", "", "IP address")
	f("::1", "", "IP address")
	f("a\xff.example", "", "not UTF-8")
	f(strings.Repeat("ü", 60)+".example", "", "A-labels")
	f("a..b", "", "between its dots")
	f("-a.example", "", "between its dots")
	f("a b.example", "", "between its dots")
	f(strings.Repeat("a", 64)+".example", "", "between its dots")
}
