package mbox

import (
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
	f("From a Sun Nov 22 23:00:00 2026\nA: b\n\ntext\n\nFrom b x\nc\n\n", "A: b\n\ntext\n", "c\n")
	f("From a x\r\nA: b\r\n\r\ntext\r\n\r\nFrom b x\r\nc\r\n", "A: b\r\n\r\ntext\r\n", "c\r\n")
	f("From a x\none\nFrom here it is text\n>From quoted\n>>From twice\n\n", "one\nFrom here it is text\nFrom quoted\n>From twice\n")
	f("From a x\n\nFrom b x\n", "", "")
	f("From a x\nno end", "no end")
}

func TestReader_Failure(t *testing.T) {
	if _, err := NewReader(strings.NewReader("\nhello\n")).Next(); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("got %v", err)
	}
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

func TestParseFrom(t *testing.T) {
	for _, s := range []string{"a Sun Nov 22 23:00:00 2026", "a Sun Nov 22 23:00:00 +0000 2026", "a  Sun Nov 22 23:00:00 2026 +0000\n"} {
		if sender, at := parseFrom(s); sender != "a" || !at.Equal(day) {
			t.Errorf("%q: %q %v", s, sender, at)
		}
	}
}

func FuzzRoundTrip(f *testing.F) {
	f.Add("a\n\nFrom b\n", "From c\n>From \n\n\n", true)
	f.Add("", "\r\n", false)
	f.Fuzz(func(t *testing.T, one, two string, slow bool) {
		var file []byte
		var w Writer
		for _, text := range []string{one, two} {
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
