package aliasfile

import (
	"testing"

	"postrider/codec/growth"
)

// A file is read in one pass: an entry of thousands of lines, quotes without an end,
// targets that are no addresses, lines that can't be read.
func TestRead_Growth(t *testing.T) {
	for _, unit := range []string{" a@b.test,\n", "a: b\n", " \"\n", "#\n", "\n", "x: \"", ",", " \\\n", "a:b,c,\n", "|x,", "/f,", ":include:x,", "no colon\n", " a\n", "a@b@c: x\n"} {
		growth.Linear(t, unit, 8<<10, func(n int) func() {
			text := "list: x\n" + growth.Repeat(unit, n)
			return func() { _, _, _ = Read(growth.Reader(text), "file", names{}) }
		})
	}
}
