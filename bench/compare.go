package bench

import (
	"fmt"
	"slices"
	"strings"
)

// Comparison is one figure of two results.
type Comparison struct {
	Metric  string  `json:"metric"`
	A       Spread  `json:"a"`
	B       Spread  `json:"b"`
	Ratio   float64 `json:"ratio"` // median of B / median of A
	Verdict Verdict `json:"verdict"`
	// Chance is the probability that rounds of two equal servers would be parted
	// as these are; 1 where they overlap.
	Chance float64 `json:"chance"`
}

// Verdict is how B compares with A.
type Verdict string

// The verdicts.
const (
	Better Verdict = "B is better"
	Worse  Verdict = "B is worse"
	Same   Verdict = "no difference shown" // the rounds overlap
	Unsure Verdict = "too few rounds"      // less than 3 on a side
)

// Spread is a figure over the rounds.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	Rounds int     `json:"rounds"`
}

func spreadOf(values []float64) Spread {
	slices.Sort(values)
	n := len(values)
	return Spread{(values[n/2] + values[(n-1)/2]) / 2, values[0], values[n-1], n}
}

func (s Spread) String() string { return fmt.Sprintf("%.4g (%.4g-%.4g)", s.Median, s.Min, s.Max) }

// Compare compares all figures that both have. Two servers differ in a figure when
// the worst round of one is better than the best of the other: with three rounds
// each that happens by chance once in ten, with five once in 126. Every figure is
// judged by itself, so look at the figures that the measurement was made for.
func Compare(a, b *Result) []Comparison {
	var all []Comparison
	for _, m := range metrics {
		as, bs := m.over(a.Rounds), m.over(b.Rounds)
		if len(as) == 0 || len(bs) == 0 {
			continue
		}
		c := Comparison{Metric: m.name, A: spreadOf(as), B: spreadOf(bs), Verdict: Same, Chance: 1}
		if c.A.Median != 0 {
			c.Ratio = c.B.Median / c.A.Median
		}
		above, below := c.B.Min > c.A.Max, c.B.Max < c.A.Min
		if above || below {
			c.Chance = parted(len(as), len(bs))
			c.Verdict = Worse
			if above == m.more {
				c.Verdict = Better
			}
		}
		if min(len(as), len(bs)) < 3 {
			c.Verdict = Unsure
		}
		all = append(all, c)
	}
	return all
}

func (m metric) over(rounds []Report) (values []float64) {
	for _, r := range rounds {
		if v, ok := m.of(r); ok {
			values = append(values, v)
		}
	}
	return values
}

// parted is the probability that n and k draws of one distribution don't overlap:
// two of all the ways to order them.
func parted(n, k int) float64 {
	ways := 1.0
	for i := 1; i <= k; i++ {
		ways = ways * float64(n+i) / float64(i)
	}
	return 2 / ways
}

// ComparisonTable is for people.
func ComparisonTable(all []Comparison) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-22s %30s %30s %7s  %s\n", "", "A", "B", "B/A", "verdict")
	for _, c := range all {
		fmt.Fprintf(&b, "%-22s %30s %30s %7.3f  %s", c.Metric, c.A, c.B, c.Ratio, c.Verdict)
		if c.Chance < 1 && c.Verdict != Unsure {
			fmt.Fprintf(&b, " (by chance: %.2g)", c.Chance)
		}
		b.WriteByte('\n')
	}
	return b.String()
}
