package binarymime

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// crlf writes a message of lines.
func crlf(lines ...string) string { return strings.Join(lines, "\r\n") + "\r\n" }

func TestConvert_Success(t *testing.T) {
	f := func(name, message, want string) {
		t.Run(name, func(t *testing.T) {
			t.Helper()
			got, _, err := convert(message, 7)
			if err != nil || got != want {
				t.Errorf("%q:\ngot  %q, %v\nwant %q", message, got, err, want)
			}
			check(t, message)
		})
	}
	f("text stays", crlf("A: b", "", ".", "text"), crlf("A: b", "", ".", "text"))
	f("binary label on text", crlf("Content-Transfer-Encoding: BINARY", "A: b", "", "x"),
		crlf("A: b", "Content-Transfer-Encoding: 7bit", "", "x"))
	f("binary label on 8-bit text", crlf("Content-transfer-encoding : binary (really)", "", "ä"),
		crlf("Content-Transfer-Encoding: 8bit", "", "ä"))
	f("no MIME, LF", "Subject: a\r\n\r\nA\n.\r\n+OK no\r\n",
		crlf("Subject: a", "MIME-Version: 1.0", "Content-Type: text/plain; charset=us-ascii",
			"Content-Transfer-Encoding: base64", "", "QQouDQorT0sgbm8NCg==")[:len(crlf("Subject: a", "MIME-Version: 1.0",
			"Content-Type: text/plain; charset=us-ascii", "Content-Transfer-Encoding: base64", "", "QQouDQorT0sgbm8NCg=="))-2])
	f("no MIME, UTF-8", "Subject: a\r\n\r\né\n", strings.TrimSuffix(crlf("Subject: a", "MIME-Version: 1.0",
		"Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: base64", "", "w6kK"), "\r\n"))
	f("no MIME, latin-1", "Subject: a\r\n\r\n\xe9\n", strings.TrimSuffix(crlf("Subject: a", "MIME-Version: 1.0",
		"Content-Type: text/plain; charset=unknown-8bit", "Content-Transfer-Encoding: base64", "", "6Qo="), "\r\n"))
	f("no MIME, NUL", "Subject: a\r\n\r\na\x00", strings.TrimSuffix(crlf("Subject: a", "MIME-Version: 1.0",
		"Content-Type: application/octet-stream", "Content-Transfer-Encoding: base64", "", "YQA="), "\r\n"))
	f("header lines with LF", "Subject: a\nTo: b\r c\x00\n\ntext\r\n", crlf("Subject: a", "To: b  c ", "", "text"))
	f("no empty line", "Subject: a\r\nGET /\n.\r\n", strings.TrimSuffix(crlf("Subject: a", "MIME-Version: 1.0",
		"Content-Type: text/plain; charset=us-ascii", "Content-Transfer-Encoding: base64", "", "R0VUIC8KLg0K"), "\r\n"))
	f("parts", crlf("MIME-Version: 1.0", `Content-Type: multipart/mixed; boundary="=_x"`, "Content-Transfer-Encoding: binary", "",
		"pre\x00amble", "--=_x", "", "text", "--=_x \t", "Content-Type: image/png", "Content-Transfer-Encoding: binary", "", "\x89PNG\r\n\x1a\n\x00", "--=_x--", "end\rend"),
		crlf("MIME-Version: 1.0", `Content-Type: multipart/mixed; boundary="=_x"`, "Content-Transfer-Encoding: 7bit", "",
			"pre amble", "--=_x", "", "text", "--=_x", "Content-Type: image/png", "Content-Transfer-Encoding: base64", "", "iVBORw0KGgoA", "--=_x--", "end end"))
	f("8-bit part in a binary multipart", crlf("Content-Type: multipart/mixed; boundary=b", "Content-Transfer-Encoding: binary", "", "--b", "", "ü", "--b--"),
		crlf("Content-Type: multipart/mixed; boundary=b", "Content-Transfer-Encoding: 8bit", "", "--b", "", "ü", "--b--"))
	f("message in a message", crlf("Content-Type: multipart/mixed; boundary=b", "", "--b", "Content-Type: message/rfc822", "Content-Transfer-Encoding: binary", "",
		"Subject: in", "", "x\x00", "--b--"),
		crlf("Content-Type: multipart/mixed; boundary=b", "", "--b", "Content-Type: message/rfc822", "Content-Transfer-Encoding: 7bit", "",
			"Subject: in", "MIME-Version: 1.0", "Content-Type: application/octet-stream", "Content-Transfer-Encoding: base64", "", "eAA=", "--b--"))
	f("digest", crlf("Content-Type: multipart/digest; boundary=b", "", "--b", "", "Subject: in", "", "\n", "--b--"),
		crlf("Content-Type: multipart/digest; boundary=b", "", "--b", "", "Subject: in", "MIME-Version: 1.0", "Content-Type: text/plain; charset=us-ascii",
			"Content-Transfer-Encoding: base64", "", "Cg==", "--b--"))
	f("multipart without a delimiter", crlf("MIME-Version: 1.0", "Content-Type: multipart/mixed; boundary=b", "", "\x00"),
		strings.TrimSuffix(crlf("MIME-Version: 1.0", "Content-Type: application/octet-stream", "Content-Transfer-Encoding: base64", "", "AA0K"), "\r\n"))
	f("base64 with LF", "Content-Transfer-Encoding: base64\r\n\r\nYW\nJj\r\n", "Content-Transfer-Encoding: base64\r\n\r\nYW\r\nJj\r\n")
	f("quoted-printable with LF and CR", "Content-Transfer-Encoding: quoted-printable\r\n\r\na=\nb\rc\x00\r\n",
		"Content-Transfer-Encoding: quoted-printable\r\n\r\na=\r\nb=0Dc=00\r\n")
	f("delimiter in a header", crlf("Content-Type: multipart/mixed; boundary=b", "", "--b", "Content-Transfer-Encoding: binary", "--b--", "\x00"),
		crlf("Content-Type: multipart/mixed; boundary=b", "", "--b", "Content-Transfer-Encoding: 7bit", "--b--", " "))
	f("an outer delimiter ends the inner one", crlf("Content-Type: multipart/mixed; boundary=o", "", "--o", "Content-Type: multipart/mixed; boundary=oi", "",
		"--oi", "", "a\nb", "--o", "", "c", "--oi", "--o--"),
		crlf("Content-Type: multipart/mixed; boundary=o", "", "--o", "Content-Type: multipart/mixed; boundary=oi", "",
			"--oi", "Content-Transfer-Encoding: base64", "", "YQpi", "--o", "", "c", "--oi", "--o--"))
	f("a long line", "A: b\r\nMIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n"+strings.Repeat("x", 999),
		"A: b\r\nMIME-Version: 1.0\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\n"+
			strings.Repeat(strings.Repeat("eHh4", 19)+"\r\n", 17)+strings.Repeat("eHh4", 10))
}

