package otlp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// hang only ends what hangs.
const hang = 2 * time.Minute

// request is what a collector got.
type request struct {
	path   string
	header http.Header
	body   []byte
}

// collector is a receiver of OTLP. It answers what answer writes; nil: {}.
type collector struct {
	*httptest.Server
	got chan request
}

func newCollector(t *testing.T, answer http.HandlerFunc) *collector {
	c := &collector{got: make(chan request, 10_000)}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		c.got <- request{r.URL.Path, r.Header, body}
		if answer != nil {
			answer(w, r)
			return
		}
		_, _ = w.Write([]byte("{}"))
	}))
	t.Cleanup(c.Close)
	return c
}

// take waits for a request to a path.
func (c *collector) take(t *testing.T, path string) request {
	t.Helper()
	end := time.After(hang)
	for {
		select {
		case r := <-c.got:
			if r.path == path {
				return r
			}
		case <-end:
			t.Fatalf("no request came to %s", path)
		}
	}
}

// run runs an Exporter, with a log.
func run(t *testing.T, metrics prometheus.Gatherer, set Settings) (*Exporter, *log) {
	l := new(log)
	e := New(Resource{Service: "postrider", Version: "1", Instance: "mx.test"}, metrics, slog.New(slog.NewTextHandler(l, nil)))
	e.Configure(set)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		e.Run(ctx)
	}()
	t.Cleanup(func() { cancel(); <-done })
	return e, l
}

type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(hang); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("waited in vain until " + what)
		}
	}
}

// everything has a metric of each kind.
func everything() *prometheus.Registry {
	r := prometheus.NewRegistry()
	count := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "postrider_octets_in_total", Help: "Octets."}, []string{"listener"})
	count.WithLabelValues("smtp").Add(1 << 60)
	count.WithLabelValues("pop3").Add(7)
	state := prometheus.NewGauge(prometheus.GaugeOpts{Name: "free_bytes"})
	state.Set(math.Inf(-1))
	nan := prometheus.NewGauge(prometheus.GaugeOpts{Name: "nothing"})
	nan.Set(math.NaN())
	took := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "took_seconds", Buckets: []float64{0.5, 1, 2}})
	for _, v := range []float64{0.1, 0.2, 1, 1.5, 99} {
		took.Observe(v)
	}
	quantiles := prometheus.NewSummary(prometheus.SummaryOpts{Name: "pause_seconds", Objectives: map[float64]float64{0.5: 0}})
	quantiles.Observe(3)
	untyped := prometheus.NewUntypedFunc(prometheus.UntypedOpts{Name: "odd"}, func() float64 { return 5 })
	r.MustRegister(count, state, nan, took, quantiles, untyped)
	return r
}

// decoded is a request as a collector reads it: all of it by the names of the protocol.
type decoded struct {
	ResourceMetrics []struct {
		Resource     struct{ Attributes []decodedAttribute }
		ScopeMetrics []struct {
			Scope   struct{ Name, Version string }
			Metrics []struct {
				Name, Description, Unit string
				Sum                     *struct {
					DataPoints             []decodedPoint
					AggregationTemporality int
					IsMonotonic            bool
				}
				Gauge     *struct{ DataPoints []decodedPoint }
				Histogram *struct {
					DataPoints []struct {
						Count                           string
						Sum                             float64
						BucketCounts                    []string
						ExplicitBounds                  []float64
						StartTimeUnixNano, TimeUnixNano string
					}
					AggregationTemporality int
				}
				Summary *struct {
					DataPoints []struct {
						Count          string
						Sum            float64
						QuantileValues []struct{ Quantile, Value float64 }

						StartTimeUnixNano, TimeUnixNano string
					}
				}
			}
		}
	}
}

type decodedAttribute struct {
	Key   string
	Value struct {
		StringValue *string
		IntValue    *string
	}
}

type decodedPoint struct {
	Attributes                      []decodedAttribute
	StartTimeUnixNano, TimeUnixNano string
	AsDouble                        any
}

// strict decodes a request, in which each name has to be known.
func strict(t *testing.T, body []byte, into any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
}

