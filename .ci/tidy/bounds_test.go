package tidy

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The page of bounds names tests, each after the package that it is in, and keys of the
// configuration. All of them are there; a row without a test says nothing that holds.
func TestBoundsNameWhatIsThere(t *testing.T) {
	root := "../.."
	text, err := os.ReadFile(filepath.Join(root, "engine/BOUNDS.md"))
	if err != nil {
		t.Fatal(err)
	}
	tests, keys := testsOf(t, root), keysOf(t, root)
	if len(tests) < 50 || len(keys) < 50 {
		t.Fatalf("%d packages with tests, %d keys: the tree is not read", len(tests), len(keys))
	}
	for _, wrong := range wrongBounds(string(text), tests, keys) {
		t.Error(wrong)
	}
}

// testsOf has the tests of each package that has some, by its folder, and by the last
// parts of it: engine/front/web is also web.
func testsOf(t *testing.T, root string) map[string]map[string]bool {
	files, err := load(root)
	if err != nil {
		t.Fatal(err)
	}
	tests := make(map[string]map[string]bool)
	for _, f := range files {
		if !f.isTest && f.folder != "storage/storetest" {
			continue
		}
		for folder := f.folder; ; {
			if tests[folder] == nil {
				tests[folder] = make(map[string]bool)
			}
			for _, name := range testFunction.FindAllStringSubmatch(string(f.content), -1) {
				tests[folder][name[1]] = true
			}
			_, rest, more := strings.Cut(folder, "/")
			if !more {
				break
			}
			folder = rest
		}
	}
	return tests
}

// testFunction is a test, or one of those that each store has to pass, in a list.
var testFunction = regexp.MustCompile(`(?m)^(?:func |\t\{")((?:Test)?[A-Z]\w+)(?:\(|", \w+\},)`)

// keysOf are the keys of the configuration.
func keysOf(t *testing.T, root string) map[string]bool {
	sources, err := filepath.Glob(filepath.Join(root, "engine/config/*.go"))
	if err != nil {
		t.Fatal(err)
	}
	keys := make(map[string]bool)
	for _, source := range sources {
		text, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range stringOfKey.FindAllStringSubmatch(string(text), -1) {
			keys[key[1]] = true
		}
	}
	return keys
}

var (
	stringOfKey = regexp.MustCompile(`"([a-z][a-z0-9]*\.[a-z][a-z0-9_]*)"`)
	keyInPage   = regexp.MustCompile("`([a-z][a-z0-9]*\\.[a-z][a-z0-9_]*)`")
	testInPage  = regexp.MustCompile("^(?:([a-z0-9/]+) )?`([A-Z]\\w+)`$")
)

// wrongBounds says what is wrong with a page of bounds.
func wrongBounds(page string, tests map[string]map[string]bool, keys map[string]bool) (wrong []string) {
	for _, key := range keyInPage.FindAllStringSubmatch(page, -1) {
		if !keys[key[1]] && !strings.HasSuffix(key[1], ".go") {
			wrong = append(wrong, "there is no key "+key[1])
		}
	}
	for line := range strings.Lines(page) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if !strings.HasPrefix(line, "| ") || strings.TrimSpace(cells[0]) == "thing" {
			continue
		}
		thing, last := strings.TrimSpace(cells[0]), strings.TrimSpace(cells[len(cells)-1])
		if last == "" {
			wrong = append(wrong, thing+": no test is named")
			continue
		}
		folder := ""
		for part := range strings.FieldsFuncSeq(last, func(r rune) bool { return r == ',' || r == ';' }) {
			named := testInPage.FindStringSubmatch(strings.TrimSpace(part))
			if named == nil {
				wrong = append(wrong, thing+": "+strings.TrimSpace(part)+" is no package and test")
				continue
			}
			if named[1] != "" {
				folder = named[1]
			}
			if !tests[folder][named[2]] {
				wrong = append(wrong, thing+": there is no test "+named[2]+" in "+folder)
			}
		}
	}
	return wrong
}

func TestWrongBounds(t *testing.T) {
	tests := map[string]map[string]bool{"web": {"TestA": true, "TestB": true}, "codec/uu": {"TestC": true}}
	keys := map[string]bool{"smtp.max_size": true}
	f := func(page string, want ...string) {
		t.Helper()
		if got := strings.Join(wrongBounds(page, tests, keys), "; "); got != strings.Join(want, "; ") {
			t.Errorf("%s\ngives %s\nwant  %s", page, got, strings.Join(want, "; "))
		}
	}
	const head = "| thing | bound | test |\n|---|---|---|\n"
	f(head + "| a | `smtp.max_size` | web `TestA`, `TestB`; codec/uu `TestC` |\n")
	f(head+"| a | `smtp.max_sise` | web `TestA` |\n", "there is no key smtp.max_sise")
	f(head+"| a | 5 | web `TestC` |\n", "a: there is no test TestC in web")
	f(head+"| a | 5 | |\n", "a: no test is named")
	f(head+"| a | 5 | web |\n", "a: web is no package and test")
	f("see `engine/window.go`, `window.go`, and `x.y`\n", "there is no key x.y")
}
