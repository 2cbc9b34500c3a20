package server

import (
	"context"
	"fmt"
	"time"
)

// EndSessions ends the sessions that are open, each after the message or command that it is
// at, and the sessions with other hosts, while new connections are served as before. It waits
// until they are gone or ctx is done, and returns how many sessions of clients it has told to
// end. No more mail is sent to other hosts. It comes before a Drain that has to be short.
func (srv *Server) EndSessions(ctx context.Context, limit time.Duration) (told int) {
	until, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		// The end of ctx does not cut messages off that are on their way: Drain follows.
		whole, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
		defer cancel()
		srv.courier.Stop(whole)
	}()
	told = srv.edge.EndOpen(until)
	select {
	case <-gone:
	case <-until.Done():
	}
	return told
}

// Quiesce stops accepting, and lets each session come to a point where nothing is lost by its
// end. It returns when all are gone or ctx is done: how many it has told to end, and how many
// of them are cut off by Close. Only the first call does something.
func (srv *Server) Quiesce(ctx context.Context) (told, cut int) {
	srv.reloading.Lock()
	ends := srv.draining.Swap(true)
	srv.reloading.Unlock()
	if ends {
		return 0, 0
	}
	for _, at := range srv.Listening() {
		for _, l := range at.listeners {
			l.Accepting(false)
		}
	}
	told = srv.edge.Drain(ctx)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for srv.group.Conns() > 0 && ctx.Err() == nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	if cut = srv.group.Conns(); cut > 0 {
		srv.log.Info(fmt.Sprintf("drain: %d sessions are cut off", cut))
	}
	srv.courier.Stop(ctx)
	return told, cut
}

// Close ends what Quiesce has left. The store is not used any more when it returns.
func (srv *Server) Close() {
	srv.closing.Do(func() {
		srv.measures.stop()
		srv.group.Stop()
		srv.endMessages()
		srv.quotas.end()
		srv.retention.End()
		if m := srv.tls.Load(); m != nil {
			m.Close()
		}
		srv.pools.close()
		srv.history.Stop()
	})
}

// Drain is Quiesce and Close.
func (srv *Server) Drain(ctx context.Context) {
	srv.Quiesce(ctx)
	srv.Close()
}

// endTime is how long a drain waits for messages that are in their last steps, after the
// loops have dropped what can be dropped. A message that takes longer is in the store's
// queue, and closing the store waits for it.
const endTime = 10 * time.Second

// endMessages waits for messages in their last steps, which work with the pools and the
// store.
func (srv *Server) endMessages() {
	ctx, cancel := context.WithTimeout(context.Background(), endTime)
	defer cancel()
	srv.smtpsrv.Wait(ctx)
}
