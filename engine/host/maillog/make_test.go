package maillog

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// Only root gives a file away, and only one that it has just made.
func TestMake(t *testing.T) {
	uid, gid := os.Getuid(), os.Getgid()
	other := uid
	if uid == 0 {
		other = 65534
	}
	dir := t.TempDir()
	made, there, link := filepath.Join(dir, "made"), filepath.Join(dir, "there"), filepath.Join(dir, "link")
	if err := os.WriteFile(there, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(there, link); err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{made, there, link, filepath.Join(dir, "nowhere", "log"), ToStderr, ToSyslog, ToJournal, ""} {
		if err := Make(to, other, gid); err != nil {
			t.Errorf("%q: %v", to, err)
		}
	}
	for path, want := range map[string]int{made: other, there: uid} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Sys().(*syscall.Stat_t).Uid; int(got) != want {
			t.Errorf("%s belongs to %d, want %d", path, got, want)
		}
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) != 3 {
		t.Errorf("%v %v", names, err)
	}
	if _, err := os.Stat(ToSyslog); err == nil {
		t.Error("a file has the name of an output")
	}
}
