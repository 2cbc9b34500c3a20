package mbox

import (
	"io"
	"testing"

	"postrider/codec/growth"
)

// Lines that may begin a message, lengths that are wrong, and quotations cost as much as
// there is of them.
func TestReader_Growth(t *testing.T) {
	const from = "From a@b Thu Jan  1 00:00:00 1970\n"
	for _, unit := range []string{
		"From \n", "\nFrom \n", "\nFrom x\na: b\n", "From a b c d e f g h i j\n", from, from + "\n", from + "a: b\n\nx\n\n", ">From \n", ">", ">>>>>>>>From x\n", "F", "From", "\n", "\r\n",
		from + "Content-Length: 0\n\n", from + "Content-Length: 5\n\n", from + "Content-Length: 99999999\n\n", "Content-Length: 1\n", "x: y\n", "From : x\n", "From x remote from y\n",
		"From " + growth.Repeat("x ", 500) + "\n", "\nFrom " + growth.Repeat("1970 ", 1000) + "\n", "From \r", "From\n",
	} {
		for _, piece := range []int{1, 4096} {
			growth.Linear(t, unit, 8<<10, func(n int) func() {
				text := from + growth.Repeat(unit, n)
				return func() {
					r := NewReader(growth.Reader(text))
					r.Doubt = func(int, string) {}
					p := make([]byte, piece)
					for {
						if _, err := r.Next(); err != nil {
							return
						}
						for {
							if _, err := r.Read(p); err != nil {
								if err != io.EOF {
									t.Errorf("%q: %v", unit, err)
								}
								break
							}
						}
					}
				}
			})
		}
	}
}