// Each kind of metric arrives as what it is, with its labels, unit and help.
func TestMetricsArrive(t *testing.T) {
	c := newCollector(t, nil)
	run(t, everything(), Settings{Endpoint: c.URL + "/", Interval: time.Second, Headers: http.Header{"Authorization": {"Bearer secret"}}})
	r := c.take(t, "/v1/metrics")
	if r.header.Get("Content-Type") != "application/json" || r.header.Get("Authorization") != "Bearer secret" || r.header.Get("User-Agent") != "postrider/1" {
		t.Errorf("header %v", r.header)
	}
	var got decoded
	strict(t, r.body, &got)
	from := got.ResourceMetrics[0]
	if len(got.ResourceMetrics) != 1 || len(from.ScopeMetrics) != 1 || from.ScopeMetrics[0].Scope.Name != "postrider" {
		t.Fatalf("%+v", got)
	}
	if a := from.Resource.Attributes; len(a) != 3 || a[0].Key != "service.name" || *a[0].Value.StringValue != "postrider" || *a[2].Value.StringValue != "mx.test" {
		t.Errorf("the resource is %+v", a)
	}
	seen := make(map[string]bool)
	for _, m := range from.ScopeMetrics[0].Metrics {
		seen[m.Name] = true
		switch m.Name {
		case "postrider_octets_in_total":
			p := m.Sum.DataPoints
			if len(p) != 2 || !m.Sum.IsMonotonic || m.Sum.AggregationTemporality != 2 || m.Unit != "By" || m.Description != "Octets." {
				t.Fatalf("%+v", m)
			}
			if p[0].AsDouble != 7.0 || *p[0].Attributes[0].Value.StringValue != "pop3" || p[1].AsDouble != float64(1<<60) || p[1].StartTimeUnixNano > p[1].TimeUnixNano {
				t.Errorf("%+v", p)
			}
		case "free_bytes", "nothing", "odd":
			want := map[string]any{"free_bytes": "-Infinity", "nothing": "NaN", "odd": 5.0}[m.Name]
			if len(m.Gauge.DataPoints) != 1 || m.Gauge.DataPoints[0].AsDouble != want {
				t.Errorf("%s: %+v", m.Name, m.Gauge)
			}
		case "took_seconds":
			p := m.Histogram.DataPoints[0]
			if p.Count != "5" || p.Sum != 101.8 || !slices.Equal(p.BucketCounts, []string{"2", "1", "1", "1"}) || !slices.Equal(p.ExplicitBounds, []float64{0.5, 1, 2}) || m.Unit != "s" || m.Histogram.AggregationTemporality != 2 {
				t.Errorf("%+v", m.Histogram)
			}
		case "pause_seconds":
			if p := m.Summary.DataPoints[0]; p.Count != "1" || p.Sum != 3 || p.QuantileValues[0].Quantile != 0.5 || p.QuantileValues[0].Value != 3 {
				t.Errorf("%+v", m.Summary)
			}
		default:
			t.Errorf("%s was not sent", m.Name)
		}
	}
	if len(seen) != 6 {
		t.Errorf("%v came", seen)
	}
	c.take(t, "/v1/metrics") // the next one comes by itself
}

// decodedSpans are the spans of a request as a collector reads them.
type decodedSpans struct {
	ResourceSpans []struct {
		Resource   struct{ Attributes []decodedAttribute }
		ScopeSpans []struct {
			Scope struct{ Name, Version string }
			Spans []struct {
				TraceID                            string `json:"traceId"`
				SpanID                             string `json:"spanId"`
				ParentSpanID                       string `json:"parentSpanId"`
				Name                               string
				Kind                               int
				StartTimeUnixNano, EndTimeUnixNano string
				Attributes                         []decodedAttribute
				Status                             struct {
					Message string
					Code    int
				}
			}
		}
	}
}

