package disk

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
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

// tree makes a directory with a file, or a file, with a text.
func tree(t *testing.T, name, text string, folder bool) {
	t.Helper()
	if folder {
		if err := os.Mkdir(name, 0o700); err != nil {
			t.Fatal(err)
		}
		name = filepath.Join(name, "file")
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// textOf reads what tree made.
func textOf(t *testing.T, name string) string {
	t.Helper()
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		name = filepath.Join(name, "file")
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// Under the name there is always one, the old or the new, and the new one when it was renamed.
func TestReplace(t *testing.T) {
	f := func(fromFolder, toThere, toFolder bool) {
		t.Helper()
		t.Chdir(t.TempDir())
		tree(t, "new", "new", fromFolder)
		if toThere {
			tree(t, "name", "old", toFolder)
		}
		if err := Replace("new", "name"); err != nil {
			t.Error(err)
		}
		if text := textOf(t, "name"); text != "new" {
			t.Errorf("%q has the name", text)
		}
		if names, err := os.ReadDir("."); len(names) != 1 || err != nil {
			t.Errorf("%v are there, %v", names, err)
		}
	}
	for _, folder := range []bool{false, true} {
		f(folder, false, false)
		f(folder, true, folder)
	}
	f(true, true, false)

	// The sync fails: nothing is undone, and the old one is not lost.
	for _, folder := range []bool{false, true} {
		t.Chdir(t.TempDir())
		tree(t, "new", "new", folder)
		tree(t, "name", "old", folder)
		err := replace("new", "name", func(dir string) error { return &os.PathError{Op: "sync", Path: dir, Err: syscall.EIO} })
		if !errors.Is(err, syscall.EIO) || textOf(t, "name") != "new" {
			t.Errorf("%v; %q has the name", err, textOf(t, "name"))
		}
		if folder && (textOf(t, "new.old") != "old" || !strings.Contains(err.Error(), "new.old")) {
			t.Errorf("%v; the old one is %q", err, textOf(t, "new.old"))
		}
	}

	// The rename fails: the old one is where it was.
	t.Chdir(t.TempDir())
	tree(t, "new", "new", true)
	tree(t, "new/name", "old", true)
	if err := Replace("new", "new/name"); err == nil || textOf(t, "new/name") != "old" {
		t.Errorf("%v; %q has the name", err, textOf(t, "new/name"))
	}
	tree(t, "file", "new", false)
	if err := Replace("file", "new"); err == nil || textOf(t, "new") != "new" || textOf(t, "file") != "new" {
		t.Errorf("a file took the place of a folder: %v", err)
	}
	if err := Replace("none", "new"); err == nil || textOf(t, "new") != "new" {
		t.Errorf("what is not there took the place of a folder: %v", err)
	}
}