func TestConvert_Failure(t *testing.T) {
	f := func(name, message string) {
		t.Run(name, func(t *testing.T) {
			if _, _, err := convert(message, 1<<20); !errors.Is(err, ErrLimit) {
				t.Errorf("got %v", err)
			}
		})
	}
	f("depth", strings.Repeat("Content-Type: message/rfc822\r\n\r\n", MaxDepth)+"\r\n\x00")
	f("parts", "Content-Type: multipart/mixed; boundary=b\r\n\r\n"+strings.Repeat("--b\r\n\r\n\x00\r\n", MaxParts))
	var deep strings.Builder
	for i := range MaxDepth + 1 {
		fmt.Fprintf(&deep, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
	}
	f("multiparts", deep.String()+"\r\n\x00")
}

func TestPlan_Broken(t *testing.T) {
	f := func(message string, want ...string) {
		t.Helper()
		_, plan, err := convert(message, 3)
		if err != nil || !reflect.DeepEqual(plan.Broken, want) {
			t.Errorf("%q: got %q, %v; want %q", message, plan.Broken, err, want)
		}
	}
	f("A: b\r\n\r\n\x00")
	f("DKIM-Signature: v=1;\r\n d=x\r\n\r\n\x00", "DKIM-Signature")
	signed := "Content-Type: multipart/signed; boundary=s\r\n\r\n--s\r\n\r\n%s\r\n--s\r\nContent-Type: application/pgp-signature\r\n\r\nsig\r\n--s--\r\n"
	f(fmt.Sprintf(signed, "text"))
	f(fmt.Sprintf(signed, "te\nxt"), "multipart/signed")
	f("ARC-Message-Signature: i=1\r\n"+fmt.Sprintf(signed, "\x00"), "DKIM-Signature", "multipart/signed")
	plan := Plan{Encoded: 2, Broken: []string{"DKIM-Signature"}}
	if got := plan.Field("mx.example", "1"); got != "X-MIME-Autoconverted: from binary to base64 by mx.example id 1;\r\n\tno longer valid: DKIM-Signature\r\n" {
		t.Errorf("Field: %q", got)
	}
}

// same returns where two messages differ for a reader.
func same(t *testing.T, path string, was, is *node) {
	t.Helper()
	if was.leaf != is.leaf || len(was.parts) != len(is.parts) {
		t.Fatalf("part %s: a leaf %v with %d parts became %v with %d", path, was.leaf, len(was.parts), is.leaf, len(is.parts))
	}
	if want, ok := was.decoded(); was.leaf && ok {
		if got, _ := is.decoded(); got != want {
			t.Fatalf("part %s: %q became %q (%q)", path, want, got, is.content)
		}
	}
	for line := range strings.SplitSeq(is.content, "\r\n") {
		if len(line) > maxLine {
			t.Fatalf("part %s has a line of %d octets", path, len(line))
		}
	}
	for i := range was.parts {
		same(t, fmt.Sprintf("%s.%d", path, i+1), was.parts[i], is.parts[i])
	}
}

// check holds the conversion of a message to what the package promises.
func check(t *testing.T, message string) {
	t.Helper()
	out, _, err := convert(message, max(1, len(message)))
	if err != nil {
		return
	}
	for _, cut := range []int{1, 2, 5, 64} {
		if got, _, _ := convert(message, cut); got != out {
			t.Fatalf("%q cut every %d:\ngot   %q\nwhole %q", message, cut, got, out)
		}
	}
	if rest := strings.ReplaceAll(out, "\r\n", ""); strings.ContainsAny(rest, "\r\n\x00") {
		t.Fatalf("%q became %q: that is not lines", message, out)
	}
	same(t, "1", slowRead(message), slowRead(out))
	if again, _, _ := convert(out, 11); again != out {
		t.Fatalf("%q became\n%q and then\n%q", message, out, again)
	}
}

// FuzzConvert: the output is lines, each leaf decodes to what it was, what is converted
// is not converted again, and how the input is cut does not matter.
func FuzzConvert(f *testing.F) {
	for _, s := range []string{
		"", "A: b", "A: b\r\n\r\nc\nd", "\r\n\x00", "x\r\ny", "A: b\r\n", " c\n", "--b\r\n\r\n",
		crlf("Content-Type: multipart/mixed; boundary=b", "Content-Transfer-Encoding: binary", "", "--b", "", "\x00\r\n\n--b", "--b--", "e\n"),
		crlf("Content-Type: multipart/digest; boundary=b", "", "--b", "", "A: b", "", "x\ry", "--b"),
		crlf("Content-Type: message/rfc822", "", "Content-Type: multipart/a; boundary=\"a b\"", "", "--a b", "", "é\n", "--a b--"),
		"Content-Transfer-Encoding: base64\n\nYQ==\nYg\r=\x00=\n", "Content-Transfer-Encoding: quoted-printable\n\na =\n=0D=0\rx\x00",
		"Content-Type: multipart/x; boundary=b\n\r--b\n\x00--b\n" + strings.Repeat("x", 998) + "--b\n--b",
		"Content-Transfer-Encoding: quoted-printable\n\n" + strings.Repeat("x", 900) + "--b\n\x00",
		"Content-Transfer-Encoding:\n\n0\n", "Content-Type: multipart/0; boundary=a\n--a\x00\n--a", "Content-Type: multipart/0; boundary=b\n\r\r\n--b--\n\n", "Content-Type: multipart/x; boundary=a\n\n--a\nContent-Type: multipart/y; boundary=ab\n\n--ab\n\nq\x00\n--a\n\nr\n--ab--\n--a--",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, message string) { check(t, message) })
}

func BenchmarkConvert(b *testing.B) {
	message := "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n" + strings.Repeat("\x00\x01binary\n\r\xff", 100_000) + "\r\n--b--\r\n"
	b.SetBytes(int64(len(message)))
	for b.Loop() {
		_, _, _ = convert(message, 64<<10)
	}
}
