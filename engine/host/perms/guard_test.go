package perms

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestModes(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "secret")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		check func(string) error
		path  string
		mode  fs.FileMode
		want  string // in the error; "": none
	}{
		{Directory, dir, 0o700, ""},
		{Directory, dir, 0o750, "chmod 700 " + dir},
		{Directory, dir, 0o701, "chmod 700 " + dir},
		{Secret, file, 0o600, ""},
		{Secret, file, 0o400, ""},
		{Secret, file, 0o640, "has mode 0640"},
		{Secret, file, 0o604, "chmod 600 " + file},
		{SharedSecret, file, 0o640, ""},
		{SharedSecret, file, 0o660, "chmod 640 " + file},
		{SharedSecret, file, 0o644, "chmod 640 " + file},
		{Secret, file + "-that-is-not-there", 0o600, ""},
	} {
		if filepath.Base(c.path) != "secret-that-is-not-there" {
			if err := os.Chmod(c.path, c.mode); err != nil {
				t.Fatal(err)
			}
		}
		err := c.check(c.path)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s with mode %04o: %v, want %q", filepath.Base(c.path), c.mode, err, c.want)
		}
		_ = os.Chmod(dir, 0o700)
	}
}

func TestOwner(t *testing.T) {
	for _, c := range []struct {
		owner, me uint32
		want      bool
	}{{7, 7, true}, {0, 7, true}, {8, 7, false}, {8, 0, true}} {
		if got := mine(c.owner, c.me); got != c.want {
			t.Errorf("a file of %d, for %d: %v", c.owner, c.me, got)
		}
	}
}
