package uidlist

import (
	"testing"

	"postrider/codec/growth"
)

// Each file is read once, whatever is in it.
func TestRead_Growth(t *testing.T) {
	for _, file := range []struct {
		first string
		units []string
		read  func(text string)
	}{
		{"3 V1 N1\n", []string{"1 :a\n", "1 ", "P", "Px ", ":", "\n", "9", "1 P ", " ", "V1 ", "1 Px :a/b\n"}, func(text string) { _, _ = ReadDovecot(growth.Reader(text)) }},
		{"/2 1 2\n", []string{"a 1 1:1\n", " ", "1 ", ":", "1:", "\n", "9", "a 1 0:0\n", "+"}, func(text string) { _, _ = ReadCourier(growth.Reader(text)) }},
		{"x y\n", []string{"\n", " ", "\t", "#", "a b\n", "# a\n", "a"}, func(text string) { _, _ = ReadMap(growth.Reader(text)) }},
	} {
		for _, unit := range file.units {
			growth.Linear(t, unit, 8<<10, func(n int) func() {
				text := file.first + growth.Repeat(unit, n)
				return func() { file.read(text) }
			})
		}
	}
}
