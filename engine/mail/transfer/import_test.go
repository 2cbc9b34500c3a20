package transfer

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"postrider/storage"
)

// write puts files into a folder, of which all have the same time.
func write(t *testing.T, folder string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, day, day); err != nil {
			t.Fatal(err)
		}
	}
}

// said is the report of an import, a line each.
func said(r Result) string {
	var lines []string
	for _, p := range r.Passed {
		lines = append(lines, p.String())
	}
	return strings.Join(lines, "\n")
}

// subjects returns the subjects of the stored messages.
func subjects(f *fake) string {
	var all []string
	for _, m := range f.messages {
		_, rest, _ := strings.Cut(m.plain(), "Subject: ")
		subject, _, _ := strings.Cut(rest, "\r\n")
		all = append(all, subject)
	}
	return strings.Join(all, " ")
}

func packed(t *testing.T, program, text string) string {
	t.Helper()
	switch program {
	case "gzip":
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		if _, err := z.Write([]byte(text)); err != nil || z.Close() != nil {
			t.Fatal(err)
		}
		return b.String()
	case "zstd":
		z, err := zstd.NewWriter(nil)
		if err != nil {
			t.Fatal(err)
		}
		return string(z.EncodeAll([]byte(text), nil))
	}
	cmd := exec.Command(program)
	cmd.Stdin = strings.NewReader(text)
	out, err := cmd.Output()
	if err != nil {
		t.Skip(err)
	}
	return string(out)
}

func letterOf(subject string) string {
	return "Subject: " + subject + "\n\n" + strings.Repeat("words\n", 100)
}

// A Maildir as Dovecot leaves it: packed files, its own files, deleted mail, folders.
func TestImport_maildirOfDovecot(t *testing.T) {
	dir, to := t.TempDir(), new(fake)
	write(t, dir, map[string]string{
		"cur/1700000003.M1P2.h,S=9:2,S":  packed(t, "gzip", letterOf("three")),
		"cur/1700000002.M1P2.h,S=9:2,SZ": packed(t, "zstd", letterOf("two")),
		"cur/1700000001.M7P2.h:2,":       letterOf("one"),
		"cur/1700000001.M10P2.h:2,ST":    letterOf("deleted"),
		"cur/1700000009.M1P2.h:2,":       "\x89PNG\r\n\x1a\n",
		"cur/1700000008.M1P2.h:2,":       "",
		"cur/dovecot.index.cache":        "\x01\x02",
		"new/1700000004.M1P2.h":          packed(t, "gzip", letterOf("cut"))[:40],
		"new/1700000005.M1P2.h":          "\xfd7zXZ\x00...",
		"tmp/1700000006.M1P2.h":          "Sub",
		".Sent/cur/1.h:2,S":              letterOf("sent"),
		".Trash/cur/1.h:2,S":             letterOf("trash"),
		"dovecot-uidvalidity":            "",
	})
	if err := os.Symlink("1700000001.M7P2.h:2,", filepath.Join(dir, "cur", "link")); err != nil {
		t.Fatal(err)
	}
	got, err := Import(context.Background(), to, account, dir, Options{Format: Maildir})
	if subjects(to) != "one two three" || got.Messages != 3 || !errors.Is(err, ErrData) {
		t.Errorf("stored %q, %v", subjects(to), err)
	}
	for _, want := range []string{"1 link is skipped: cur/link", "1 message is marked as deleted", "2 folders are skipped; import each by its own path: .Sent, .Trash",
		"1 file in tmp", "1 file is empty", "1 file is not a message", "1 file is skipped because of its name: cur/dovecot.index.cache", "2 files can't be unpacked",
		"unexpected EOF", "compressed by xz; unpack it first"} {
		if !strings.Contains(said(got), want) {
			t.Errorf("%q is not in\n%s", want, said(got))
		}
	}
	for _, want := range []string{"1 file is not a message", "M1P2.h:2,", "2 files can't be unpacked"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %q", want, err)
		}
	}
}

