package mbox

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

var day = time.Date(2026, 11, 22, 23, 0, 0, 0, time.UTC)

func readAll(t *testing.T, r io.Reader) (senders, texts []string) {
	t.Helper()
	for in := NewReader(r); ; {
		f, err := in.Next()
		if err == io.EOF {
			return senders, texts
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		senders, texts = append(senders, f.Sender), append(texts, string(text))
	}
}

const asctime = " Sun Nov 22 23:00:00 2026\n"

func TestReader_Success(t *testing.T) {
	f := func(file string, want ...string) {
		t.Helper()
		_, got := readAll(t, strings.NewReader(file))
		if strings.Join(got, "|") != strings.Join(want, "|") || len(got) != len(want) {
			t.Errorf("%q: got %q, want %q", file, got, want)
		}
	}
	f("")
	f("\n\n")
	f("From a"+asctime+"A: b\n\ntext\n\nFrom b x\nC: d\n\n", "A: b\n\ntext\n", "C: d\n")
	f("\ufeffFrom a x\r\nA: b\r\n\r\ntext\r\n\r\nFrom b x\r\nC: d\r\n", "A: b\r\n\r\ntext\r\n", "C: d\r\n")
	f("From a"+asctime+"one\nFrom here it is text\n>From quoted\n>>From twice\n\n", "one\nFrom here it is text\nFrom quoted\n>From twice\n")
	f("From a"+asctime+"\nFrom b"+asctime, "", "")
	f("From a"+asctime+"no end", "no end")
	// A paragraph that begins with From, and one whose next line doesn't look like a field.
	f("From a"+asctime+"A: b\n\nDear all,\n\nFrom Monday on we open at 10.\n\nFrom then: nothing\nso long\n\n", "A: b\n\nDear all,\n\nFrom Monday on we open at 10.\n\nFrom then: nothing\nso long\n")
	// No empty line between messages, in a header and in a body.
	f("From a"+asctime+"A: b\nFrom c@d.example"+asctime+"C: d\n\ntext\nFrom -"+asctime+"E: f\n", "A: b\n", "C: d\n\ntext\n", "E: f\n")
	// "From" as a field, and a line that is too long to be one of a mailbox.
	f("From a"+asctime+"A: b\n\n\nFrom : c\nD: e\n", "A: b\n\n\nFrom : c\nD: e\n")
	long := "From " + strings.Repeat("a", maxFrom) + asctime
	f("From a"+asctime+"A: b\n\n"+long, "A: b\n\n"+long)
}

// A Content-Length counts where the file agrees with it, and nowhere else.
func TestReader_contentLength(t *testing.T) {
	inner := "See:\n\nFrom ann" + asctime + "To: bob\n\nFrom here on\n"
	f := func(length int, from, tail string, want ...string) {
		t.Helper()
		file := fmt.Sprintf("From a%sA: b\ncontent-length : %d\n\n%s%s", from, length, inner, tail)
		for _, in := range []io.Reader{strings.NewReader(file), iotest.OneByteReader(strings.NewReader(file))} {
			_, got := readAll(t, in)
			for i, text := range want {
				if i >= len(got) || !strings.HasSuffix("\n"+got[i], text) || len(got) != len(want) {
					t.Errorf("%q: got %q, want the ends %q", file, got, want)
				}
			}
		}
	}
	n := len(inner)
	f(n, asctime, "", "here on\n")
	f(n-1, asctime, "\n", "here on\n") // the last line end is not counted
	f(n, asctime, "\nFrom c"+asctime+"D: e\n", "here on\n", "\nD: e\n")
	f(n, asctime, "From c"+asctime+"D: e\n", "here on\n", "\nD: e\n")
	f(n, asctime, "\nmore\n", "See:\n", "more\n")
	f(n-3, asctime, "\n", "See:\n", "here on\n")
	f(n+1000, asctime, "\n", "See:\n", "here on\n")
	f(n, " Sun Nov 22 23:00:00 2026 +0000\n", "\n", "See:\n", "here on\n")

	// Beyond what is in memory, with a file that can be read anywhere.
	big := strings.Repeat("0123456789\n", 20000) + inner
	_, got := readAll(t, strings.NewReader(fmt.Sprintf("From a%sContent-Length: %d\n\n%s\nFrom b%sC: d\n", asctime, len(big), big, asctime)))
	if len(got) != 2 || !strings.HasSuffix(got[0], big) {
		t.Errorf("%d messages, the first with %d octets", len(got), len(got[0]))
	}
}

// Close decisions are reported with their line.
func TestReader_doubts(t *testing.T) {
	file := "From a" + asctime + "A: b\n\nFrom one\ntwo\nFrom three\n\nFrom four\nFive: 6\n\nseven\nFrom eight" + asctime + "nine\n"
	var got []string
	r := NewReader(strings.NewReader(file))
	r.Doubt = func(line int, what string) { got = append(got, fmt.Sprint(line, " ", what)) }
	for {
		if _, err := r.Next(); err != nil {
			break
		}
	}
	want := []string{"4 begins with From and is taken for text", "8 has no date", "12 begins a message, although"}
	if len(got) != len(want) {
		t.Fatalf("got %q", got)
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("got %q, want %q", got[i], want[i])
		}
	}
}

