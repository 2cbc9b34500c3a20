package uu

import (
	"strings"
	"testing"
)

// Whatever the name of a file, it is made in the folder, and is not hidden.
func TestSafeName(t *testing.T) {
	for name, want := range map[string]string{
		"/etc/passwd": "passwd", "../../x": "x", `..\x`: "x", ".bashrc": "bashrc", "..": "file", "a/": "file", "-rf": "rf",
		"a\x1b[31mb": "a_[31mb", "a\u202eb": "a_b", "a b.txt": "a b.txt", "x/.../y": "y",
		"": "file", strings.Repeat("\u00e9", 100) + ".tar.gz": strings.Repeat("\u00e9", 58) + ".gz", "na\xffme": "na_me",
	} {
		if got := SafeName(name); got != want {
			t.Errorf("%q is made as %q, want %q", name, got, want)
		}
	}
}
