package bench

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Mode says whether a client waits.
type Mode bool

// The modes.
const (
	Step      Mode = false // each command waits for its reply
	Pipelined Mode = true  // as much is sent in one go as the RFCs allow
)

// Latencies are the times of single messages, in no order.
type Latencies []time.Duration

// Quantile returns the time that the part q of all messages stayed within (the
// sample of rank q·n), for example 0.99; 0 when there are none. It sorts l.
func (l Latencies) Quantile(q float64) time.Duration {
	if len(l) == 0 {
		return 0
	}
	slices.Sort(l)
	return l[min(len(l)-1, int(q*float64(len(l))))]
}

// Report is what came of a run.
type Report struct {
	Messages  int            // accepted, or fetched
	Octets    int64          // of those messages, on the wire
	Elapsed   time.Duration  // from the first connect to the last reply
	Latencies Latencies      // one for each of Messages
	Refused   map[string]int // other replies to messages, by text, and their number
}

// add merges the part of one session.
func (r *Report) add(part Report) {
	r.Messages += part.Messages
	r.Octets += part.Octets
	r.Latencies = append(r.Latencies, part.Latencies...)
	for text, n := range part.Refused {
		r.refuse(text, n)
	}
}

func (r *Report) refuse(text string, n int) {
	if r.Refused == nil {
		r.Refused = make(map[string]int)
	}
	r.Refused[text] += n
}

// count notes one message that went well.
func (r *Report) count(octets int, took time.Duration) {
	r.Messages++
	r.Octets += int64(octets)
	r.Latencies = append(r.Latencies, took)
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
	fmt.Fprintf(&b, "%d messages in %.2f s: %.0f/s, %.1f MB/s, p50 %s, p99 %s, max %s", r.Messages, r.Elapsed.Seconds(), r.PerSecond(), r.MBPerSecond(),
		r.Latencies.Quantile(0.5).Round(time.Microsecond), r.Latencies.Quantile(0.99).Round(time.Microsecond), r.Latencies.Quantile(1).Round(time.Microsecond))
	for _, text := range r.byCount() {
		fmt.Fprintf(&b, "\n%8d x %s", r.Refused[text], text)
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
