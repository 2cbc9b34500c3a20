package proxy

import (
	"errors"
	"strings"
	"testing"
)

const two = "\r\n\r\n\x00\r\nQUIT\n"

func TestParse_Success(t *testing.T) {
	f := func(in, source string) {
		t.Helper()
		for _, behind := range []string{"", "EHLO x\r\n", "\x16\x03\x01"} {
			h, n, err := Parse([]byte(in + behind))
			got := ""
			if h.Source.IsValid() {
				got = h.Source.String()
			}
			if err != nil || n != len(in) || got != source {
				t.Errorf("%q: %q, %d octets of %d, %v", in, got, n, len(in), err)
			}
		}
		for cut := range len(in) {
			if h, n, err := Parse([]byte(in[:cut])); n != 0 || err != nil || h.Source.IsValid() {
				t.Errorf("%q: %v, %d, %v", in[:cut], h, n, err)
			}
		}
	}
	f("PROXY TCP4 192.0.2.1 198.51.100.1 56324 25\r\n", "192.0.2.1:56324")
	f("PROXY TCP6 2001:db8::1 2001:db8::2 56324 25\r\n", "[2001:db8::1]:56324")
	f("PROXY UNKNOWN\r\n", "")
	f("PROXY UNKNOWN ffff:f::1 ffff:f::1 65535 65535\r\n", "")
	f(two+"\x21\x11\x00\x0c\xc0\x00\x02\x01\xc6\x33\x64\x01\xdc\x04\x00\x19", "192.0.2.1:56324")
	f(two+"\x21\x11\x00\x10\xc0\x00\x02\x01\xc6\x33\x64\x01\xdc\x04\x00\x19\x04\x00\x01x", "192.0.2.1:56324") // a TLV
	f(two+"\x21\x21\x00\x24 \x01\r\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"+strings.Repeat("\x00", 16)+"\xdc\x04\x00\x19", "[2001:db8::1]:56324")
	f(two+"\x20\x00\x00\x00", "")
	f(two+"\x20\x11\x00\x02ab", "")
	f(two+"\x21\x31\x00\x02ab", "") // a UNIX socket
}

func TestParse_Failure(t *testing.T) {
	f := func(in string, want error) {
		t.Helper()
		if h, n, err := Parse([]byte(in)); !errors.Is(err, want) || n != 0 || h.Source.IsValid() {
			t.Errorf("%q: %v, %d, %v; want %v", in, h, n, err, want)
		}
	}
	f("EHLO x\r\n", ErrNone)
	f("PROXIMITY\r\n", ErrNone)
	f("\r\n\r\nQUIT", ErrNone)
	f("PROXY TCP4 192.0.2.1 198.51.100.1 56324\r\n", ErrMalformed)
	f("PROXY TCP4 192.0.2.1 198.51.100.1 56324 65536\r\n", ErrMalformed)
	f("PROXY TCP4 2001:db8::1 2001:db8::2 56324 25\r\n", ErrMalformed)
	f("PROXY TCP6 192.0.2.1 198.51.100.1 56324 25\r\n", ErrMalformed)
	f("PROXY TCP6 fe80::1%eth0 fe80::2 56324 25\r\n", ErrMalformed)
	f("PROXY UDP4 192.0.2.1 198.51.100.1 56324 25\r\n", ErrMalformed)
	f("PROXY "+strings.Repeat("x", 101), ErrMalformed)
	f(two+"\x11\x11\x00\x0c", ErrMalformed)
	f(two+"\x22\x11\x00\x0c", ErrMalformed)
	f(two+"\x21\x11\x00\x04\xc0\x00\x02\x01", ErrMalformed)
	f(two+"\x21\x11\xff\xff", ErrTooLong)
}

// A cut never changes the outcome, and no input makes Parse take more than there is.
func FuzzParse(f *testing.F) {
	f.Add([]byte("PROXY TCP4 192.0.2.1 198.51.100.1 56324 25\r\nEHLO"), 20)
	f.Add([]byte(two+"\x21\x11\x00\x0c\xc0\x00\x02\x01\xc6\x33\x64\x01\xdc\x04\x00\x19"), 15)
	f.Fuzz(func(t *testing.T, in []byte, cut int) {
		h, n, err := Parse(in)
		if n > len(in) || n > MaxHeader || err != nil && n != 0 {
			t.Fatalf("%d of %d octets, %v", n, len(in), err)
		}
		if cut < 0 || cut > len(in) {
			return
		}
		early, m, earlyErr := Parse(in[:cut])
		switch {
		case earlyErr != nil && !errors.Is(err, earlyErr):
			t.Fatalf("cut at %d: %v, whole: %v", cut, earlyErr, err)
		case m > 0 && (m != n || early != h):
			t.Fatalf("cut at %d: %v %d, whole: %v %d", cut, early, m, h, n)
		}
	})
}
