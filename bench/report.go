package bench

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Latencies are the times of few things, in no order, each kept.
type Latencies []time.Duration

// Quantile returns the time that the part q of all stayed within (the sample of
// rank q·n), for example 0.99; 0 when there are none. It sorts l.
func (l Latencies) Quantile(q float64) time.Duration {
	if len(l) == 0 {
		return 0
	}
	slices.Sort(l)
	return l[min(len(l)-1, int(q*float64(len(l))))]
}

// Report is the result of a run.
type Report struct {
	Messages int                `json:"messages"`            // accepted, or fetched
	Octets   int64              `json:"octets"`              // the messages' size on the wire
	Elapsed  time.Duration      `json:"elapsed_ns"`          // from the first connect to the last reply
	Seconds  []int              `json:"per_second"`          // messages done in each second
	Stages   map[string]Summary `json:"stages,omitempty"`    // by name of [Stage]
	Refused  map[string]int     `json:"refused,omitempty"`   // other replies to messages, by text, and their number
	Errors   []string           `json:"errors,omitempty"`    // what ended sessions early
	Cost     *Cost              `json:"server,omitempty"`    // the server's processes, where they are known
	Own      *Cost              `json:"postbench,omitempty"` // this process
	Audit    *Audit             `json:"audit,omitempty"`     // where the mail was looked for afterwards
}

func (r *Report) refuse(text string, n int) {
	if r.Refused == nil {
		r.Refused = make(map[string]int)
	}
	r.Refused[text] += n
}

// PerSecond is the rate of messages.
func (r Report) PerSecond() float64 {
	return float64(r.Messages) / max(r.Elapsed.Seconds(), 1e-9)
}

// MBPerSecond is the rate of octets in units of 10^6.
func (r Report) MBPerSecond() float64 {
	return float64(r.Octets) / 1e6 / max(r.Elapsed.Seconds(), 1e-9)
}

// String is the report on one line, and one more for each kind of refusal.
func (r Report) String() string {
	var b strings.Builder
	all := r.Stages[StageMessage.String()]
	fmt.Fprintf(&b, "%d messages in %.2f s: %.0f/s, %.1f MB/s, p50 %s, p99 %s, max %s", r.Messages, r.Elapsed.Seconds(), r.PerSecond(), r.MBPerSecond(),
		all.P50.Round(time.Microsecond), all.P99.Round(time.Microsecond), all.Max.Round(time.Microsecond))
	for _, text := range r.byCount() {
		fmt.Fprintf(&b, "\n%8d x %s", r.Refused[text], text)
	}
	return b.String()
}

// StageTable has one line for each stage that was timed.
func (r Report) StageTable() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-10s %9s %10s %10s %10s %10s %10s\n", "stage", "count", "mean", "p50", "p99", "p99.9", "max")
	for _, name := range stageNames {
		if s, ok := r.Stages[name]; ok {
			fmt.Fprintf(&b, "%-10s %9d", name, s.Count)
			for _, d := range []time.Duration{s.Mean, s.P50, s.P99, s.P999, s.Max} {
				fmt.Fprintf(&b, " %10s", d.Round(time.Microsecond))
			}
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// byCount lists the texts of the refusals, the most frequent first.
func (r Report) byCount() []string {
	texts := make([]string, 0, len(r.Refused))
	for text := range r.Refused {
		texts = append(texts, text)
	}
	slices.SortFunc(texts, func(a, b string) int {
		return cmp.Or(r.Refused[b]-r.Refused[a], strings.Compare(a, b))
	})
	return texts
}
