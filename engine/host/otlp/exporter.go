package otlp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Settings are where and what is sent.
type Settings struct {
	Endpoint string        // "http://collector:4318", to which /v1/metrics and /v1/traces are appended; "": nothing is sent
	Interval time.Duration // between two exports of the metrics
	Headers  http.Header   // for each request, such as a login
	Sample   int           // one message of so many has a trace; 0: none has
}

// Resource is what all metrics and spans are from.
type Resource struct{ Service, Version, Instance string }

// Stats count since the start.
type Stats struct {
	Requests, Failed        atomic.Int64 // requests, and how many of them the collector did not take
	Rejected                atomic.Int64 // points and spans that it has rejected out of requests that it took
	SpansSent, SpansDropped atomic.Int64
	Octets                  atomic.Int64 // in the requests
}

const (
	maxSpans     = 2048             // that wait
	maxBatch     = 512              // spans of a request
	flushEvery   = 5 * time.Second  // spans wait at most so long
	requestTime  = 10 * time.Second // for a whole request
	maxAnswer    = 64 << 10         // octets of an answer that are read
	longestPause = 10 * time.Minute // after a failure
	logEvery     = 15 * time.Minute // between two lines about failures
)

// Exporter sends the metrics and the spans. Its methods may be called from any goroutine; a
// nil Exporter has no spans.
type Exporter struct {
	Stats Stats

	set     atomic.Pointer[Settings]
	changed chan struct{}
	spans   chan Span
	from    Resource
	metrics prometheus.Gatherer
	started time.Time
	client  *http.Client
	log     *slog.Logger
}

// endpoint is where one kind of request goes. A collector may take metrics and no spans: each
// endpoint has failures of its own. It belongs to Run.
type endpoint struct {
	path     string
	what     string // for the log
	failures failures
}

// New makes an Exporter that sends nothing. Run does the work.
func New(from Resource, metrics prometheus.Gatherer, log *slog.Logger) *Exporter {
	e := &Exporter{
		changed: make(chan struct{}, 1), spans: make(chan Span, maxSpans),
		from: from, metrics: metrics, started: time.Now(), log: log,
		client: &http.Client{
			Timeout:       requestTime,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Transport:     &http.Transport{MaxIdleConns: 2, MaxResponseHeaderBytes: maxAnswer, IdleConnTimeout: longestPause, DisableCompression: true},
		},
	}
	e.set.Store(new(Settings))
	return e
}

// Configure replaces the settings.
func (e *Exporter) Configure(s Settings) {
	e.set.Store(&s)
	select {
	case e.changed <- struct{}{}:
	default:
	}
}

// Settings returns the settings that count now.
func (e *Exporter) Settings() *Settings { return e.set.Load() }

// Run sends metrics and spans until ctx ends. What waits then is not sent: a collector does
// not hold up the end of the server.
func (e *Exporter) Run(ctx context.Context) {
	var batch []Span
	toMetrics, toTraces := &endpoint{path: "/v1/metrics", what: "metrics"}, &endpoint{path: "/v1/traces", what: "spans"}
	var pause time.Time // no spans are sent before
	next, flush := time.NewTimer(0), time.NewTicker(flushEvery)
	defer next.Stop()
	defer flush.Stop()
	for {
		set := e.set.Load()
		var timer <-chan time.Time
		if set.Endpoint != "" {
			timer = next.C
		}
		full := false
		select {
		case <-ctx.Done():
			return
		case <-e.changed:
			pause = time.Time{}
			next.Reset(min(e.set.Load().Interval, time.Second))
			continue
		case <-timer:
			next.Reset(set.Interval)
			if wait := e.send(ctx, set, toMetrics, e.gather()); wait > 0 {
				next.Reset(wait) // from the failure on
			}
			continue
		case s := <-e.spans:
			batch = append(batch, s)
			full = len(batch) == maxBatch
		case <-flush.C:
			full = len(batch) > 0
		}
		if !full {
			continue
		}
		if set.Endpoint == "" || time.Now().Before(pause) {
			e.Stats.SpansDropped.Add(int64(len(batch)))
		} else if wait := e.send(ctx, set, toTraces, e.traces(batch)); wait > 0 {
			pause = time.Now().Add(wait)
			e.Stats.SpansDropped.Add(int64(len(batch)))
		} else {
			e.Stats.SpansSent.Add(int64(len(batch)))
		}
		clear(batch)
		batch = batch[:0]
	}
}

