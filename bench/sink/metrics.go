package sink

import (
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// counters are the metrics without labels.
var counters = []struct {
	of         int
	name, help string
}{
	{sessions, "smtp_sessions_total", "SMTP sessions begun."},
	{messages, "messages_total", "Messages answered by 250."},
	{octets, "octets_total", "Octets of messages answered by 250."},
	{recipients, "recipients_total", "Recipients of messages answered by 250."},
	{broken, "broken_total", "Sessions that a fault ended without an answer: reset, close, silence."},
	{pop3Sessions, "pop3_sessions_total", "POP3 sessions begun."},
	{logins, "pop3_logins_total", "Logins."},
	{retrieved, "pop3_retrieved_total", "Messages sent by RETR and TOP."},
	{octetsOut, "pop3_octets_total", "Octets of messages sent by RETR and TOP."},
	{deleted, "pop3_deleted_total", "Messages deleted."},
	{pop3Refused, "pop3_refused_total", "Answers of -ERR."},
}

// Metrics returns a handler of /metrics, for Prometheus.
func (s *Sink) Metrics() http.Handler {
	registry := prometheus.NewRegistry()
	for _, c := range counters {
		opts := prometheus.CounterOpts{Namespace: "postbench_sink", Name: c.name, Help: c.help}
		registry.MustRegister(prometheus.NewCounterFunc(opts, func() float64 { return float64(s.counts[c.of].Load()) }))
	}
	registry.MustRegister(labelled{s})
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	return mux
}

// labelled collects the counters with labels.
type labelled struct{ sink *Sink }

var (
	refusedDesc = prometheus.NewDesc("postbench_sink_refused_total", "SMTP replies of 4yz and 5yz.", []string{"code"}, nil)
	faultDesc   = prometheus.NewDesc("postbench_sink_faults_total", "Faults played, by rule; faults that addresses ask for are counted as one rule.", []string{"rule"}, nil)
)

// Describe is for prometheus.Collector.
func (l labelled) Describe(out chan<- *prometheus.Desc) { out <- refusedDesc; out <- faultDesc }

// Collect is for prometheus.Collector.
func (l labelled) Collect(out chan<- prometheus.Metric) {
	c := l.sink.Counts()
	for code, n := range c.Refused {
		out <- prometheus.MustNewConstMetric(refusedDesc, prometheus.CounterValue, float64(n), strconv.Itoa(code))
	}
	// Addresses are without number: a label for each would fill a Prometheus.
	named := make(map[string]bool)
	for _, list := range [][]*Rule{l.sink.options.Rules, l.sink.options.POP3.Rules} {
		for _, r := range list {
			named[r.Text] = true
		}
	}
	var others int64
	for rule, n := range c.Faults {
		if !named[rule] {
			others += n
			continue
		}
		out <- prometheus.MustNewConstMetric(faultDesc, prometheus.CounterValue, float64(n), rule)
	}
	out <- prometheus.MustNewConstMetric(faultDesc, prometheus.CounterValue, float64(others), "of an address")
}
