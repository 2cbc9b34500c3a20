package httpserver

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Server is an HTTP server at one listener.
type Server struct {
	http   *http.Server
	socket net.Listener
	served chan struct{} // closed when no connection begins any more
	ending atomic.Bool

	mu   sync.Mutex
	open map[net.Conn]http.ConnState
}

// Serve answers requests at l. h belongs to the Server, which calls its ConnState.
func Serve(h *http.Server, l net.Listener) *Server {
	s := &Server{http: h, socket: l, served: make(chan struct{}), open: make(map[net.Conn]http.ConnState)}
	next, state := h.Handler, h.ConnState
	h.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.ending.Load() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
	h.ConnState = func(c net.Conn, now http.ConnState) {
		s.note(c, now)
		if state != nil {
			state(c, now)
		}
	}
	go func() {
		defer close(s.served)
		_ = h.Serve(l)
	}()
	return s
}

func (s *Server) note(c net.Conn, now http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now == http.StateClosed || now == http.StateHijacked {
		delete(s.open, c)
	} else {
		s.open[c] = now
	}
}

// freshTime is how long a connection may be open without any request, once the server ends: its
// client has just connected.
const freshTime = time.Second

// End accepts no more connections. Requests that are under way, and the first one of each
// connection, are answered until ctx is done. Connections that have had an answer may ask again
// for the time idle. Then all are closed.
func (s *Server) End(ctx context.Context, idle time.Duration) {
	_ = s.socket.Close()
	<-s.served
	s.ending.Store(true)
	begun := time.Now()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for s.waits(time.Since(begun), idle) && ctx.Err() == nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	_ = s.http.Close()
}

// waits reports whether there is a connection to wait for. It closes connections that have had
// their time.
func (s *Server) waits(since, idle time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c, state := range s.open {
		if state == http.StateIdle && since >= idle || state == http.StateNew && since >= freshTime {
			_ = c.Close() // the server notices, and calls note
		}
	}
	return len(s.open) > 0
}