// send makes a request. It returns how long nothing is to be sent there, after a failure.
func (e *Exporter) send(ctx context.Context, set *Settings, to *endpoint, request any) (pause time.Duration) {
	e.Stats.Requests.Add(1)
	rejected, retry, err := e.post(ctx, set, to.path, request)
	if ctx.Err() != nil {
		return 0
	}
	if err != nil {
		e.Stats.Failed.Add(1)
		if text := to.failures.failed(err, time.Now()); text != "" {
			e.log.Warn("the collector of web.otlp took no " + to.what + ": " + text)
		}
		return min(max(retry, set.Interval), longestPause)
	}
	if rejected > 0 {
		e.Stats.Rejected.Add(rejected)
	}
	if to.failures.over() {
		e.log.Info("the collector of web.otlp takes " + to.what + " again")
	}
	return 0
}

// errStatus is the error of an answer that is not a success.
type errStatus struct {
	status string
	said   string
}

// Error implements error.
func (e *errStatus) Error() string {
	if e.said == "" {
		return "it answered " + e.status
	}
	return "it answered " + e.status + ": " + e.said
}

// post makes one request, and reads the answer.
func (e *Exporter) post(ctx context.Context, set *Settings, path string, request any) (rejected int64, retry time.Duration, err error) {
	body, err := json.Marshal(request)
	if err != nil {
		return 0, 0, fmt.Errorf("BUG: encoding for OTLP: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(set.Endpoint, "/")+path, bytes.NewReader(body))
	if err != nil {
		return 0, 0, err
	}
	for name, values := range set.Headers {
		r.Header[name] = values
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", e.from.Service+"/"+e.from.Version)
	e.Stats.Octets.Add(int64(len(body)))
	answer, err := e.client.Do(r)
	if err != nil {
		return 0, 0, err
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if answer.StatusCode/100 != 2 {
		seconds, _ := strconv.ParseUint(answer.Header.Get("Retry-After"), 10, 16)
		return 0, time.Duration(seconds) * time.Second, &errStatus{strconv.Itoa(answer.StatusCode), harmless(said)}
	}
	if err != nil {
		return 0, 0, fmt.Errorf("reading the answer: %w", err)
	}
	return rejectedOf(said), 0, nil
}

// rejectedOf is how many points and spans a collector has rejected out of a request.
func rejectedOf(said []byte) int64 {
	var answer struct {
		Partial struct {
			Points json.Number `json:"rejectedDataPoints"`
			Spans  json.Number `json:"rejectedSpans"`
		} `json:"partialSuccess"`
	}
	if json.Unmarshal(said, &answer) != nil {
		return 0 // it took the request all the same
	}
	points, _ := answer.Partial.Points.Int64()
	spans, _ := answer.Partial.Spans.Int64()
	return max(points, 0) + max(spans, 0)
}

// harmless is the beginning of what a collector says, for the log.
func harmless(said []byte) string {
	text := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(string(said[:min(len(said), 200)]), "?"))
	return strings.TrimSpace(text)
}

// failures decides which failures of an endpoint are logged.
type failures struct {
	told   time.Time // zero: the last request was taken
	untold int
}

// failed is the text for the log; "": this failure is only counted.
func (f *failures) failed(err error, now time.Time) string {
	if !f.told.IsZero() && now.Sub(f.told) < logEvery {
		f.untold++
		return ""
	}
	text := err.Error()
	if errors.Is(err, context.DeadlineExceeded) {
		text = "no answer in " + requestTime.String()
	}
	if f.untold > 0 {
		text += fmt.Sprintf(" (and %d times before)", f.untold)
	}
	f.told, f.untold = now, 0
	return text + "; mail goes on"
}

// over reports whether the failures are over.
func (f *failures) over() bool {
	had := !f.told.IsZero()
	*f = failures{}
	return had
}
