package server

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"postrider/engine/config"
)

// collected is what a collector of OpenTelemetry got.
type collected struct {
	mu      sync.Mutex
	metrics map[string]bool     // by name
	spans   map[string][]string // names, by trace
	first   map[string]string   // the id of the span without a parent, by trace
	parents map[string][]string // the parents of the others, by trace
	facts   string              // all attributes of spans
	faults  []string
}

func collect(t *testing.T) (c *collected, at string) {
	t.Helper()
	c = &collected{metrics: make(map[string]bool), spans: make(map[string][]string), first: make(map[string]string), parents: make(map[string][]string)}
	s := httptest.NewServer(c)
	t.Cleanup(s.Close)
	return c, s.URL
}

// ServeHTTP implements http.Handler.
func (c *collected) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var got struct {
		ResourceMetrics []struct {
			ScopeMetrics []struct{ Metrics []struct{ Name string } }
		}
		ResourceSpans []struct {
			ScopeSpans []struct {
				Spans []struct {
					TraceID      string `json:"traceId"`
					SpanID       string `json:"spanId"`
					ParentSpanID string `json:"parentSpanId"`
					Name         string
					Attributes   json.RawMessage
				}
			}
		}
	}
	body, err := io.ReadAll(r.Body)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		err = json.Unmarshal(body, &got)
	}
	if err != nil {
		c.faults = append(c.faults, err.Error())
	}
	for _, from := range got.ResourceMetrics {
		for _, m := range from.ScopeMetrics[0].Metrics {
			c.metrics[m.Name] = true
		}
	}
	for _, from := range got.ResourceSpans {
		for _, s := range from.ScopeSpans[0].Spans {
			c.spans[s.TraceID] = append(c.spans[s.TraceID], s.Name)
			c.facts += string(s.Attributes) + "\n"
			if s.ParentSpanID == "" {
				c.first[s.TraceID] = s.SpanID
			} else {
				c.parents[s.TraceID] = append(c.parents[s.TraceID], s.ParentSpanID)
			}
		}
	}
}

// A message's way is one trace, from its arrival to the attempts to deliver it, and has no
// addresses and no text. The metrics that arrive are the same as at /metrics.
func TestCollectorGetsTracesAndMetrics(t *testing.T) {
	c, at := collect(t)
	from, _, _ := pair(t, func(cfg *config.Config) {
		cfg.Web.OTLP, cfg.Web.OTLPSample, cfg.Web.OTLPInterval = at, 1, 1e9
	})
	id := from.submit(t, "jsmith@localhost", "bob@b.test", "mbrain@localhost")
	from.drained(t)
	want := []string{"accept", "check", "connect", "receive", "relay", "store", "transfer"}
	until(t, "the spans have come", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.spans) == 1 && len(c.first) == 1 && slices.ContainsFunc(mapValues(c.spans), func(names []string) bool { return len(names) >= len(want) })
	})
	until(t, "metrics have come", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.metrics["postrider_messages_total"]
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	for trace, names := range c.spans {
		if slices.Sort(names); !slices.Equal(names, want) {
			t.Errorf("the spans are %v, want %v", names, want)
		}
		for _, parent := range c.parents[trace] {
			if parent != c.first[trace] {
				t.Errorf("a span is below %s, and the first one is %s", parent, c.first[trace])
			}
		}
	}
	if !strings.Contains(c.facts, id) || !strings.Contains(c.facts, "b.test") {
		t.Errorf("the spans have no id %s or destination:\n%s", id, c.facts)
	}
	for _, no := range []string{"jsmith", "bob", "mbrain", "Subject"} {
		if strings.Contains(c.facts, no) {
			t.Errorf("the spans have %q:\n%s", no, c.facts)
		}
	}
	for name := range from.gathered(t) {
		if !c.metrics[name] {
			t.Errorf("%s was not sent", name)
		}
	}
	if len(c.faults) > 0 {
		t.Error(c.faults)
	}
}

func mapValues(m map[string][]string) (all [][]string) {
	for _, v := range m {
		all = append(all, v)
	}
	return all
}

// A collector that is down, and one that does not answer, hold up neither mail nor the end of
// the server.
func TestMailGoesOnWithoutACollector(t *testing.T) {
	stuck := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-stuck:
		case <-r.Context().Done():
		}
	}))
	defer silent.Close()
	defer close(stuck)
	for _, at := range []string{"http://127.0.0.1:1", silent.URL} {
		f := start(t, func(cfg *config.Config) {
			cfg.Web.OTLP, cfg.Web.OTLPSample, cfg.Web.OTLPInterval = at, 1, 1e9
		}, nil)
		for range 20 {
			f.submit(t, "jsmith@localhost", "mbrain@localhost")
		}
		until(t, "a request is made", func() bool { return f.otlp.Stats.Requests.Load() > 0 })
		f.login(t, "mbrain").say("STAT", "+OK 20 ")
		f.Drain(t.Context())
	}
}
