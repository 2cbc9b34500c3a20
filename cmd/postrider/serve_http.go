package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/net/netutil"

	"postrider/engine"
	"postrider/engine/admin"
	"postrider/engine/config"
	"postrider/engine/privilege"
	"postrider/storage/lsm"
)

// httpServers are the admin socket and, when asked for, HTTP.
type httpServers struct {
	http  []netip.AddrPort
	https []netip.AddrPort
	stop  []func()
}

func (h *httpServers) all() {
	for _, f := range h.stop {
		f()
	}
}

// serveHTTP opens the admin socket and the addresses of --http.
func serveHTTP(ctx context.Context, cfg *config.Config, sockets *privilege.Sockets, srv *engine.Server, store *lsm.Store, log *slog.Logger, started time.Time) (*httpServers, error) {
	h := new(httpServers)
	if err := h.serveWeb(ctx, cfg, sockets, srv, log); err != nil {
		return nil, err
	}
	if handler := srv.ACMEHandler(); handler != nil {
		for _, addr := range cfg.TLS.ACMEListen {
			if _, err := h.open(sockets.File("acme", addr), handler, nil, log); err != nil {
				return nil, fmt.Errorf("tls.acme_listen %s: %w", addr, err)
			}
		}
	}
	socket := filepath.Join(cfg.Server.Data, "admin.sock")
	stop, err := admin.Serve(ctx, socket, store, srv.Operator(), func() admin.Status {
		st := admin.Status{
			Version: engine.Version, PID: os.Getpid(), Started: started, Health: "ok",
			SMTP: texts(srv.SMTPAddrs()), POP3: texts(srv.POP3Addrs()), HTTP: texts(h.http),
		}
		if err := srv.Healthy(); err != nil {
			st.Health = err.Error()
		}
		return st
	})
	if err != nil {
		h.all()
		return nil, err
	}
	h.stop = append(h.stop, stop)
	if stop, err = srv.ServeLocalMail(cfg.LocalMailSocket()); err != nil {
		log.Warn("sendmail works for root and the server's user only: set server.mail_socket to a place that the server may write to", "err", err)
		return h, nil
	}
	h.stop = append(h.stop, stop)
	return h, nil
}

// serveWeb opens web.listen and web.listen_tls. The web client is made when it is
// wanted somewhere.
func (h *httpServers) serveWeb(ctx context.Context, cfg *config.Config, sockets *privilege.Sockets, srv *engine.Server, log *slog.Logger) error {
	plain := srv.HTTP()
	client := h.captureView(ctx, srv, log)
	if client == nil && (len(cfg.Web.ListenTLS) > 0 || len(cfg.Web.Listen) > 0 && cfg.Web.Client) {
		var err error
		if client, err = srv.WebClient(log); err != nil {
			return fmt.Errorf("the web client: %w", err)
		}
	}
	if client != nil && (cfg.Web.Client || cfg.Capture.On) {
		plain.Handle("/", client)
	}
	for _, addr := range cfg.Web.Listen {
		at, err := h.open(sockets.File("http", addr), plain, nil, log)
		if err != nil {
			return fmt.Errorf("web.listen %s: %w", addr, err)
		}
		h.http = append(h.http, at)
	}
	for _, addr := range cfg.Web.ListenTLS {
		at, err := h.open(sockets.File("https", addr), client, srv.WebTLS(), log)
		if err != nil {
			return fmt.Errorf("web.listen_tls %s: %w", addr, err)
		}
		h.https = append(h.https, at)
	}
	return nil
}

// captureView is the view of captured mail, which it begins to keep small; nil: nothing
// is captured.
func (h *httpServers) captureView(ctx context.Context, srv *engine.Server, log *slog.Logger) http.Handler {
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

// maxHTTP is how many connections of HTTP are open at once at one address; others wait
// to be accepted.
const maxHTTP = 1024

// open serves at a socket until stop, within TLS if there is a configuration for it. At
// an error it has stopped all. What is slow sets times of its own (package web).
func (h *httpServers) open(socket *os.File, handler http.Handler, within *tls.Config, log *slog.Logger) (at netip.AddrPort, err error) {
	l, err := net.FileListener(socket)
	if err != nil {
		h.all()
		return at, err
	}
	addr := l.Addr()
	l = netutil.LimitListener(l, maxHTTP)
	if within != nil {
		l = tls.NewListener(l, within)
	}
	hs := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute,
		MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)}
	go func() { _ = hs.Serve(l) }()
	h.stop = append(h.stop, func() { _ = hs.Close() })
	return addr.(*net.TCPAddr).AddrPort(), nil
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