func TestReader_Failure(t *testing.T) {
	f := func(file, want string) {
		t.Helper()
		if _, err := NewReader(strings.NewReader(file)).Next(); !errors.Is(err, ErrNoMbox) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v", file, err)
		}
	}
	f("\nhello\n", "line 2")
	f("From me to you\n\nAll my love\n", "line 1")
	f("From: a@b.example\nSubject: one message\n\n", "line 1")
}

func TestWriter_looksAsOthersExpect(t *testing.T) {
	var w Writer
	b := w.Begin(nil, "a b@example.com", day)
	b = w.End(w.Append(b, []byte("Subject: s\n\nFrom me\nend")))
	b = w.End(w.Begin(b, "", day))
	want := "From a_b@example.com Sun Nov 22 23:00:00 2026\nSubject: s\n\n>From me\nend\n\nFrom MAILER-DAEMON Sun Nov 22 23:00:00 2026\n\n"
	if string(b) != want {
		t.Errorf("got %q, want %q", b, want)
	}
}

func TestParseFrom_Success(t *testing.T) {
	f := func(text, sender string, want time.Time) {
		t.Helper()
		if got, _ := parseFrom(text); got.Sender != sender || !got.Date.Equal(want) {
			t.Errorf("%q: got %q %v", text, got.Sender, got.Date)
		}
	}
	for _, s := range []string{"a Sun Nov 22 23:00:00 2026", "a Sun Nov 22 23:00:00 +0000 2026", "a  Sun Nov 22 23:00:00 2026 +0000\n",
		"a Sun Nov 22 23:00 2026\r\n", "a sun nov 22 23:00:00 26", "a Mon Nov 23 00:00:00 CET 2026", "a Sun Nov 22 18:00:00 2026 EST",
		"a Mon Nov 23 01:00:00 MET DST 2026", "a Sun, 22 Nov 2026 23:00:00 +0000", "a 22 Nov 2026 20:00 -0300 (BRT)",
		"a Sunday November 22 23:00:00 2026 remote from uunet", "a Sun Nov 22 23:00:00 GMT 26 remote from host", "a 2026-11-22T23:00:00Z",
		"a 2026-11-22 23:00:00", "a Sun Nov 22 23:00:00 XYZ 2026"} {
		f(s, "a", day)
	}
	f("MAILER-DAEMON Mon Jan  1 10:00:00 2024", "", time.Date(2024, 1, 1, 10, 0, 0, 0, time.UTC))
	f("- Fri Jul 08 12:08:34 2011", "", time.Date(2011, 7, 8, 12, 8, 34, 0, time.UTC))
	f("???@??? Tue Jan 01 00:00:00 1980", "???@???", time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC))
	f("\"ann b\"@c.example Tue Jan 01 00:00:00 80", "\"ann b\"@c.example", time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC))
	f("1234@xxx Sat Feb 29 06:00:00 +0530 2020", "1234@xxx", time.Date(2020, 2, 29, 0, 30, 0, 0, time.UTC))
}

func TestParseFrom_Failure(t *testing.T) {
	for _, s := range []string{"", "a", "a x", "Sun Nov 22 23:00:00 2026", "a Nov 22 23:00:00 2026", "a Sun Nov 22 23:00:00", "a Sun Nov 32 23:00:00 2026",
		"a Sun Nov 22 24:00:00 2026", "a Sun Nov 22 23:61 2026", "a Sun Nov 22 23:00:00 2026 and on", "Monday to Friday from 10:00 2024",
		"a Sun Nov 22 2026", "a Sun Nov 22 23:00:00 2026 +00", "a Sun Nov 22 23:00:00 x 2026", "what I hear, Mon Jan 1 is off"} {
		if f, _ := parseFrom(s); !f.Date.IsZero() {
			t.Errorf("%q: %v", s, f.Date)
		}
	}
}

func FuzzRoundTrip(f *testing.F) {
	f.Add("a\n\nFrom b\n", "From c\n>From \n\n\n", true)
	f.Add("", "\r\n", false)
	f.Add("no field\nContent-Length: 61\n\n", "three\n", false)
	f.Add("Content-Length: 52\n\n", "\nContent-Length: 3\n\nend", false)
	f.Fuzz(func(t *testing.T, one, two string, slow bool) {
		var file []byte
		var w Writer
		for _, text := range []string{one, two} {
			w.OwnLength = HasLength([]byte(text))
			file = w.Begin(file, "s", day)
			for _, c := range []byte(text) {
				file = w.Append(file, []byte{c})
			}
			file = w.End(file)
		}
		var in io.Reader = strings.NewReader(string(file))
		if slow {
			in = iotest.OneByteReader(in)
		}
		senders, got := readAll(t, in)
		if len(got) != 2 || got[0] != whole(one) || got[1] != whole(two) || senders[0] != "s" {
			t.Fatalf("%q, %q came back as %q by %q", one, two, got, file)
		}
		if n := strings.Count("\n"+string(file), "\nFrom "); n != 2 {
			t.Fatalf("a naive reader finds %d messages in %q", n, file)
		}
	})
}

// whole is text with the line end that the form asks for.
func whole(text string) string {
	if text == "" || strings.HasSuffix(text, "\n") {
		return text
	}
	return text + "\n"
}
