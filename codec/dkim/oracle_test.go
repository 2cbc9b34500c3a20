package dkim

import (
	"bytes"
	"crypto/sha256"
	"io"
	"regexp"
	"strings"
	"testing"
)

// slowBody is the canonical form of a body by the letter of RFC 6376 section 3.4: whole,
// with a copy for each step.
func slowBody(text string, c Canonicalization) string {
	text = regexp.MustCompile(`\r?\n`).ReplaceAllString(text, "\r\n")
	if c == Relaxed {
		text = regexp.MustCompile(`[ \t]+(\r\n|$)`).ReplaceAllString(text, "$1")
		text = regexp.MustCompile(`[ \t]+`).ReplaceAllString(text, " ")
	}
	for strings.HasSuffix(text, "\r\n") {
		text = strings.TrimSuffix(text, "\r\n")
	}
	if text == "" && c == Relaxed {
		return ""
	}
	return text + "\r\n"
}

// slowField is that of a field, without its line end.
func slowField(field string, c Canonicalization) string {
	field = strings.TrimSuffix(strings.TrimSuffix(field, "\n"), "\r")
	if c == Simple {
		return field
	}
	name, value, _ := strings.Cut(field, ":")
	value = strings.Trim(regexp.MustCompile(`[ \t\r\n]+`).ReplaceAllString(value, " "), " ")
	return asciiLower(strings.TrimRight(name, " \t\r\n")) + ":" + value
}

func asciiLower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// body is the fast one, with its input cut and overwritten.
func body(text string, c Canonicalization, cut int) string {
	var out bytes.Buffer
	b := NewBody(&out, c)
	for in := []byte(text); len(in) > 0; {
		n := min(cut, len(in))
		_, _ = b.Write(in[:n])
		clear(in[:n])
		in = in[n:]
	}
	_ = b.Close()
	return out.String()
}

func TestBody_AsTheSlowTwin(t *testing.T) {
	long := strings.Repeat("a line  with \tblanks\t\r\n", 200) + strings.Repeat("\r\n", 3000) + " x"
	for _, text := range []string{
		"", "\r\n", "\r\n\r\n", " ", " \r\n\t\r\n", "x", "x\r\n", "x \r\n\r\n \r\n", " \t x", "a\rb\r\n", "a \rb", "x\r", "\r", "\r\r\n", "\r\n\r", "\n\n", "a\n \nb\n",
		"C \r\nD \t E\r\n\r\n\r\n", strings.Repeat(" ", 5000) + "\r\nx", strings.Repeat("x", 5000), long, long + "\r\n\r\n",
	} {
		for _, c := range []Canonicalization{Simple, Relaxed} {
			for _, cut := range []int{1, 2, 3, 1000, len(text) + 1} {
				if got, want := body(text, c, cut), slowBody(text, c); got != want {
					t.Errorf("%s, %.60q cut every %d: %.80q, want %.80q", c, text, cut, got, want)
				}
			}
		}
	}
}

// RFC 6376 section 3.4.5.
func TestCanonicalForms_TheExampleOfTheRFC(t *testing.T) {
	if got := body(" C \r\nD \t E\r\n\r\n\r\n", Relaxed, 3); got != " C\r\nD E\r\n" {
		t.Errorf("relaxed body %q", got)
	}
	if got := body(" C \r\nD \t E\r\n\r\n\r\n", Simple, 3); got != " C \r\nD \t E\r\n" {
		t.Errorf("simple body %q", got)
	}
	var out bytes.Buffer
	WriteField(&out, []byte("A: X\r\n"))
	WriteField(&out, []byte("B : Y\t\r\n\tZ  \r\n"))
	if out.String() != "a:X\r\nb:Y Z\r\n" {
		t.Errorf("relaxed header %q", out.String())
	}
}

func FuzzBody(f *testing.F) {
	f.Add("a  b \r\n\r\n", 1)
	f.Add(" \r\n\r\nx\r\r\n\n", 2)
	f.Fuzz(func(t *testing.T, text string, cut int) {
		if cut < 1 {
			return
		}
		for _, c := range []Canonicalization{Simple, Relaxed} {
			if got, want := body(text, c, cut), slowBody(text, c); got != want {
				t.Errorf("%s, %q cut every %d: %q, want %q", c, text, cut, got, want)
			}
		}
	})
}

// slowSigned is what a signature covers, with a look at all fields for each name.
func slowSigned(header string, names []string, c Canonicalization) string {
	var fields []string
	for line := range strings.Lines(header) {
		if line[0] == ' ' || line[0] == '\t' {
			if len(fields) > 0 {
				fields[len(fields)-1] += line
			}
			continue
		}
		fields = append(fields, line)
	}
	var out string
	used := make([]bool, len(fields))
	for _, name := range names {
		for i := len(fields) - 1; i >= 0; i-- {
			key, _, ok := strings.Cut(fields[i], ":")
			if !used[i] && ok && asciiLower(strings.TrimRight(key, " \t")) == asciiLower(strings.Trim(name, " \t\r\n")) {
				used[i] = true
				out += slowField(fields[i], c) + "\r\n"
				break
			}
		}
	}
	return out
}

func FuzzHeader(f *testing.F) {
	f.Add("From: a\r\nTo: b\r\n c\r\nto : d\r\n", "to:From: TO:x:to", true)
	f.Add("a\r\n b\r\nA: x\r\n\ty\nb:\r\n", "a:b", false)
	f.Add("a: 1\r\nA: 2\r\nAb: 3\r\na: 4\r\n", "ab:a:a:a:a", true)
	f.Fuzz(func(t *testing.T, header, names string, relaxed bool) {
		if end := regexp.MustCompile(`(?m)^\r|^\n`).FindStringIndex(header); end != nil {
			header = header[:end[0]]
		}
		h, err := ParseHeader([]byte(header))
		if err != nil || strings.Contains(names, ";") {
			return
		}
		c := Simple
		if relaxed {
			c = Relaxed
		}
		var out bytes.Buffer
		p := pieces{w: &out}
		for range 2 { // the second signature is not touched by the first
			h.writeSigned(&p, []byte(names), c)
		}
		p.flush()
		if want := slowSigned(header, strings.Split(names, ":"), c); out.String() != want+want {
			t.Errorf("%q of %q: %q, want %q twice", names, header, out.String(), want)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add("DKIM-Signature: v=1; a=rsa-sha256; d=x.test; s=s; h=from; bh=AAAA; b=AA\r\n AA", "v=DKIM1; k=ed25519; p=AAAA")
	f.Add("dkim-signature:b=;b =x;;=", "p=")
	f.Fuzz(func(t *testing.T, field, record string) {
		if s, err := ParseSignature([]byte(field)); err == nil {
			h, _ := ParseHeader([]byte("From: x\r\n"))
			s.WriteHeader(sha256.New(), h)
		}
		_, _ = ParseKey(record)
	})
}

// WriteField writes a field in its relaxed canonical form, with its line end.
func WriteField(w io.Writer, field []byte) {
	out := pieces{w: w}
	writeField(&out, field, Relaxed)
	out.add("\r\n")
	out.flush()
}
