package serve

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"time"
)

// books are the connections of the other protocols, of which there may be so many.
type books struct {
	mu          sync.Mutex
	open, limit int
}

func (b *books) AdmitHTTP(netip.Addr) (leave func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open == b.limit {
		return nil
	}
	b.open++
	return b.leave
}

func (b *books) leave() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open--
}

// serveLimited serves a handler under limits until the test ends.
func serveLimited(t *testing.T, limit int, handler http.Handler) (*httpServers, *books, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	b := &books{limit: limit}
	h := &httpServers{limits: newHTTPLimits(b, func(netip.Addr) bool { return false }), replies: func(next http.Handler) http.Handler { return next }}
	h.ctx, h.cancel = context.WithCancel(t.Context())
	at, err := h.serve(f, handler, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	h.sites.open = []*site{at}
	t.Cleanup(h.all)
	return h, b, at.at.String()
}

func get(t *testing.T, at, path string) (int, string) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second}
	r, err := client.Get("http://" + at + path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, _ := io.ReadAll(r.Body)
	return r.StatusCode, string(b)
}

// Idle connections make room for new ones, and all are counted with the other protocols.
func TestIdleConnectionsOfHTTPMakeRoom(t *testing.T) {
	t.Parallel()
	h, b, at := serveLimited(t, 20, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "here") }))
	for range 60 {
		c, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	for range 5 {
		if code, text := get(t, at, "/"); code != 200 || text != "here" {
			t.Errorf("%d %s", code, text)
		}
	}
	b.mu.Lock()
	if b.open > 20 || b.open == 0 {
		t.Errorf("%d connections are counted", b.open)
	}
	b.mu.Unlock()
	h.all()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open != 0 || h.limits.open != 0 || h.limits.idle.Len() != 0 || len(h.limits.by) != 0 || len(h.limits.counts) != 0 {
		t.Errorf("%d connections are still counted: %+v", b.open, h.limits)
	}
}

// While all connections are busy, health checks get through, and others get a 503.
func TestHealthChecksGetThrough(t *testing.T) {
	t.Parallel()
	began, end := make(chan bool, 10), make(chan bool)
	_, _, at := serveLimited(t, 3, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			began <- true
			<-end
		}
		fmt.Fprint(w, "here")
	}))
	var all sync.WaitGroup
	defer all.Wait()
	defer close(end)
	for range 3 {
		all.Go(func() { _, _ = get(t, at, "/slow") })
		<-began
	}
	for path, want := range map[string]int{"/readyz": 200, "/healthz": 200, "/metrics": 200, "/": 503, "/m/1": 503} {
		if code, _ := get(t, at, path); code != want {
			t.Errorf("%s: %d", path, code)
		}
	}
}

// Requests that are under way at the end are waited for, and cancelled at the deadline; then
// none is left.
func TestTheEndWaitsForRequests(t *testing.T) {
	t.Parallel()
	began, cancelled, goOn := make(chan bool, 10), make(chan bool, 10), make(chan bool)
	h, _, at := serveLimited(t, 20, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began <- true
		if r.URL.Path == "/short" {
			<-goOn
			fmt.Fprint(w, "whole")
			return
		}
		<-r.Context().Done()
		cancelled <- true
	}))
	var short string
	var all sync.WaitGroup
	all.Go(func() { _, short = get(t, at, "/short") })
	all.Go(func() {
		r, err := http.Get("http://" + at + "/endless")
		if err == nil {
			r.Body.Close()
		}
	})
	idle, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	<-began
	<-began
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan bool)
	go func() { h.end(ctx, slog.New(slog.DiscardHandler)); close(ended) }()
	close(goOn)
	for h.working.Load() != 1 {
		time.Sleep(time.Millisecond)
	}
	select {
	case <-ended:
		t.Error("the end does not wait")
	case <-cancelled:
		t.Error("the request is cancelled before its time")
	default:
	}
	cancel()
	<-cancelled
	<-ended
	all.Wait()
	if short != "whole" || h.working.Load() != 0 {
		t.Errorf("%q, %d requests", short, h.working.Load())
	}
}
