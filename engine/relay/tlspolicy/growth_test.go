package tlspolicy

import (
	"testing"

	"postrider/codec/growth"
)

// A policy file and the record that announces it are read in one pass; so is the question
// whether a host is in it.
func TestPolicy_Growth(t *testing.T) {
	for _, unit := range []string{"mx: a\n", "mx: *.a\r\n", "mx:\n", ":\n", "\n", "x", "version: STSv1\n", "mode: none\n", " ", "a:b", "\r", "mx: *.\n"} {
		growth.Linear(t, unit, 8<<10, func(n int) func() {
			text := []byte("version: STSv1\nmode: enforce\nmax_age: 1\nmx: x.test\n" + growth.Repeat(unit, n))
			return func() {
				if p, err := ParsePolicy(text); err == nil {
					p.Allows("mail.example.test")
				}
			}
		})
	}
	for _, unit := range []string{";", "id=1;", "=", " ", "id=;"} {
		growth.Linear(t, unit, 8<<10, func(n int) func() {
			record := "v=STSv1;" + growth.Repeat(unit, n)
			return func() { ParseRecord([]string{record}) }
		})
	}
}
