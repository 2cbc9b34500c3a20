package accountfile

import (
	"testing"

	"postrider/codec/growth"
)

// A file is read in one pass: lines that can't be read, names twice, quotes without an
// end, hashes that are none.
func TestRead_Growth(t *testing.T) {
	for _, unit := range []string{"a:b\n", "\"a\n", "\"\\\":\n", ":\n", "#\n", "\n", "x\n", "a@b@c:d\n", "alice:{X}\n", "alice:$argon2id$\n", "\"a:b\":c:d:e\n", "a b:c\n", "a:$6$:1\n", "a:*:1:2:3:4:5:6:\n", "a:pbkdf2_sha\n", "a:0123456789abcdef0123456789abcdef\n"} {
		growth.Linear(t, unit, 8<<10, func(n int) func() {
			text := "first:x\n" + growth.Repeat(unit, n)
			return func() { _, _ = Read(growth.Reader(text), "file", taken{}) }
		})
	}
	for _, unit := range []string{":", "1:", "$", "$6$", "{X}"} {
		growth.Linear(t, unit, 8<<10, func(n int) func() {
			text := "alice:" + growth.Repeat(unit, n)
			return func() { _, _ = Read(growth.Reader(text), "file", taken{}) }
		})
	}
	growth.Linear(t, "one line", 8<<10, func(n int) func() {
		text := "\"" + growth.Repeat(`\"`, n) + "\":x\n"
		return func() { _, _ = Read(growth.Reader(text), "file", taken{}) }
	})
}
