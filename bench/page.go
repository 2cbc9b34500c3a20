package bench

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"strings"
	"time"
)

// The charts are drawn here, in SVG: the libraries that make charts either load
// scripts from the network, which a page kept beside a result can't rely on, or
// bring a plotting system for two polylines.

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"duration": func(d time.Duration) string { return d.Round(time.Microsecond).String() },
	"rate":     rateChart,
	"curves":   curveChart,
	"stages":   func() []string { return stageNames[:] },
	"next":     func(n int) int { return n + 1 },
}).Parse(pageText))

// Page writes the result as one HTML page, with charts, that needs nothing else.
func (r *Result) Page(w io.Writer) error {
	var shown []metric
	for _, m := range metrics[:4] {
		if len(m.over(r.Rounds)) > 0 {
			shown = append(shown, m)
		}
	}
	type row struct{ Name, Spread string }
	rows := make([]row, 0, len(shown))
	for _, m := range shown {
		spread := spreadOf(m.over(r.Rounds))
		text := spread.String()
		if len(r.Rounds) == 1 {
			text = fmt.Sprintf("%.4g", spread.Median)
		}
		rows = append(rows, row{m.name, text})
	}
	return page.Execute(w, struct {
		*Result
		Figures []row
	}{r, rows})
}

// The size of a chart, and its margins.
const (
	width, height = 860.0, 280.0
	left, bottom  = 70.0, 30.0
	legend        = 90.0 // right of the curves
)

// rateChart draws messages a second over time.
func rateChart(r Report) template.HTML {
	whole := r.Seconds[:max(len(r.Seconds)-1, 0)] // the last one is cut short
	if len(whole) < 2 {
		return "<p>The round was too short for a chart.</p>"
	}
	top := 1.0
	for _, n := range whole {
		top = max(top, float64(n))
	}
	var points strings.Builder
	for second, n := range whole {
		x := left + (width-left)*float64(second)/float64(max(len(whole)-1, 1))
		fmt.Fprintf(&points, "%.1f,%.1f ", x, (height-bottom)*(1-float64(n)/top))
	}
	var b strings.Builder
	begin(&b, width)
	fmt.Fprintf(&b, `<polyline class="l0" points="%s"/>`, points.String())
	label(&b, left-6, 12, "end", fmt.Sprintf("%.0f/s", top))
	label(&b, left-6, height-bottom, "end", "0")
	label(&b, width, height-8, "end", fmt.Sprintf("%d whole seconds", len(whole)))
	return end(&b)
}

// curveChart draws the times of each stage by percentile: the horizontal axis is
// the number of nines, the vertical one logarithmic.
func curveChart(r Report) template.HTML {
	low, high := math.Inf(1), 0.0
	for _, s := range r.Stages {
		for _, p := range s.Curve {
			low, high = min(low, math.Log10(max(float64(p.At), 1000))), max(high, math.Log10(max(float64(p.At), 1000)))
		}
	}
	if math.IsInf(low, 1) {
		return ""
	}
	low, high = math.Floor(low), math.Ceil(high+1e-9)
	const right = width - legend
	var b strings.Builder
	begin(&b, right)
	for decade := low; decade <= high; decade++ {
		y := (height - bottom) * (1 - (decade-low)/max(high-low, 1))
		fmt.Fprintf(&b, `<line class="grid" x1="%.0f" x2="%.0f" y1="%.1f" y2="%.1f"/>`, left, right, y, y)
		label(&b, left-6, max(y+4, 10), "end", time.Duration(math.Pow(10, decade)).String())
	}
	// The longest of n samples is at 1 - 1/n: nothing is known beyond.
	nines := func(percent, n float64) float64 { return min(5, -math.Log10(max(1-percent/100, 1/n))) }
	for _, percent := range []float64{0, 90, 99, 99.9, 99.99} {
		label(&b, left+(right-left)*nines(percent, 1e5)/5, height-8, "middle", fmt.Sprintf("%g %%", percent))
	}
	line := 0
	for _, name := range stageNames {
		s, ok := r.Stages[name]
		if !ok {
			continue
		}
		look := fmt.Sprintf("l%d", line%8)
		if line >= 8 {
			look += " again" // dashed: more colours could not be distinguished
		}
		fmt.Fprintf(&b, `<polyline class="%s" points="`, look)
		for _, p := range s.Curve {
			y := (height - bottom) * (1 - (math.Log10(max(float64(p.At), 1000))-low)/max(high-low, 1))
			fmt.Fprintf(&b, "%.1f,%.1f ", left+(right-left)*nines(p.Percent, float64(s.Count))/5, y)
		}
		y := 10 + 16*line
		fmt.Fprintf(&b, `"><title>%s</title></polyline><polyline class="%s" points="%.0f,%d %.0f,%d"/>`, name, look, right+8, y, right+28, y)
		label(&b, right+33, float64(y+4), "start", name)
		line++
	}
	return end(&b)
}

// begin draws the frame, from left to right.
func begin(b *strings.Builder, right float64) {
	fmt.Fprintf(b, `<svg viewBox="0 0 %.0f %.0f" role="img"><rect class="frame" x="%.0f" width="%.0f" height="%.0f"/>`, width, height, left, right-left, height-bottom)
}

func label(b *strings.Builder, x, y float64, anchor, text string) {
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="%s">%s</text>`, x, y, anchor, template.HTMLEscapeString(text))
}

func end(b *strings.Builder) template.HTML {
	b.WriteString(`</svg>`)
	return template.HTML(b.String()) // it has only numbers and our own names
}
