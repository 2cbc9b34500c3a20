package bench

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Stage is a part of a session that is timed by itself.
type Stage uint8

// The stages. All but StageMessage are service times: from the last octet sent to the
// last octet of the answer.
const (
	StageConnect  Stage = iota // TCP, and TLS where that comes first
	StageBanner                // to the greeting
	StageHello                 // EHLO
	StageStartTLS              // STARTTLS or STLS, its handshake and the second EHLO
	StageAuth
	StageMail
	StageRcpt // each
	StageData // to the 354
	StageDot  // from the last octet of the message, dot included, to its 250; or BDAT LAST to its 250
	// StageMessage is the time of a whole message. In a closed loop: from its first
	// command. In an open loop: from the time it was meant to begin.
	StageMessage
	StageLogin // USER and PASS
	StageStat
	StageList
	StageUidl
	StageTop
	StageRetr
	StageDele
	StageQuit // POP3: until what was marked is deleted
	stages
)

var stageNames = [stages]string{"connect", "banner", "ehlo", "starttls", "auth", "mail", "rcpt", "data", "dot", "message", "login", "stat", "list", "uidl", "top", "retr", "dele", "quit"}

// String is the stage's name in reports.
func (s Stage) String() string { return stageNames[s] }

// The range of a histogram, in nanoseconds: beyond an hour all times are one.
const (
	shortest = int64(time.Microsecond)
	longest  = int64(time.Hour)
	digits   = 3
)

// Meter counts and times while a run goes on. All sessions share one, and a
// display may ask it at any time.
type Meter struct {
	mu       sync.Mutex // guards all of it
	begin    time.Time
	stages   [stages]*hdrhistogram.Histogram // nil: no sample
	messages int
	octets   int64
	seconds  []int // messages done in each second since begin
	refused  map[string]int
}

// NewMeter begins to count now.
func NewMeter() *Meter { return &Meter{begin: time.Now(), refused: make(map[string]int)} }

// Restart lets the clock begin again. Nothing may have been counted.
func (m *Meter) Restart() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.begin = time.Now()
}

// Time notes that a stage took as long as d.
func (m *Meter) Time(stage Stage, d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.time(stage, d)
}

func (m *Meter) time(stage Stage, d time.Duration) {
	if m.stages[stage] == nil {
		m.stages[stage] = hdrhistogram.New(shortest, longest, digits)
	}
	// Within the range RecordValue can't fail.
	_ = m.stages[stage].RecordValue(min(max(int64(d), 0), longest))
}

// Count notes one message that went well and took as long as took.
func (m *Meter) Count(octets int, took time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.messages++
	m.octets += int64(octets)
	m.time(StageMessage, took)
	second := int(time.Since(m.begin) / time.Second)
	for len(m.seconds) <= second {
		m.seconds = append(m.seconds, 0)
	}
	m.seconds[second]++
}

// maxRefusals bounds the kinds of refusal that are counted separately; a server may put
// a queue id into each.
const maxRefusals = 50

// Refuse notes that a message was not accepted.
func (m *Meter) Refuse(text string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, known := m.refused[text]; !known && len(m.refused) >= maxRefusals {
		text = "others"
	}
	m.refused[text]++
}

// Progress returns the messages and refusals so far, and the time that 99 % of the
// messages stayed within.
func (m *Meter) Progress() (messages, refused int, p99 time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, n := range m.refused {
		refused += n
	}
	if h := m.stages[StageMessage]; h != nil {
		p99 = time.Duration(h.ValueAtQuantile(99))
	}
	return m.messages, refused, p99
}

// Report is what was counted so far.
func (m *Meter) Report() Report {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := Report{Messages: m.messages, Octets: m.octets, Elapsed: time.Since(m.begin), Seconds: append([]int(nil), m.seconds...)}
	for text, n := range m.refused {
		r.refuse(text, n)
	}
	for stage, h := range m.stages {
		if h != nil {
			if r.Stages == nil {
				r.Stages = make(map[string]Summary)
			}
			r.Stages[stageNames[stage]] = summarize(h)
		}
	}
	return r
}

// Summary is a histogram in a few figures. All times are nanoseconds in JSON.
type Summary struct {
	Count int64         `json:"count"`
	Mean  time.Duration `json:"mean_ns"`
	Min   time.Duration `json:"min_ns"`
	P50   time.Duration `json:"p50_ns"`
	P90   time.Duration `json:"p90_ns"`
	P99   time.Duration `json:"p99_ns"`
	P999  time.Duration `json:"p999_ns"`
	Max   time.Duration `json:"max_ns"`
	Curve []Point       `json:"curve,omitempty"` // by percentile, ascending
}

// Point: Percent of all samples were At or shorter.
type Point struct {
	Percent float64       `json:"percent"`
	At      time.Duration `json:"ns"`
}

// curve are the percentiles that a chart is drawn through.
var curve = []float64{0, 10, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 99.95, 99.99, 99.999, 100}

func summarize(h *hdrhistogram.Histogram) Summary {
	at := func(percent float64) time.Duration {
		if percent == 0 {
			return time.Duration(h.Min()) // the quantile 0 isn't the minimum
		}
		return time.Duration(h.ValueAtQuantile(percent))
	}
	s := Summary{
		Count: h.TotalCount(), Mean: time.Duration(h.Mean()), Min: time.Duration(h.Min()), Max: time.Duration(h.Max()),
		P50: at(50), P90: at(90), P99: at(99), P999: at(99.9),
	}
	for _, percent := range curve {
		// A percentile with less than one sample beyond it means nothing.
		if percent == 100 || float64(s.Count)*(100-percent) >= 100 {
			s.Curve = append(s.Curve, Point{percent, at(percent)})
		}
	}
	return s
}
