package serve

import (
	"context"
	"log/slog"
	"net"
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
	"postrider/engine/front/localmail"
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
	sites   sites
	stop    []func() // stops what else works with the store
	admin   func(context.Context)
	mail    func(context.Context) // nil: no local mail
	paths   []string              // paths of the admin and the sendmail socket
}

// handlersEnd is how long requests may take to notice that they are cancelled.
const handlersEnd = 20 * time.Second

// endWeb stops HTTP: listeners at once; requests have until ctx is done, and are cancelled
// then. After it returns, no HTTP request uses the store.
func (h *httpServers) endWeb(ctx context.Context, log *slog.Logger) {
	var all sync.WaitGroup
	for _, s := range h.sites.end() {
		all.Go(func() { s.End(ctx, 0) })
	}
	all.Wait()
	h.cancel()
	for until := time.Now().Add(handlersEnd); h.working.Load() > 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(until) {
			log.Error("HTTP requests do not end", "requests", h.working.Load(), "waited", handlersEnd)
			break
		}
	}
	for _, f := range h.stop {
		f()
	}
	h.stop = nil
}

// endMail stops taking mail of local users; what is on its way has so long. The socket stays
// for the next process.
func (h *httpServers) endMail(limit time.Duration) {
	if h.mail != nil {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		h.mail(ctx)
	}
}

// endAdmin stops taking commands; commands that are under way have so long, and what can't be cut
// off in the middle is waited for. The socket stays for the next process.
func (h *httpServers) endAdmin(limit time.Duration) {
	if h.admin != nil {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		h.admin(ctx)
	}
}

// end stops all, and removes the sockets.
func (h *httpServers) end(ctx context.Context, log *slog.Logger) {
	h.endWeb(ctx, log)
	h.endAdmin(0)
	for _, path := range h.paths {
		_ = os.Remove(path)
	}
	h.endMail(time.Minute) // it has a limit of its own
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
	path := workspace.FullPath(workspace.AdminSocket(cfg))
	l, err := p.sockets.Unix("admin", path, func() (*net.UnixListener, error) { return admin.Listen(path) })
	if err != nil {
		h.all()
		return nil, err
	}
	h.paths = append(h.paths, path)
	h.admin = admin.Serve(ctx, l, p.store, srv.Operator(), srv.Inside(), p.log, func() admin.Status {
		<-p.live.ready
		st := admin.Status{
			Version: server.Version, PID: os.Getpid(), Started: p.started, Health: "ok", Restarted: p.live.restarted,
			SMTP: texts(srv.Addrs("smtp")), POP3: texts(srv.Addrs("pop3")), HTTP: texts(h.sites.addrs("http")), Settings: settings(p.live.cfg.Load()),
			Listening: h.listening(),
		}
		if err := srv.Healthy(); err != nil {
			st.Health = err.Error()
		}
		return st
	}, admin.Reloading(p.live.reload), admin.Restarting(p.live.restart), admin.Remembering(srv.History()))
	path = workspace.FullPath(cfg.LocalMailSocket())
	l, err = p.sockets.Unix("mail", path, func() (*net.UnixListener, error) { return localmail.Listen(cfg.LocalMailSocket()) })
	if err != nil {
		log.Warn("sendmail works for root and the server's user only: set server.mail_socket to a path that the server can write to", "err", err)
		return h, nil
	}
	h.paths, h.mail = append(h.paths, path), srv.ServeLocalMail(l)
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
