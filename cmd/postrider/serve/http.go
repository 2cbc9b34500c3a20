package serve

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"postrider/cmd/postrider/workspace"
	"postrider/engine/config"
	"postrider/engine/edge/privilege"
	"postrider/engine/front/admin"
	"postrider/engine/server"
	"postrider/storage"
)

// httpServers are the admin socket and, when asked for, HTTP.
type httpServers struct {
	limits  *httpLimits
	replies func(http.Handler) http.Handler // counts the replies of a handler
	ctx     context.Context                 // for all requests
	cancel  context.CancelFunc
	working atomic.Int64 // requests
	stop    []func()     // stops the admin and the sendmail socket
	sites   sites
}

// handlersEnd is how long requests may take to notice that they are cancelled.
const handlersEnd = 20 * time.Second

// end stops all: listeners at once; requests have until ctx is done, and are cancelled
// then. After it returns, no HTTP request uses the store.
func (h *httpServers) end(ctx context.Context, log *slog.Logger) {
	var all sync.WaitGroup
	servers := h.sites.end()
	for _, s := range servers {
		all.Go(func() { _ = s.Shutdown(ctx) })
	}
	h.limits.closeIdle() // Shutdown waits for connections without a request
	all.Wait()
	h.cancel()
	for _, s := range servers {
		_ = s.Close()
	}
	for until := time.Now().Add(handlersEnd); h.working.Load() > 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(until) {
			log.Error("HTTP requests do not end", "requests", h.working.Load(), "waited", handlersEnd)
			break
		}
	}
	for _, f := range h.stop {
		f()
	}
}

// all ends what was opened, at an error before any request.
func (h *httpServers) all() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	h.end(ctx, slog.New(slog.DiscardHandler))
}

// counts has end wait for the requests of a handler.
func (h *httpServers) counts(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.working.Add(1)
		defer h.working.Add(-1)
		next.ServeHTTP(w, r)
	})
}

// httpParams is what the admin socket and HTTP are served with.
type httpParams struct {
	cfg     *config.Config
	sockets *privilege.Sockets // bound before the process stopped being root
	srv     *server.Server
	store   storage.Store
	log     *slog.Logger
	started time.Time // the process
	live    *running
}

// serveHTTP opens the admin socket and the addresses of --http.
func serveHTTP(ctx context.Context, p *httpParams) (*httpServers, error) {
	cfg, srv, log := p.cfg, p.srv, p.log
	h := &httpServers{limits: newHTTPLimits(srv, srv.IsProxy), replies: srv.CountReplies}
	h.ctx, h.cancel = context.WithCancel(context.WithoutCancel(ctx))
	if err := h.serveWeb(ctx, p); err != nil {
		h.all()
		return nil, err
	}
	p.live.web = h
	// The kernel lists the socket by this path, and commands find it there: see
	// workspace.Servers.
	stop, err := admin.Serve(ctx, workspace.FullPath(workspace.AdminSocket(cfg)), p.store, srv.Operator(), srv.Inside(), p.log, func() admin.Status {
		st := admin.Status{
			Version: server.Version, PID: os.Getpid(), Started: p.started, Health: "ok",
			SMTP: texts(srv.Addrs("smtp")), POP3: texts(srv.Addrs("pop3")), HTTP: texts(h.sites.addrs("http")), Settings: settings(p.live.cfg.Load()),
			Listening: h.listening(),
		}
		if err := srv.Healthy(); err != nil {
			st.Health = err.Error()
		}
		return st
	}, admin.Reloading(p.live.reload))
	if err != nil {
		h.all()
		return nil, err
	}
	h.stop = append(h.stop, stop)
	if stop, err = srv.ServeLocalMail(cfg.LocalMailSocket()); err != nil {
		log.Warn("sendmail works for root and the server's user only: set server.mail_socket to a path that the server can write to", "err", err)
		return h, nil
	}
	h.stop = append(h.stop, stop)
	return h, nil
}

// listening are the addresses of HTTP, for the status.
func (h *httpServers) listening() (all []admin.Listener) {
	for _, name := range []string{"http", "https"} {
		if addrs := texts(h.sites.addrs(name)); len(addrs) > 0 {
			all = append(all, admin.Listener{Name: name, Addrs: addrs})
		}
	}
	return all
}

// settings are what commands ask for.
func settings(cfg *config.Config) admin.Settings {
	s := admin.Settings{Dir: workspace.FullPath("."), Values: cfg.Values()}
	if cfg.File() != "" {
		s.File = workspace.FullPath(cfg.File())
	}
	return s
}

// captureView is the view of captured mail, which it begins to keep small; nil: nothing
// is captured.
func (h *httpServers) captureView(ctx context.Context, srv *server.Server, log *slog.Logger) http.Handler {
	view := srv.CaptureView(log)
	if view == nil {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		view.Retain(ctx)
	}()
	h.stop = append(h.stop, func() { cancel(); <-done })
	return view
}

// addresses is " name=addr,addr" for the ready line; nothing without addresses.
func addresses(name string, as []netip.AddrPort) string {
	if len(as) == 0 {
		return ""
	}
	return " " + name + "=" + strings.Join(texts(as), ",")
}

// texts are the addresses as text.
func texts(as []netip.AddrPort) []string {
	words := make([]string, len(as))
	for i, a := range as {
		words[i] = a.String()
	}
	return words
}
