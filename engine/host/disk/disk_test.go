package disk

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A file is replaced as a whole, only its owner may read it, and nothing else is left.
func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "secret")
	for _, text := range []string{"one", "", strings.Repeat("x", 100_000)} {
		if err := WriteFile(file, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(file); err != nil || string(got) != text {
			t.Errorf("%d octets, %v; want %d", len(got), err, len(text))
		}
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(filepath.Join(dir, "folder"), nil); err == nil {
		t.Error("a folder was replaced")
	}
	if err := WriteFile(filepath.Join(dir, "none", "file"), nil); err == nil {
		t.Error("a file was made in a folder that is not there")
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) != 2 {
		t.Errorf("%v, %v", names, err)
	}
}

func TestMkdirAllAndRename(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, dir := range []string{"a/b/c", "a/b/c", "a/../a/b/d/", "e"} {
		if err := MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			t.Errorf("%s: %v", dir, err)
		}
	}
	if err := WriteFile("a/file", nil); err != nil {
		t.Fatal(err)
	}
	if err := MkdirAll("a/file/below", 0o700); err == nil {
		t.Error("a folder was made below a file")
	}
	if err := Rename("a/file", "e/file"); err != nil {
		t.Error(err)
	}
	if err := Rename("a/b", "f"); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat("f/c"); err != nil {
		t.Error(err)
	}
	if err := Rename("none", "g"); err == nil {
		t.Error("what is not there was renamed")
	}
	if err := SyncTree("f"); err != nil {
		t.Error(err)
	}
}
