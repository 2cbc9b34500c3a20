package bench

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Intervals cuts a run into pieces, each with a report of its own: what a run of half an
// hour was like in each of its minutes.
type Intervals struct {
	meter *Meter
	begin time.Time
	last  [stages][]int64 // counts of each histogram at the last cut
	sent  int
	bytes int64
	no    int
}

// NewIntervals begins to cut what meter counts.
func NewIntervals(meter *Meter) *Intervals { return &Intervals{meter: meter, begin: time.Now()} }

// Cut reports what was counted since the last cut, or since the begin. Its Refused has
// one text for all refusals.
func (i *Intervals) Cut() Report {
	m := i.meter
	m.mu.Lock()
	defer m.mu.Unlock()
	refused := 0
	for _, n := range m.refused {
		refused += n
	}
	now := time.Now()
	r := Report{Messages: m.messages - i.sent, Octets: m.octets - i.bytes, Elapsed: now.Sub(i.begin), Stages: make(map[string]Summary)}
	if refused > i.no {
		r.refuse("refused", refused-i.no)
	}
	i.begin, i.sent, i.bytes, i.no = now, m.messages, m.octets, refused
	for stage, h := range m.stages {
		if h == nil {
			continue
		}
		snapshot := h.Export()
		counts := snapshot.Counts
		snapshot.Counts = make([]int64, len(counts))
		for n := range counts {
			snapshot.Counts[n] = counts[n]
			if n < len(i.last[stage]) {
				snapshot.Counts[n] -= i.last[stage][n]
			}
		}
		i.last[stage] = counts
		if piece := hdrhistogram.Import(snapshot); piece.TotalCount() > 0 {
			r.Stages[stageNames[stage]] = summarize(piece)
		}
	}
	return r
}