// The spans of a message are one trace, also when another process sends some of them.
func TestSpansArrive(t *testing.T) {
	c := newCollector(t, nil)
	at := time.Unix(1_800_000_000, 5)
	long := strings.Repeat("é", maxText)
	for n := range 2 {
		e, _ := run(t, prometheus.NewRegistry(), Settings{Endpoint: c.URL, Interval: time.Hour, Sample: 1})
		if !e.Samples(1234) {
			t.Fatal("it is not a sample")
		}
		e.Add(Span{Message: 1234, First: n == 0, Name: "accept", Kind: Server, Start: at, End: at.Add(time.Second), Attributes: Facts(Attribute{Key: "octets", Number: 12})})
		e.Add(Span{Message: 1234, Name: "relay", Kind: Client, Start: at, End: at, Fault: "refused", Attributes: Facts(Attribute{Key: "host", Text: long})})
		var got decodedSpans
		strict(t, c.take(t, "/v1/traces").body, &got)
		spans := got.ResourceSpans[0].ScopeSpans[0].Spans
		trace, first := e.ids(1234)
		if len(spans) != 2 || len(trace) != 32 || len(first) != 16 {
			t.Fatalf("%+v", spans)
		}
		a, b := spans[0], spans[1]
		if a.TraceID != trace || b.TraceID != trace || b.ParentSpanID != first || b.SpanID == first || len(b.SpanID) != 16 {
			t.Errorf("%+v\n%+v", a, b)
		}
		if (n == 0) != (a.SpanID == first && a.ParentSpanID == "") {
			t.Errorf("the first span is %+v", a)
		}
		if a.Kind != 2 || a.Status.Code != 1 || a.StartTimeUnixNano != "1800000000000000005" || a.EndTimeUnixNano != "1800000001000000005" || *a.Attributes[0].Value.IntValue != "12" {
			t.Errorf("%+v", a)
		}
		if b.Kind != 3 || b.Status.Code != 2 || b.Status.Message != "refused" || len(*b.Attributes[0].Value.StringValue) > maxText+2 {
			t.Errorf("%+v", b)
		}
		until(t, "the spans are counted", func() bool { return e.Stats.SpansSent.Load() == 2 })
	}
}

// About one message of so many is a sample, the same ones in each process, and none without
// a collector or a sample.
func TestSamples(t *testing.T) {
	e := New(Resource{}, nil, nil)
	sampled := func(s Settings) (n int) {
		e.Configure(s)
		for id := range uint64(100_000) {
			if e.Samples(id<<20 + 77) {
				n++
			}
		}
		return n
	}
	for _, s := range []Settings{{}, {Endpoint: "http://x"}, {Sample: 1}} {
		if n := sampled(s); n != 0 {
			t.Errorf("%+v: %d", s, n)
		}
	}
	if n := sampled(Settings{Endpoint: "http://x", Sample: 1}); n != 100_000 {
		t.Errorf("%d of all", n)
	}
	if n := sampled(Settings{Endpoint: "http://x", Sample: 100}); n < 800 || n > 1200 {
		t.Errorf("%d of 100000", n)
	}
	if (*Exporter)(nil).Samples(1) {
		t.Error("a nil Exporter has samples")
	}
	if n := testing.AllocsPerRun(100, func() { e.Samples(8); e.Add(Span{}) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// No collector holds up what adds spans, makes the exporter keep more, or is believed.
func TestHostileCollectors(t *testing.T) {
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	elsewhere := newCollector(t, nil)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	f := func(name, endpoint string, logged string) {
		t.Run(name, func(t *testing.T) {
			e, log := run(t, everything(), Settings{Endpoint: endpoint, Interval: time.Second, Sample: 1, Headers: http.Header{"Authorization": {"secret"}}})
			for n := range 3 * maxSpans {
				e.Add(Span{Message: uint64(n), Name: "accept"})
			}
			until(t, "the spans are dropped", func() bool { return e.Stats.SpansDropped.Load() >= maxSpans })
			until(t, "a request has failed", func() bool { return e.Stats.Failed.Load() > 0 })
			if len(e.spans) > maxSpans || e.Stats.SpansSent.Load() != 0 {
				t.Errorf("%d spans wait, %d were sent", len(e.spans), e.Stats.SpansSent.Load())
			}
			until(t, "it is logged", func() bool { return strings.Contains(log.String(), "took no ") })
			if !strings.Contains(log.String(), logged) {
				t.Errorf("%q is not in the log: %s", logged, log)
			}
			for range 3 { // requests more
				failed := e.Stats.Failed.Load()
				if failed >= 3 {
					break
				}
				e.Configure(*e.Settings())
				until(t, "one more has failed", func() bool { return e.Stats.Failed.Load() > failed })
			}
			for _, kind := range []string{"metrics", "spans"} {
				if n := strings.Count(log.String(), "took no "+kind); n > 1 {
					t.Errorf("%d lines about %s in the log: %s", n, kind, log)
				}
			}
		})
	}
	answer := func(h http.HandlerFunc) string { return newCollector(t, h).URL }
	f("down", "http://127.0.0.1:1", "refused")
	f("no such host", "http://collector.invalid", "no such host")
	f("errors", answer(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "go\x00away\nfirst\x1b[31m", 500) }), "it answered 500: go away first")
	f("a redirect", answer(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL+"/v1/metrics", http.StatusTemporaryRedirect)
	}), "it answered 307")
	f("an answer without end", answer(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(503)
		for {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				return
			}
		}
	}), "it answered 503")
	f("header without end", "http://"+endless(t), "took no ") // what it is depends on which end closes first
	f("not HTTP", "http://"+banner(t), "took no ")            // likewise
	if len(elsewhere.got) != 0 {
		t.Error("a redirect was followed, with the login")
	}
	if !testing.Short() {
		f("silent", "http://"+silent.Addr().String(), "no answer in 10s")
	}
}