// The order of a Maildir: Dovecot's list, then the time in the names, microseconds too.
func TestImport_maildirOrder(t *testing.T) {
	f := func(want string, files map[string]string) {
		t.Helper()
		dir, to := t.TempDir(), new(fake)
		write(t, dir, files)
		if _, err := Import(context.Background(), to, account, dir, Options{Format: Maildir}); err != nil || subjects(to) != want {
			t.Errorf("got %q, want %q (%v)", subjects(to), want, err)
		}
	}
	mails := map[string]string{
		"cur/100.M9P1.h:2,S": letterOf("a"), "cur/100.M10P1.h:2,": letterOf("b"), "new/99.M1P1.h": letterOf("c"), "new/1000.M1P1.h": letterOf("d"),
	}
	f("c a b d", mails)
	mails["dovecot-uidlist"] = "3 V1700000000 N9 Gabc\n4 :1000.M1P1.h:2,\n7 W12 :100.M9P1.h\n"
	f("d a c b", mails)
	mails["dovecot-uidlist"] = "1 1700000000 9\n4 100.M10P1.h:2,S\n5 99.M1P1.h\n"
	f("b c a d", mails)
	delete(mails, "dovecot-uidlist")
	mails["cur/by-hand"] = letterOf("without") // the time of its last change is later
	f("c a b d without", mails)
}

func TestImport_emlOrder(t *testing.T) {
	dir, to := t.TempDir(), new(fake)
	write(t, dir, map[string]string{"10.eml": letterOf("ten"), "9.EML": letterOf("nine"), "a2.eml.gz": packed(t, "gzip", letterOf("packed")),
		"011.eml": letterOf("eleven"), "read.me": "x", "more/1.eml": letterOf("deep")})
	got, err := Import(context.Background(), to, account, dir, Options{Format: EML})
	if want := "nine ten eleven packed"; err != nil || subjects(to) != want {
		t.Errorf("got %q, want %q (%v)", subjects(to), want, err)
	}
	if want := "1 folder is skipped; import it by its own path: more\n1 file is skipped because of its name: read.me"; said(got) != want {
		t.Errorf("got %q", said(got))
	}
}

// Export and import keep the order of the maildrop, whatever the times of arrival are.
func TestRoundTrip_keepsTheOrder(t *testing.T) {
	for _, format := range []Format{Mbox, Maildir, EML, RawText} {
		from, to, dir := new(fake), new(fake), t.TempDir()
		for i := range 40 {
			text := fmt.Sprintf("Subject: %d\r\n\r\n", i)
			from.add(day.Add(-time.Duration(i)*time.Hour), trace, text, int64(len(text)))
		}
		if _, err := Export(context.Background(), from, account, dir, Options{Format: format}); err != nil {
			t.Fatal(err)
		}
		if _, err := Import(context.Background(), to, account, dir, Options{Format: format}); err != nil || subjects(to) != subjects(from) {
			t.Errorf("format %d: %s, %v", format, subjects(to), err)
		}
	}
}

// A message that came with a Content-Length of its own is not followed over the
// beginning of the next one, and nor are marks of deletion that came with a message.
func TestRoundTrip_hostileFields(t *testing.T) {
	second := "Subject: two\r\n\r\nX-Mozilla-Status: 0008\r\n"
	var all []string
	for n := range 400 {
		all = append(all, fmt.Sprintf("Subject: one\r\nno field\r\nContent-length: %d\r\nX-Mozilla-Status: 0009\r\n\r\ntext\r\n", n), second)
	}
	from, to, dir := filled(all...), new(fake), t.TempDir()
	if _, err := Export(context.Background(), from, account, dir, Options{Format: Mbox}); err != nil {
		t.Fatal(err)
	}
	got, err := Import(context.Background(), to, account, dir, Options{Format: Mbox})
	if err != nil || int(got.Messages) != len(all) || len(got.Passed) > 0 {
		t.Fatal(got, err)
	}
	for i, m := range to.messages {
		if m.plain() != from.messages[i].plain() {
			t.Fatalf("message %d: %q", i, m.plain())
		}
	}
}

