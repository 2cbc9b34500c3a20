package otlp

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
)

// The messages of OTLP, as its JSON encoding has them: names in lowerCamelCase, 64-bit
// integers as strings, enums as numbers.

type metricsRequest struct {
	Resources []resourceMetrics `json:"resourceMetrics"`
}

type resourceMetrics struct {
	Resource resource       `json:"resource"`
	Scopes   []scopeMetrics `json:"scopeMetrics"`
}

type scopeMetrics struct {
	Scope   scope    `json:"scope"`
	Metrics []metric `json:"metrics"`
}

type resource struct {
	Attributes []attribute `json:"attributes"`
}

type scope struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

type attribute struct {
	Key   string `json:"key"`
	Value value  `json:"value"`
}

type value struct {
	Text   *string `json:"stringValue,omitempty"`
	Number *whole  `json:"intValue,omitempty"`
}

func text(key, v string) attribute { return attribute{key, value{Text: &v}} }

func integer(key string, v int64) attribute {
	n := whole(strconv.FormatInt(v, 10))
	return attribute{key, value{Number: &n}}
}

type metric struct {
	Name      string     `json:"name"`
	Help      string     `json:"description,omitempty"`
	Unit      string     `json:"unit,omitempty"`
	Sum       *sum       `json:"sum,omitempty"`
	Gauge     *gauge     `json:"gauge,omitempty"`
	Histogram *histogram `json:"histogram,omitempty"`
	Summary   *summary   `json:"summary,omitempty"`
}

// cumulative is AGGREGATION_TEMPORALITY_CUMULATIVE.
const cumulative = 2

type sum struct {
	Points      []point `json:"dataPoints"`
	Temporality int     `json:"aggregationTemporality"`
	Monotonic   bool    `json:"isMonotonic"`
}

type gauge struct {
	Points []point `json:"dataPoints"`
}

type histogram struct {
	Points      []histogramPoint `json:"dataPoints"`
	Temporality int              `json:"aggregationTemporality"`
}

type summary struct {
	Points []summaryPoint `json:"dataPoints"`
}

type series struct {
	Attributes []attribute `json:"attributes,omitempty"`
	Start      whole       `json:"startTimeUnixNano,omitempty"`
	Time       whole       `json:"timeUnixNano"`
}

type point struct {
	series
	Value number `json:"asDouble"`
}

type histogramPoint struct {
	series
	Count  whole    `json:"count"`
	Sum    number   `json:"sum"`
	Counts []whole  `json:"bucketCounts"`
	Bounds []number `json:"explicitBounds"`
}

type summaryPoint struct {
	series
	Count     whole      `json:"count"`
	Sum       number     `json:"sum"`
	Quantiles []quantile `json:"quantileValues"`
}

type quantile struct {
	Quantile number `json:"quantile"`
	Value    number `json:"value"`
}

// whole is a 64-bit integer.
type whole string

func unsigned(n uint64) whole       { return whole(strconv.FormatUint(n, 10)) }
func nanoseconds(t time.Time) whole { return whole(strconv.FormatInt(t.UnixNano(), 10)) }

// number is a double. What JSON has no number for is a string, as protocol buffers write it.
type number float64

// MarshalJSON implements json.Marshaler.
func (n number) MarshalJSON() ([]byte, error) {
	switch f := float64(n); {
	case math.IsNaN(f):
		return []byte(`"NaN"`), nil
	case math.IsInf(f, 1):
		return []byte(`"Infinity"`), nil
	case math.IsInf(f, -1):
		return []byte(`"-Infinity"`), nil
	default:
		return json.Marshal(f)
	}
}

// resource is what all metrics and spans are from.
func (e *Exporter) resource() resource {
	return resource{[]attribute{text("service.name", e.from.Service), text("service.version", e.from.Version), text("service.instance.id", e.from.Instance)}}
}

func (e *Exporter) scope() scope { return scope{e.from.Service, e.from.Version} }

// gather makes a request of the metrics as they are now. A metric that can't be read is left
// out, as Prometheus is told of it.
func (e *Exporter) gather() metricsRequest {
	families, _ := e.metrics.Gather()
	now := nanoseconds(time.Now())
	all := make([]metric, 0, len(families))
	for _, f := range families {
		all = append(all, e.metric(f, now))
	}
	return metricsRequest{[]resourceMetrics{{e.resource(), []scopeMetrics{{e.scope(), all}}}}}
}

// metric translates one metric.
func (e *Exporter) metric(f *dto.MetricFamily, now whole) metric {
	m := metric{Name: f.GetName(), Help: f.GetHelp(), Unit: unitOf(f.GetName())}
	start := nanoseconds(e.started)
	for _, one := range f.GetMetric() {
		s := series{Start: start, Time: now}
		for _, l := range one.GetLabel() {
			s.Attributes = append(s.Attributes, text(l.GetName(), l.GetValue()))
		}
		switch f.GetType() {
		case dto.MetricType_COUNTER:
			if m.Sum == nil {
				m.Sum = &sum{Temporality: cumulative, Monotonic: true}
			}
			m.Sum.Points = append(m.Sum.Points, point{s, number(one.GetCounter().GetValue())})
		case dto.MetricType_HISTOGRAM:
			if m.Histogram == nil {
				m.Histogram = &histogram{Temporality: cumulative}
			}
			m.Histogram.Points = append(m.Histogram.Points, histogramOf(s, one.GetHistogram()))
		case dto.MetricType_SUMMARY:
			if m.Summary == nil {
				m.Summary = new(summary)
			}
			m.Summary.Points = append(m.Summary.Points, summaryOf(s, one.GetSummary()))
		default:
			if m.Gauge == nil {
				m.Gauge = new(gauge)
			}
			s.Start = ""
			v := one.GetGauge().GetValue()
			if one.Untyped != nil {
				v = one.GetUntyped().GetValue()
			}
			m.Gauge.Points = append(m.Gauge.Points, point{s, number(v)})
		}
	}
	return m
}

// histogramOf translates buckets that count all that took at most so long to buckets that
// count what is between their bounds.
func histogramOf(s series, h *dto.Histogram) histogramPoint {
	p := histogramPoint{series: s, Count: unsigned(h.GetSampleCount()), Sum: number(h.GetSampleSum()), Bounds: []number{}}
	before := uint64(0)
	for _, b := range h.GetBucket() {
		if math.IsInf(b.GetUpperBound(), 1) {
			break
		}
		p.Bounds = append(p.Bounds, number(b.GetUpperBound()))
		p.Counts = append(p.Counts, unsigned(b.GetCumulativeCount()-before))
		before = b.GetCumulativeCount()
	}
	p.Counts = append(p.Counts, unsigned(h.GetSampleCount()-before))
	return p
}

func summaryOf(s series, of *dto.Summary) summaryPoint {
	p := summaryPoint{series: s, Count: unsigned(of.GetSampleCount()), Sum: number(of.GetSampleSum()), Quantiles: []quantile{}}
	for _, q := range of.GetQuantile() {
		p.Quantiles = append(p.Quantiles, quantile{number(q.GetQuantile()), number(q.GetValue())})
	}
	return p
}

// unitOf is the unit that the name of a metric ends with, as UCUM has it.
func unitOf(name string) string {
	name = strings.TrimSuffix(name, "_total")
	switch {
	case strings.HasSuffix(name, "_seconds"):
		return "s"
	case strings.HasSuffix(name, "_bytes"), strings.HasPrefix(name, "postrider_octets_"):
		return "By"
	}
	return ""
}
