package httpserver

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

const patience = time.Minute

func serve(t *testing.T, h http.HandlerFunc) (s *Server, addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s = Serve(&http.Server{Handler: h}, l) //nolint:gosec // a test
	t.Cleanup(func() {
		over, cancel := context.WithCancel(context.Background())
		cancel()
		s.End(over, 0)
	})
	return s, l.Addr().String()
}

// ask sends a request over a connection, and returns the whole answer.
func ask(c net.Conn) (string, error) {
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		return "", err
	}
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return fmt.Sprint(answer.StatusCode, " ", string(text), " ", answer.Close), err
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

// opened waits until the server has so many connections.
func (s *Server) opened(t *testing.T, n int) {
	t.Helper()
	for until := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		s.mu.Lock()
		now := len(s.open)
		s.mu.Unlock()
		if now == n {
			return
		}
		if time.Now().After(until) {
			t.Fatalf("%d connections, want %d", now, n)
		}
	}
}

// A request that is under way is answered, and so is the first one of a connection that was
// open before the end began. An idle connection is closed.
func TestEnd(t *testing.T) {
	began, goOn := make(chan bool), make(chan bool)
	s, addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
		began <- true
		<-goOn
		_, _ = io.WriteString(w, "done")
	})
	idle, busy, fresh := dial(t, addr), dial(t, addr), dial(t, addr)
	answers := make(chan string, 2)
	asks := func(c net.Conn) {
		text, err := ask(c)
		answers <- fmt.Sprint(text, err)
	}
	go asks(idle)
	<-began
	goOn <- true
	if got := <-answers; got != "200 done false<nil>" {
		t.Error(got)
	}
	go asks(busy)
	<-began
	s.opened(t, 3)
	ended := make(chan bool)
	go func() {
		s.End(t.Context(), 0)
		close(ended)
	}()
	if n, err := idle.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("an idle connection: %d octets, %v", n, err)
	}
	go asks(fresh)
	<-began
	goOn <- true
	goOn <- true
	got := []string{<-answers, <-answers}
	if s := strings.Join(got, " "); strings.Count(s, "200 done") != 2 || strings.Count(s, "true") != 1 {
		t.Errorf("%q", got)
	}
	<-ended
	if c, err := net.Dial("tcp", addr); err == nil {
		c.Close()
		t.Error("it still accepts")
	}
}

// Connections that say nothing hold the end up for a while only, and no request does after the
// end of the context.
func TestEndIsBounded(t *testing.T) {
	began := make(chan bool)
	s, addr := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		close(began)
		<-r.Context().Done()
	})
	silent := dial(t, addr)
	s.opened(t, 1)
	busy := dial(t, addr)
	go ask(busy) //nolint:errcheck // it gets no answer
	<-began
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(freshTime/10, cancel)
	s.End(ctx, time.Hour)
	for _, c := range []net.Conn{silent, busy} {
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("a connection is still open")
		}
	}
}

// Clients that connect all the time get an answer or are refused: none is accepted and dropped.
func TestNothingIsDropped(t *testing.T) {
	for range 20 {
		s, addr := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "x") })
		// The socket stays open, as for a process that follows: what was not accepted waits.
		f, err := s.socket.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		var once sync.Once
		first := make(chan bool)
		dropped := make(chan error, 8)
		for range 8 {
			all.Go(func() {
				for {
					c, err := net.Dial("tcp", addr)
					if err != nil {
						return
					}
					_ = c.SetDeadline(time.Now().Add(patience))
					_, err = ask(c)
					_ = c.Close()
					once.Do(func() { close(first) })
					if strings.Contains(fmt.Sprint(err), "reset") { // when f was closed, it was not accepted
						return
					}
					if err != nil {
						dropped <- err
						return
					}
				}
			})
		}
		<-first
		s.End(t.Context(), time.Second)
		f.Close()
		all.Wait()
		close(dropped)
		for err := range dropped {
			t.Error(err)
		}
	}
}
