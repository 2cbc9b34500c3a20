package vetting

import (
	"strings"
	"testing"
)

func sifted(text string, cut int) (string, int64) {
	s := Sift{Host: "mx.test"}
	var out []byte
	for in := []byte(text); len(in) > 0; {
		n := min(cut, len(in))
		out = s.Append(out, in[:n])
		clear(in[:n])
		in = in[n:]
	}
	return string(s.End(out)), s.Removed
}

// RFC 8601 section 5.
func TestSift(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		for _, cut := range []int{1, 2, 3, 7, len(in) + 1} {
			got, removed := sifted(in, cut)
			if got != want || removed != int64(len(in)-len(want)) {
				t.Errorf("%q cut every %d: %q, %d removed; want %q", in, cut, got, removed, want)
			}
		}
	}
	same := func(in string) {
		t.Helper()
		f(in, in)
	}
	const subject = "Subject: x\r\n"
	same("")
	same(subject + "\r\nAuthentication-Results: mx.test; none\r\n")
	same(subject + "Authentication-Results: other.test; spf=pass\r\n\tsmtp.mailfrom=a\r\n\r\nx\r\n")
	same("Authentication-Results-X: mx.test; none\r\n\r\n")
	same("Authentication-Result: mx.test; none\r\n\r\n")
	same("Authentication Results: mx.test; none\r\n\r\n")
	same("A: x\r\n Authentication-Results: mx.test; none\r\n\r\n")
	same("Authentication-Results: mx.test.evil; none\r\n\r\n")
	same("Authentication-Results: (mx.test) other.test; none\r\n\r\n")
	same("Authentication-Results: \"\"; none\r\n\r\n")
	same("Authentication-Results: \"\r\n\r\n")
	same("Authentication-Results:\r\n")
	same("authentication-re")
	same("authentication-results")
	f("Authentication-Results: mx.test; spf=pass\r\n"+subject+"\r\nx\r\n", subject+"\r\nx\r\n")
	f(subject+"AUTHENTICATION-results \t:\r\n\t(a (nested) \\) one) MX.test\r\n 1; spf=pass\r\n\tx\r\nTo: y\r\n\r\n", subject+"To: y\r\n\r\n")
	f("Authentication-Results: \"mx.test\"; none\r\n\r\n", "\r\n")
	f("Authentication-Results: mx.test.; none\r\n\r\n", "\r\n")
	f("Authentication-Results: mx.test\r\n"+"Authentication-Results:mx.test;none\r\n"+subject, subject)
	f(subject+"Authentication-Results: mx.test; none", subject)
	f(subject+"Authentication-Results: x "+strings.Repeat("(long)", maxField)+"\r\n"+subject+"\r\n", subject+subject+"\r\n")
}

func FuzzSift(f *testing.F) {
	f.Add("Authentication-Results: mx.test; none\r\n\r\nx", 3)
	f.Add("authentication-results \t:\r\n (\"mx.test", 1)
	f.Fuzz(func(t *testing.T, text string, cut int) {
		if cut < 1 {
			return
		}
		whole, removed := sifted(text, len(text)+1)
		parts, again := sifted(text, cut)
		if whole != parts || removed != again || removed != int64(len(text)-len(whole)) {
			t.Errorf("whole %q (%d), cut %q (%d)", whole, removed, parts, again)
		}
	})
}