// banner serves something that is not HTTP.
func banner(t *testing.T) string {
	return serve(t, func(c net.Conn) { _, _ = c.Write([]byte("220 mx.test ESMTP\r\n")) })
}

// endless serves a header that has no end.
func endless(t *testing.T) string {
	return serve(t, func(c net.Conn) {
		_, err := c.Write([]byte("HTTP/1.1 200 OK\r\n"))
		for n := 0; err == nil; n++ {
			_, err = fmt.Fprintf(c, "X-%d: %s\r\n", n, strings.Repeat("x", 1000))
		}
	})
}

func serve(t *testing.T, to func(net.Conn)) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = c.Read(make([]byte, 1))
				to(c)
			}()
		}
	}()
	return l.Addr().String()
}

// What a collector rejects is counted, whatever it says beside that.
func TestRejectedOf(t *testing.T) {
	f := func(said string, want int64) {
		t.Helper()
		if got := rejectedOf([]byte(said)); got != want {
			t.Errorf("%s: %d, want %d", said, got, want)
		}
	}
	f(`{}`, 0)
	f(``, 0)
	f(`<html>`, 0)
	f(`{"partialSuccess":{}}`, 0)
	f(`{"partialSuccess":{"rejectedDataPoints":"12","errorMessage":"too old"}}`, 12)
	f(`{"partialSuccess":{"rejectedSpans":3}}`, 3)
	f(`{"partialSuccess":{"rejectedSpans":-3}}`, 0)
	f(`{"partialSuccess":{"rejectedSpans":1e99}}`, 0)
}

// After a failure the collector has a pause, as long as it asks for within bounds, and its
// return is logged.
func TestPauseAfterAFailure(t *testing.T) {
	e := New(Resource{}, everything(), slog.New(slog.DiscardHandler))
	to, status, after := &endpoint{path: "/v1/metrics"}, 0, ""
	c := newCollector(t, func(w http.ResponseWriter, _ *http.Request) {
		if after != "" {
			w.Header().Set("Retry-After", after)
		}
		w.WriteHeader(status)
	})
	f := func(code int, retry string, want time.Duration) {
		t.Helper()
		status, after = code, retry
		if got := e.send(t.Context(), &Settings{Endpoint: c.URL, Interval: time.Minute}, to, e.gather()); got != want {
			t.Errorf("%d %q: a pause of %v, want %v", code, retry, got, want)
		}
	}
	f(200, "", 0)
	f(202, "99", 0)
	f(503, "", time.Minute)
	f(503, "90", 90*time.Second)
	f(429, "1", time.Minute)
	f(503, "65535", longestPause)
	f(503, "99999999999999999999", longestPause)
	f(400, "-5", time.Minute)
}

// transport is an http.RoundTripper.
type transport func(*http.Request) int

// RoundTrip implements http.RoundTripper.
func (f transport) RoundTrip(r *http.Request) (*http.Response, error) {
	_, _ = io.Copy(io.Discard, r.Body)
	return &http.Response{StatusCode: f(r), Header: http.Header{}, Body: io.NopCloser(strings.NewReader("{}"))}, nil
}

