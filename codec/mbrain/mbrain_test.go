package mbrain

import (
	"encoding/hex"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

const seed = "From: jsmith\nTo: mbrain\nMarshall,\nCan we have lunch Monday?\nJohn\n"

type message struct {
	e    Entry
	text string
}

func write(ms ...message) string {
	var w Writer
	var b []byte
	for _, m := range ms {
		b = w.Begin(b, m.e)
		for i := range len(m.text) {
			b = w.Append(b, []byte{m.text[i]})
		}
		b = w.End(b)
	}
	return string(b)
}

func read(r io.Reader) (ms []message, err error) {
	for in := NewReader(r); ; {
		e, err := in.Next()
		if err == io.EOF {
			return ms, nil
		}
		if err != nil {
			return ms, err
		}
		text, err := io.ReadAll(in)
		if err != nil {
			return ms, err
		}
		e.Line = 0
		ms = append(ms, message{e, string(text)})
	}
}

func TestSeedsOwnFile(t *testing.T) {
	m := message{Entry{From: "jsmith", To: "mbrain"}, "Marshall,\nCan we have lunch Monday?\nJohn\n"}
	if got := write(m, m); got != seed+seed {
		t.Errorf("written: %q", got)
	}
	got, err := read(strings.NewReader(seed + seed))
	if err != nil || len(got) != 2 || got[0] != m || got[1] != m {
		t.Errorf("read: %+v, %v", got, err)
	}
}

func TestWriter(t *testing.T) {
	f := func(m message, want string) {
		t.Helper()
		if got := write(m); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	f(message{Entry{From: "a", To: "b", Date: "d", Subject: "s\n t"}, "To: me"}, "From: a\nTo: b\nDate: d\nSubject: s  t\n\nTo: me\n")
	f(message{}, "From:\nTo:\n")
	f(message{Entry{}, "\nx\n>from:\nFROM:"}, "From:\nTo:\n\n\nx\n>>from:\n>FROM:\n")
	at := time.Date(2026, 11, 22, 23, 0, 0, 5e6, time.UTC)
	f(message{Entry{From: "a", To: "b", Raw: true, Octets: 7, Arrived: at}, "From: \r"},
		"From: a\nTo: b\nArrived: 2026-11-22T23:00:00.005Z\nOctets: 7\n\n>From: \r\n")
	f(message{Entry{From: "a", To: "b", Raw: true, Octets: 1, Arrived: at, UIDL: "UID5-7"}, "x"},
		"From: a\nTo: b\nArrived: 2026-11-22T23:00:00.005Z\nUIDL: UID5-7\nOctets: 1\n\nx\n")
}

func TestReader_Failure(t *testing.T) {
	f := func(file string, line int) {
		t.Helper()
		var e *FormatError
		if _, err := read(strings.NewReader(file)); !errors.As(err, &e) || e.Line != line {
			t.Errorf("%q: got %v, want an error in line %d", file, err, line)
		}
	}
	f("\nhello\n", 2)
	f("From: a\nOctets: x\n", 2)
	f("From: a\nOctets: 3\n\nabc\nmore\n", 6)
	f("From: a\nOctets: 30\n\nabc\n", 5)
	f("From: a\nArrived: today\n", 2)
	f("From: "+strings.Repeat("x", 100000), 1)
}

var naive = regexp.MustCompile(`(?i)(\A|\n|\r)From:`)

func FuzzRoundTrip(f *testing.F) {
	f.Add("jsmith", "lunch", "Marshall,\nCan we have lunch Monday?\n", ">From: x\rfrom:\x00")
	f.Add("", "", "To: x\n", "\r\n")
	f.Add("a", "b", "\nOctets: 5", ">>>From:>From:\n")
	f.Add("a", "b", "UIDL: 5", "UIDL: 5")
	f.Fuzz(func(t *testing.T, from, subject, text, raw string) {
		plain := message{Entry{From: clean(from), To: "mbrain", Subject: clean(subject)}, text}
		if text != "" && !strings.HasSuffix(text, "\n") {
			plain.text += "\n"
		}
		whole := message{Entry{From: clean(from), Raw: true, Octets: int64(len(raw)), Arrived: time.UnixMilli(1).UTC(), UIDL: clean(subject)}, raw}
		file := write(plain, whole, plain)
		if n := len(naive.FindAllString(file, -1)); n != 3 {
			t.Fatalf("a naive reader finds %d messages in %q", n, file)
		}
		for _, in := range []io.Reader{strings.NewReader(file), iotest.OneByteReader(strings.NewReader(file))} {
			got, err := read(in)
			if err != nil || len(got) != 3 || got[0] != plain || got[1] != whole || got[2] != plain {
				t.Fatalf("%q came back as %+v, %v", file, got, err)
			}
		}
	})
}

func FuzzReader(f *testing.F) {
	f.Add(seed)
	f.Add("From: a\nOctets: 3\n\nabc\n")
	f.Fuzz(func(t *testing.T, file string) {
		_, _ = read(strings.NewReader(file)) // ends, and doesn't panic
	})
}

func FuzzFileName(f *testing.F) {
	f.Add("mbrain", "")
	f.Add("../x@y", "example.net")
	f.Add(".a/\x00é%", "x")
	f.Fuzz(func(t *testing.T, name, domain string) {
		name, domain = asciiLower(name), asciiLower(domain)
		file := FileName(name, domain)
		if strings.ContainsAny(file, "/\\:\x00") || name != "" && file[0] == '.' {
			t.Fatalf("%q is not safe", file)
		}
		if n, d, ok := ParseFileName(file); name != "" && (!ok || n != name || d != domain) {
			t.Fatalf("%q came back as %q %q %v", file, n, d, ok)
		}
	})
}

func asciiLower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 32
		}
	}
	return string(b)
}

func TestFileName(t *testing.T) {
	if got := FileName("mbrain", ""); got != "MBRAIN.TXT" {
		t.Error(got)
	}
	if got := FileName("j.smith", "example.net"); got != "J.SMITH@EXAMPLE.NET.TXT" {
		t.Error(got)
	}
}

// ParseFileName gives the account of a file name that FileName made, in any case.
func ParseFileName(file string) (name, domain string, ok bool) {
	if len(file) < len(Extension) || !strings.EqualFold(file[len(file)-len(Extension):], Extension) {
		return "", "", false
	}
	name, domain, at := strings.Cut(file[:len(file)-len(Extension)], "@")
	name, ok1 := unescape(name)
	domain, ok2 := unescape(domain)
	return name, domain, ok1 && ok2 && name != "" && (!at || domain != "")
}

func unescape(s string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case 'A' <= c && c <= 'Z':
			b.WriteByte(c - 'A' + 'a')
		case c == '%':
			if i+2 >= len(s) {
				return "", false
			}
			octet, err := hex.DecodeString(s[i+1 : i+3])
			if err != nil {
				return "", false
			}
			b.WriteByte(octet[0])
			i += 2
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), true
}

// Before there were UIDL lines, a text could begin with what looks like one.
func TestReader_olderText(t *testing.T) {
	got, err := read(strings.NewReader("From: a\nTo: b\nUIDL: is what POP3 has\n"))
	if err != nil || len(got) != 1 || got[0].text != "UIDL: is what POP3 has\n" || got[0].e.UIDL != "" {
		t.Errorf("%+v, %v", got, err)
	}
}
