package tidy

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A page names files and folders of the tree in backquotes. Each of them is there.
func TestPagesNameWhatIsThere(t *testing.T) {
	root := "../.."
	var pages []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		switch {
		case d.IsDir() && (d.Name() == ".git" || d.Name() == "out" || rel == "bench/results" || d.Name() == "testdata"):
			return fs.SkipDir
		case strings.HasSuffix(path, ".md") && d.Name() != "JOURNAL.md": // a journal tells of files that are gone
			pages = append(pages, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(pages) < 4 {
		t.Fatalf("only %d pages: %v", len(pages), pages)
	}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range namedFiles(string(text)) {
			if found, _ := filepath.Glob(filepath.Join(root, name)); len(found) == 0 {
				t.Errorf("%s names %s, which is not there", page, name)
			}
		}
	}
}

var quoted = regexp.MustCompile("`(\\.?[a-zA-Z0-9_.*/-]+)`")

// namedFiles are the files and folders that a page names from the top of the tree.
// .ci/out is made by the gate, and a word in capitals is to be replaced by the reader.
func namedFiles(text string) (names []string) {
	for _, m := range quoted.FindAllStringSubmatch(text, -1) {
		top, rest, ok := strings.Cut(m[1], "/")
		switch top {
		case "cmd", "engine", "codec", "storage", "bench", ".ci":
			if ok && !strings.HasPrefix(m[1], ".ci/out") && !strings.HasSuffix(rest, "NAME") {
				names = append(names, m[1])
			}
		}
	}
	return names
}

func TestNamedFiles(t *testing.T) {
	got := namedFiles("see `engine/edge/loop`, `go doc ./engine/NAME`, `engine/NAME`, `bench`, `.ci/out/green`, `.ci/run`, `relay.networks` and `storage/lsm/*.go`")
	if want := "engine/edge/loop .ci/run storage/lsm/*.go"; strings.Join(got, " ") != want {
		t.Errorf("%q", got)
	}
}