// What an mbox file of Mozilla has that is not to be imported, and what is odd in it.
func TestImport_mboxOfMozilla(t *testing.T) {
	const line = "From - Tue Jul 05 18:44:12 2022\r\n"
	file := line + "X-Account-Key: account1\r\nX-Mozilla-Status: 0009\r\nSubject: gone\r\n\r\nx\r\n" +
		line + "X-Mozilla-Status: 0001\r\nSubject: there\r\n\r\nx\r\n" +
		line + line + ">From - Tue Jul 05 18:44:12 2022\r\nSubject: twice\r\n\r\nx\r\n\r\nFrom mine to yours\r\n\r\n" +
		"From a@b.example Tue Jul 05 18:44:12 2022\r\nbare text\r\n\r\n"
	for _, program := range []string{"", "gzip", "zstd", "bzip2"} {
		path, text := filepath.Join(t.TempDir(), "Inbox"), file
		if program != "" {
			text = packed(t, program, file)
		}
		write(t, filepath.Dir(path), map[string]string{"Inbox": text})
		to := new(fake)
		got, err := Import(context.Background(), to, account, path, Options{Format: Mbox})
		if err != nil || len(to.messages) != 3 || !strings.HasPrefix(subjects(to), "there twice") {
			t.Fatalf("%s: stored %q, %v", program, subjects(to), err)
		}
		if want := "Return-Path: <a@b.example>\r\n\r\nbare text\r\n"; to.messages[2].plain() != want {
			t.Errorf("%q", to.messages[2].plain())
		}
		if want := "1 message is marked as deleted and is skipped: line 1\n1 message without a header and a body is skipped: line 12\n" +
			"1 line is ambiguous: line 19 begins with From and is taken for text\n1 message has no header and gets one, with its sender only: line 21"; said(got) != want {
			t.Errorf("%s: said\n%s\nwant\n%s", program, said(got), want)
		}
	}
}

// A file that is not mail is refused by name, and nothing of it is stored.
func TestImport_refuses(t *testing.T) {
	f := func(format Format, text, want string, kind error) {
		t.Helper()
		to, path := new(fake), filepath.Join(t.TempDir(), "in")
		write(t, filepath.Dir(path), map[string]string{"in": text})
		_, err := Import(context.Background(), to, account, path, Options{Format: format})
		if !errors.Is(err, kind) || !strings.Contains(err.Error(), want) || len(to.messages) != 0 || strings.Count(err.Error(), path) != 1 {
			t.Errorf("got %v, want %q; %d messages", err, want, len(to.messages))
		}
	}
	f(Mbox, "hello\n", "in: line 1: not an mbox file", ErrData)
	f(Mbox, "PK\x03\x04", "a zip archive", ErrData)
	f(Mbox, packed(t, "gzip", "hello\n"), "line 1: not an mbox file", ErrData)
	f(Mbox, "\x28\xb5\x2f\xfd\x00\x00", "this zstd file can't be unpacked", ErrData)
	f(EML, "hello\n", "1 file is not a message", ErrData)
	f(EML, "\x1f\x8bgarbage", "this gzip file can't be unpacked", ErrData)
	f(EML, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Outlook message (.msg)", ErrData)
	f(RawText, "hello\n", "in: line 1", ErrData)
	for _, format := range []Format{Mbox, Text} {
		if _, err := Import(context.Background(), new(fake), account, t.TempDir(), Options{Format: format}); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "name the file to import") {
			t.Errorf("format %d: %v", format, err)
		}
	}
	if _, err := Import(context.Background(), new(fake), account, t.TempDir()+"/none", Options{Format: EML}); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// A small file that becomes a huge one is not unpacked to its end.
func TestImport_bomb(t *testing.T) {
	bomb := packed(t, "zstd", "Subject: zeros\n\n"+strings.Repeat("0", freely+freely/2))
	dir, to := t.TempDir(), new(fake)
	write(t, dir, map[string]string{"1.eml": bomb, "2.eml": letterOf("next")})
	got, err := Import(context.Background(), to, account, dir, Options{Format: EML})
	if !errors.Is(err, ErrData) || !strings.Contains(err.Error(), "too large when unpacked") || subjects(to) != "next" || got.Messages != 1 {
		t.Errorf("%v, stored %q", err, subjects(to))
	}
}

// What is stored when an import breaks off is told exactly.
func TestImport_tellsWhatIsStored(t *testing.T) {
	file := ""
	for i := range 5 {
		file += "From a x\n" + letterOf(fmt.Sprint(i)) + "\n"
	}
	path := filepath.Join(t.TempDir(), "x.mbox")
	write(t, filepath.Dir(path), map[string]string{"x.mbox": file})
	for failAt, want := range map[int]string{1: "nothing was stored", 2: "the first message was stored", 4: "the first 3 messages were stored"} {
		// The fake confirms at once, so that no delivery is under way when one fails.
		_, err := Import(context.Background(), &fake{failAt: failAt, stop: true}, account, path, Options{Format: Mbox})
		if !errors.Is(err, storage.ErrFull) || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("failing at %d: %v", failAt, err)
		}
	}
	_, err := Import(context.Background(), &fake{failAt: 2}, account, path, Options{Format: Mbox})
	if want := "the first 1 messages were stored, and 3 after the one that was not"; !errors.Is(err, storage.ErrFull) || !strings.HasSuffix(err.Error(), want) {
		t.Error(err)
	}
}
