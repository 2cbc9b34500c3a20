package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// Result is what is kept of a measurement: several rounds of one load on one
// server, so that the spread is known.
type Result struct {
	Workload string    `json:"workload"` // "smtp", "pop3" ...
	Target   string    `json:"target"`
	Args     []string  `json:"args"` // the command's arguments, to repeat it
	Time     time.Time `json:"time"`
	Machine  string    `json:"machine"`
	Rounds   []Report  `json:"rounds"`
}

// Write writes the result as JSON.
func (r *Result) Write(w io.Writer) error {
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	return out.Encode(r)
}

// ReadResult reads a file that Write has written.
func ReadResult(name string) (*Result, error) {
	octets, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var r Result
	if err := json.Unmarshal(octets, &r); err != nil {
		return nil, fmt.Errorf("%s was not written by postbench --json: %w", name, err)
	}
	if len(r.Rounds) == 0 {
		return nil, fmt.Errorf("%s has no rounds: was it written by postbench --json?", name)
	}
	return &r, nil
}

// Benchstat writes one line a round in the format of Go's benchmarks.
func (r *Result) Benchstat(w io.Writer) {
	name := "Benchmark" + strings.ToUpper(r.Workload[:1]) + strings.ReplaceAll(r.Workload[1:], " ", "_")
	for _, round := range r.Rounds {
		fmt.Fprintf(w, "%s %d", name, max(round.Messages, 1))
		for _, m := range metrics {
			if v, ok := m.of(round); ok {
				fmt.Fprintf(w, " %.6g %s", v, m.unit)
			}
		}
		fmt.Fprintln(w)
	}
}

// A metric is a figure of a round that is compared.
type metric struct {
	name, unit string
	more       bool // is better
	of         func(Report) (v float64, ok bool)
}

// perMBFrom is the mean size of messages from which their octets are what costs.
const perMBFrom = 100_000

// metrics are all of them, in the order of tables.
var metrics = makeMetrics()

func makeMetrics() []metric {
	all := []metric{
		{"messages/s", "msg/s", true, func(r Report) (float64, bool) { return r.PerSecond(), r.Messages > 0 }},
		{"MB/s", "MB/s", true, func(r Report) (float64, bool) { return r.MBPerSecond(), r.Octets > 0 }},
		{"server CPU us/message", "cpu-us/msg", false, func(r Report) (float64, bool) {
			if r.Cost == nil || r.Messages == 0 {
				return 0, false
			}
			return float64(r.Cost.PerMessage) / 1e3, true
		}},
		{"server CPU us/MB", "cpu-us/MB", false, func(r Report) (float64, bool) {
			if r.Cost == nil || r.Octets < perMBFrom*int64(max(r.Messages, 1)) {
				return 0, false
			}
			return float64(r.Cost.CPU) / 1e3 / (float64(r.Octets) / 1e6), true
		}},
		{"server PSS, MB", "pss-MB", false, func(r Report) (float64, bool) {
			if r.Cost == nil || r.Cost.PSS == 0 {
				return 0, false
			}
			return float64(r.Cost.PSS) / 1e6, true
		}},
	}
	for _, stage := range stageNames {
		all = append(all, quantile(stage, "p50", func(s Summary) time.Duration { return s.P50 }), quantile(stage, "p99", func(s Summary) time.Duration { return s.P99 }))
	}
	return all
}

func quantile(stage, name string, of func(Summary) time.Duration) metric {
	return metric{stage + " " + name + ", us", stage + "-" + name + "-us", false, func(r Report) (float64, bool) {
		s, ok := r.Stages[stage]
		return float64(of(s)) / 1e3, ok
	}}
}
