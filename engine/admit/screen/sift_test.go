package screen

import (
	"strings"
	"testing"
)

func sifted(text string, cut int) (string, int64) { return siftedFor("mx.test", text, cut) }

func siftedFor(host, text string, cut int) (string, int64) {
	s := Sift{Host: host}
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

// What a reader that is laxer than the rules takes for our name goes, too.
func TestSiftLaxReaders(t *testing.T) {
	const rest = "To: y\r\n\r\n"
	ours := func(host, field string) {
		t.Helper()
		for _, cut := range []int{1, 5, 1 << 20} {
			if got, _ := siftedFor(host, field+"\r\n"+rest, cut); got != rest {
				t.Errorf("%q as %s, cut every %d: %q", field, host, cut, got)
			}
		}
	}
	for _, value := range []string{
		`"mx\.test"; spf=pass`, `"\m\x.t\est" 1; none`, `mx\.test; none`, `"mx.test; none`, `'x' mx.test; none`,
		"\f mx.test; none", "\v\x1c\x00mx.test\x1f; none", "\u00a0mx.test\u2003; none", "\xa0mx.test\x85; none", "\ufeffmx.test;", "mx\u200b.test; x",
		"MX.TEST; none", "mx.test.; none", "mx . test; none", "mx (a). (b) test 1; none", "mx.\r\n test; none",
		`(a\) mx.test; none`, `(\)) mx.test; none`, "(a (b) mx.test; none", "((a)) mx.test; none", "(;) mx.test; none", "() () mx.test(x); none",
		"=?utf-8?q?mx.test?=; none", "=?us-ascii?b?bXgudGVzdA==?= ; none", "ｍｘ．ｔｅｓｔ; none", "mx。test; none",
	} {
		ours("mx.test", "Authentication-Results:"+value)
		ours("MX.Test.", "AUTHENTICATION-RESULTS: "+value)
	}
	ours("mx.test", "Authentication-Results\f:mx.test;none")
	ours("mx.test", "Authentication-Results\u00a0 \t: mx.test; none")
	ours("mx.test", "\fAuthentication-Results: mx.test; none")
	ours("mx.test", "\ufeff\x7fauthentication-results: mx.test; none")
	ours("mx.test", "Authentication-Results"+strings.Repeat(" ", 2*maxField)+": mx.test; none")
	ours("xn--bcher-kva.test", "Authentication-Results: bücher.test; none")
	ours("xn--bcher-kva.test", "Authentication-Results: BÜCHER.test; none")
	ours("bücher.test", "Authentication-Results: xn--bcher-kva.test; none")

	for _, field := range []string{
		"Authentication-Results: mx.test.example; none", "Authentication-Results: amx.test; none", "Authentication-Results: \"mx.testx\"; none",
		"Authentication-Results: other.test; spf=pass smtp.helo=mx.test", "Authentication-Results: other.test (mx.test) 1; none",
		"Authentication\fResults: mx.test; none", "\fSubject: mx.test", "été: mx.test", strings.Repeat("\f", 2*maxField) + "x: y",
		strings.Repeat("\u00a0", maxField) + "Authentication-Result: mx.test", "Authentication-Results: bücher.test; none", "=?utf-8?q?mx.test?=: x",
	} {
		for _, cut := range []int{1, 5, 1 << 20} {
			if got, removed := siftedFor("mx.test", field+"\r\n"+rest, cut); got != field+"\r\n"+rest || removed != 0 {
				t.Errorf("%.60q cut every %d: %.80q, %d removed", field, cut, got, removed)
			}
		}
	}
}

func FuzzSift(f *testing.F) {
	f.Add("Authentication-Results: mx.test; none\r\n\r\nx", 3)
	f.Add("authentication-results \t:\r\n (\"mx.test", 1)
	f.Add("\fauthentication-results\x85:=?utf-8?q?mx?= . test 1\r\n", 2)
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
