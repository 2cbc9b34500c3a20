package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Mail that is imported into a running server has the order of its file, by POP3.
// With POSTRIDER_FULL in the environment there are 10,000 messages.
func TestImportKeepsTheOrder(t *testing.T) {
	t.Parallel()
	n := 600
	if os.Getenv("POSTRIDER_FULL") != "" {
		n = 10_000
	}
	var file bytes.Buffer
	for i := range n {
		fmt.Fprintf(&file, "From ann@far.example Tue Feb  6 07:08:09 2024\nSubject: n%d\n\n%s\n\n", i, strings.Repeat("words ", i*7%400))
	}
	path := filepath.Join(t.TempDir(), "in.mbox")
	if err := os.WriteFile(path, file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newServer(t, "reader")
	s.start()
	s.run("import", "reader", "--format", "mbox", path)
	got := s.fetch("reader", false)
	if len(got) != n {
		t.Fatalf("%d messages of %d", len(got), n)
	}
	for i, m := range got {
		if want := fmt.Sprintf("Subject: n%d\r\n", i); !bytes.Contains(m, []byte(want)) {
			t.Fatalf("message %d is not n%d: %.100q", i+1, i, m)
		}
	}
}

// The exit code of an import shows what was wrong, and the text has it once.
func TestImportSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "notes"), []byte("hello\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newServer(t, "reader")
	s.start()
	f := func(path string, code int, want string) {
		t.Helper()
		status, said := s.fails("import", "reader", "--format", "mbox", path)
		if status != code || !strings.Contains(said, want) || strings.Count(said, "stored") > 1 {
			t.Errorf("%s: exit code %d, %q", path, status, said)
		}
	}
	f(filepath.Join(dir, "notes"), 65, "notes: line 1: not an mbox file")
	f(dir, 66, "this is a folder without reader.mbox")
	f(filepath.Join(dir, "none"), 66, "none")
}
