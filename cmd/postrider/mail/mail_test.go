package mail

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rivo/uniseg"

	"postrider/engine/client"
)

func TestNumbers(t *testing.T) {
	items := []client.Item{{Number: 1, UID: "a"}, {Number: 2, UID: "3"}, {Number: 4, UID: "d"}}
	f := func(c correspondent, args, want string) {
		t.Helper()
		wanted := make([]bool, len(items))
		got := ""
		for _, arg := range strings.Fields(args) {
			if err := c.choose(items, wanted, arg); err != nil {
				got = "!"
			}
		}
		for i, w := range wanted {
			if w {
				got += items[i].UID
			}
		}
		if got != want {
			t.Errorf("%q: %q, want %q", args, got, want)
		}
	}
	number, uid := correspondent{}, correspondent{byUID: true}
	f(number, "1", "a")
	f(number, "4 1-2 1", "a3d")
	f(number, "2-9", "3d")
	f(number, "all", "a3d")
	f(number, "3", "!")
	f(number, "0", "!")
	f(number, "2-1", "!")
	f(number, "-1", "!")
	f(number, "99999999999999999999", "!")
	f(number, "d", "!")
	f(uid, "3", "3")
	f(uid, "all", "!")
}

func TestColumn(t *testing.T) {
	f := func(text string, width int, want string) {
		t.Helper()
		got := column(text, width)
		if got != want || uniseg.StringWidth(got) != width {
			t.Errorf("%q: %q, %d columns, want %q", text, got, uniseg.StringWidth(got), want)
		}
	}
	f("abc", 5, "abc  ")
	f("abcdef", 5, "abcd…")
	f("犬犬犬", 5, "犬犬…")
	f("犬犬犬", 4, "犬… ")
	f("a\x1b[2J", 6, "a\ufffd[2J ")
	f("e\u0301e\u0301e\u0301", 2, "e\u0301…")
}

func TestShort(t *testing.T) {
	f := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	f(shortSize(9999), "9999")
	f(shortSize(10_000), "10k")
	f(shortSize(9_999_999), "10000k")
	f(shortSize(31_457_280), "31M")
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.Local)
	f(shortDate(now.Add(-time.Hour), now), "Nov 26 11:00")
	f(shortDate(now.AddDate(-1, 0, 0), now), "Nov 26  2025")
	f(shortDate(time.Time{}, now), "")
}

// A file gets its name when it is whole; one that is there is never replaced untold.
func TestWriteNew(t *testing.T) {
	dir := t.TempDir()
	f := func(name string, replace bool, want string) {
		t.Helper()
		path, err := writeNew(dir, name, replace, func(w io.Writer) error {
			_, err := io.WriteString(w, want)
			return err
		})
		if text, _ := os.ReadFile(path); err != nil || filepath.Base(path) != want || string(text) != want {
			t.Errorf("%q: %q %q %v, want %q", name, path, text, err, want)
		}
	}
	f("a.b.txt", false, "a.b.txt")
	f("a.b.txt", false, "a.b-2.txt")
	f("a.b.txt", false, "a.b-3.txt")
	f("a.b.txt", true, "a.b.txt")
	f("x", false, "x")
	f("x", false, "x-2")
	_, err := writeNew(dir, "broken", false, func(io.Writer) error { return io.ErrUnexpectedEOF })
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); err == nil || len(left) != 0 {
		t.Errorf("%v, %q is left", err, left)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 5 {
		t.Errorf("%d files", len(entries))
	}
}

// The text of a message is UTF-8, or what --charset says; it is never sent with characters
// that were lost on the way.
func TestTextToSend(t *testing.T) {
	f := func(charset, in, want string) {
		t.Helper()
		w := writing{charset: charset}
		got, err := w.inUTF8([]byte(in))
		if err != nil {
			got = "error: " + err.Error()
		}
		if got != want && (err == nil || want == "" || !strings.Contains(got, want)) {
			t.Errorf("%q in %q: %q, want %q", in, charset, got, want)
		}
	}
	f("", "Straße\n", "Straße\n")
	f("", "\ufeffgrün", "grün")
	f("", "eins\nStra\xdfe", "error: the text is not UTF-8: octet 0xDF in line 2")
	f("utf-8", "na\xefve", "octet 0xEF in line 1")
	f("latin1", "Stra\xdfe \x84so\x93", "Straße „so“")
	f("koi8-r", "\xf0\xd2\xc9", "При")
	f("", "\xff\xfeh\x00i\x00", "hi")
	f("x-klingon", "tlh\xdfngan", "unknown charset")
	f("euc-jp", "\x8e", "check --charset")
}

// Lists on the command line are read as in the form of the web client.
func TestAddressList(t *testing.T) {
	f := func(want string, texts ...string) {
		t.Helper()
		list, err := addressList(texts)
		got := ""
		for _, a := range list {
			got += a.Name + "<" + a.Address + ">"
		}
		if err != nil {
			got = err.Error()
		}
		if got != want && (err == nil || !strings.Contains(got, want)) {
			t.Errorf("%q: %q, want %q", texts, got, want)
		}
	}
	f("<kim@k.example><lee@l.example>", "kim@k.example; lee@l.example")
	f("Kim; K.<kim@k.example>Jürg<j@j.example>", `"Kim; K." <kim@k.example>`, "Jürg <j@j.example>;")
	f("the boss", "kim@k.example, the boss")
	f("has no domain", "kim")
	f("no domain after the @", "kim@")
}
