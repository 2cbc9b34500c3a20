package mbrain

import (
	"io"
	"testing"

	"postrider/codec/growth"
)

// Entries of any number, quotations, and header lines again and again are read once.
func TestReader_Growth(t *testing.T) {
	for _, unit := range []string{"From: a\n", "From: a\nTo: b\n\nx\n", "from:", ">From: \n", ">", "F", "From: a\nOctets: 0\n\n", "From: a\nOctets: 9999999\n", "To: a\n", "\n", "\r\n", "From: a\nDate: x\nSubject: y\n\n", "From: a\nTo: b\nTo: c\n", "From:\n"} {
		for _, piece := range []int{1, 4096} {
			growth.Linear(t, unit, 8<<10, func(n int) func() {
				text := "From: a\n\n" + growth.Repeat(unit, n)
				return func() {
					r := NewReader(growth.Reader(text))
					p := make([]byte, piece)
					for {
						if _, err := r.Next(); err != nil {
							return
						}
						for {
							if _, err := r.Read(p); err != nil {
								if err != io.EOF {
									return
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