// A collector that takes the requests to one endpoint gets them at each Interval, whatever it
// answers at the other endpoint, and a failure costs no more than one Interval.
func TestEndpointsFailApart(t *testing.T) {
	f := func(broken string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			const interval = 20 * time.Second
			l := new(log)
			e := New(Resource{}, everything(), slog.New(slog.NewTextHandler(l, nil)))
			came := map[string][]time.Time{}
			e.client = &http.Client{Transport: transport(func(r *http.Request) int {
				came[r.URL.Path] = append(came[r.URL.Path], time.Now())
				if r.URL.Path == broken {
					time.Sleep(time.Second)
					return 503
				}
				return 200
			})}
			e.Configure(Settings{Endpoint: "http://collector.test", Interval: interval, Sample: 1})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go e.Run(ctx)
			for range 60 {
				e.Add(Span{Name: "accept"})
				time.Sleep(10 * time.Second)
			}
			cancel()
			synctest.Wait()
			for path, longest := range map[string]time.Duration{"/v1/metrics": interval + 2*time.Second, "/v1/traces": interval + 12*time.Second} {
				if len(came[path]) < 15 {
					t.Errorf("%s is broken: %d requests came to %s", broken, len(came[path]), path)
				}
				for i := range max(len(came[path])-1, 0) {
					if gap := came[path][i+1].Sub(came[path][i]); gap > longest {
						t.Errorf("%s is broken: %v between two requests to %s", broken, gap, path)
					}
				}
			}
			if n := strings.Count(l.String(), "level=WARN"); broken != "" && n != 1 || strings.Contains(l.String(), "again") {
				t.Errorf("%s is broken: %s", broken, l)
			}
			if broken != "/v1/traces" && e.Stats.SpansDropped.Load() != 0 {
				t.Errorf("%s is broken: %d spans were dropped", broken, e.Stats.SpansDropped.Load())
			}
		})
	}
	f("")
	f("/v1/metrics")
	f("/v1/traces")
}

// One line in a while tells of failures, with the number of failures before it.
func TestFailures(t *testing.T) {
	var f failures
	now := time.Unix(1_800_000_000, 0)
	if f.over() {
		t.Error("failures are over that were none")
	}
	if text := f.failed(errors.New("down"), now); text != "down; mail goes on" {
		t.Error(text)
	}
	for n := range 5 {
		if text := f.failed(errors.New("down"), now.Add(time.Duration(n)*time.Minute)); text != "" {
			t.Error(text)
		}
	}
	if text := f.failed(context.DeadlineExceeded, now.Add(logEvery)); text != "no answer in 10s (and 5 times before); mail goes on" {
		t.Error(text)
	}
	if !f.over() || f.over() {
		t.Error("the end of failures is not told once")
	}
}

// What the exporter is told while it runs counts at once, and without a collector nothing is sent.
func TestConfigure(t *testing.T) {
	a, b := newCollector(t, nil), newCollector(t, nil)
	e, _ := run(t, everything(), Settings{Interval: time.Second})
	e.Configure(Settings{Endpoint: a.URL, Interval: time.Hour})
	a.take(t, "/v1/metrics")
	e.Configure(Settings{Endpoint: b.URL, Interval: time.Hour})
	b.take(t, "/v1/metrics")
	e.Configure(Settings{Interval: time.Second, Sample: 1})
	e.Add(Span{})
	until(t, "the span is dropped", func() bool { return e.Stats.SpansDropped.Load() == 1 })
	if n := len(a.got) + len(b.got); n != 0 {
		t.Errorf("%d requests more", n)
	}
}

func TestReadHeaders(t *testing.T) {
	path := filepath.Join(t.TempDir(), "headers")
	f := func(text string, mode os.FileMode, want, fault string) {
		t.Helper()
		_ = os.Remove(path)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		h, err := ReadHeaders(path)
		if (err != nil) != (fault != "") || err != nil && !strings.Contains(err.Error(), fault) {
			t.Errorf("%q: %v, want %q", text, err, fault)
		}
		if got := h.Get("Authorization"); err == nil && got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	f("# a login\n\nauthorization:  Bearer a:b \nX-Scope-OrgID: 1\n", 0o600, "Bearer a:b", "")
	f("", 0o400, "", "")
	f("Authorization: x\n", 0o644, "", "chmod 600")
	f("Authorization\n", 0o600, "", "headers:1: expected NAME: VALUE")
	f("# one\nA B: x\n", 0o600, "", "headers:2: ")
	f("A: x\x00y\n", 0o600, "", "headers:1: ")
	f(strings.Repeat("x", 1<<20), 0o600, "", "too long")
	if h, err := ReadHeaders(""); h != nil || err != nil {
		t.Error(h, err)
	}
	if _, err := ReadHeaders(path + "-none"); err == nil || !strings.Contains(err.Error(), "web.otlp_headers") {
		t.Error(err)
	}
}
