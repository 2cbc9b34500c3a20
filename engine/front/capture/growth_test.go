package capture

import (
	"strings"
	"testing"
	"time"

	"postrider/codec/growth"
)

// A query is read in one pass, and one over maxQuery is refused at no cost. What a search
// compares grows as the text of a message does.
func TestQuery_Growth(t *testing.T) {
	for _, unit := range []string{"a ", `"`, "-a ", "from:a ", "to:x ", `"a b" `, "after:2026 ", "larger:1 ", "has:attachment ", ":", "\u00ad", "\u2003", "-", "aaaaaaab", "x:y ", `fr"om:`} {
		growth.Linear(t, unit, maxQuery/8, func(n int) func() {
			text := growth.Repeat(unit, n)
			return func() { _, _ = parseQuery(text, time.UTC) }
		})
	}
	long := growth.Repeat("a ", maxQuery+1)
	if n := testing.AllocsPerRun(1, func() { _, _ = parseQuery(long, time.UTC) }); n > 10 {
		t.Errorf("a query that is too long: %v allocations", n)
	}
	for _, text := range []string{growth.Repeat("aaab ", maxQuery-10), growth.Repeat("-aab ", maxQuery-10), growth.Repeat("to:ab ", maxQuery-10), growth.Repeat(strings.Repeat("a", 30)+"b ", maxQuery-40)} {
		q, err := parseQuery(text, time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		growth.Linear(t, text[:10], 4<<10, func(n int) func() {
			s := summary{From: &address{Name: "x"}, Subject: strings.Repeat("a", n)}
			for range n / 8 {
				s.To = append(s.To, address{"a", "a@a.example"})
			}
			body := strings.Repeat("a", n)
			return func() { q.matches(&s, body, true, true) }
		})
	}
}

// The text that a search compares is made in one pass.
func TestFold_Growth(t *testing.T) {
	for _, unit := range []string{" ", "a ", "\u00ad", "\u2019", "\xff", "\u0130", "\n", "A"} {
		growth.Linear(t, unit, 16<<10, func(n int) func() {
			text := growth.Repeat(unit, n)
			return func() { fold(text) }
		})
	}
}
