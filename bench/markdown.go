package bench

import (
	"fmt"
	"strings"
)

// CPUUnit is what a server's CPU is divided by in a table.
type CPUUnit string

// The units.
const (
	PerMessage CPUUnit = "message"
	PerMB      CPUUnit = "MB"
)

// MarkdownHead begins a table of [MarkdownRow]s.
func MarkdownHead(unit CPUUnit) string {
	return fmt.Sprintf("| | messages/s | MB/s | server CPU, us a %s | p50, us | p99, us | mail |\n| --- | ---: | ---: | ---: | ---: | ---: | --- |\n", unit)
}

// MarkdownRow is the rounds of one server: medians, with the least and most in
// parentheses.
func MarkdownRow(name string, rounds []Report, unit CPUUnit) string {
	var b strings.Builder
	fmt.Fprintf(&b, "| %s |", name)
	for _, metric := range []string{"messages/s", "MB/s", "server CPU us/" + string(unit), "message p50, us", "message p99, us"} {
		for _, m := range metrics {
			if m.name != metric {
				continue
			}
			if values := m.over(rounds); len(values) > 0 {
				s := spreadOf(values)
				fmt.Fprintf(&b, " %s (%s-%s)", figure(s.Median), figure(s.Min), figure(s.Max))
			}
			b.WriteString(" |")
		}
	}
	fmt.Fprintf(&b, " %s |\n", custody(rounds))
	return b.String()
}

// figure has three digits or all before the point.
func figure(v float64) string {
	if v >= 100 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

// custody reports whether what was acknowledged was found.
func custody(rounds []Report) string {
	var sum Audit
	searched := 0
	for _, r := range rounds {
		if r.Audit != nil {
			searched++
			sum.Acknowledged += r.Audit.Acknowledged
			sum.Found += r.Audit.Found
			sum.Repeated += r.Audit.Repeated
		}
	}
	if searched == 0 {
		return "not looked for"
	}
	text := fmt.Sprintf("%d of %d found whole", sum.Found, sum.Acknowledged)
	if sum.Repeated > 0 {
		text += fmt.Sprintf(", %d twice", sum.Repeated)
	}
	return text
}
