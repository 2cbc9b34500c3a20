package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"postrider/bench/sink"
	"postrider/cmd/sysexits"
)

// servers are what serves at once until a context ends, or one of them fails.
type servers struct {
	ctx    context.Context
	cancel context.CancelFunc
	over   []chan error
	ready  string // " smtp=ADDR pop3=ADDR": where they listen
}

// listen starts one, unless its address can't be had.
func (s *servers) listen(name, addr string, serve func(*net.TCPListener) error) error {
	ln, err := sink.Listen(s.ctx, addr)
	if err != nil {
		return sysexits.Unavailable.With(err)
	}
	s.ready += " " + name + "=" + ln.Addr().String()
	over := make(chan error, 1)
	s.over = append(s.over, over)
	go func() {
		over <- serve(ln)
		s.cancel()
	}()
	return nil
}

// wait waits for the end of all.
func (s *servers) wait() (err error) {
	for _, over := range s.over {
		err = errors.Join(err, <-over)
	}
	return err
}

// http serves until the context ends.
func (s *servers) http(ln *net.TCPListener, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, WriteTimeout: time.Minute}
	stop := context.AfterFunc(s.ctx, func() { server.Close() })
	defer stop()
	err := server.Serve(ln)
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
