package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"postrider/engine"
	"postrider/engine/admin"
	"postrider/engine/config"
	"postrider/engine/privilege"
	"postrider/storage/lsm"
)

// httpServers are the admin socket and, when asked for, HTTP.
type httpServers struct {
	http []netip.AddrPort
	stop []func()
}

func (h *httpServers) all() {
	for _, f := range h.stop {
		f()
	}
}

// serveHTTP opens the admin socket and the addresses of --http.
func serveHTTP(ctx context.Context, cfg *config.Config, sockets *privilege.Sockets, srv *engine.Server, store *lsm.Store, log *slog.Logger, started time.Time) (*httpServers, error) {
	h := new(httpServers)
	for _, addr := range cfg.Web.Listen {
		at, err := h.open(sockets.File("http", addr), srv.HTTP(), log)
		if err != nil {
			return nil, fmt.Errorf("web.listen %s: %w", addr, err)
		}
		h.http = append(h.http, at)
	}
	if handler := srv.ACMEHandler(); handler != nil {
		for _, addr := range cfg.TLS.ACMEListen {
			if _, err := h.open(sockets.File("acme", addr), handler, log); err != nil {
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
	return h, nil
}

// open serves at a socket until stop. At an error it has stopped all.
func (h *httpServers) open(socket *os.File, handler http.Handler, log *slog.Logger) (at netip.AddrPort, err error) {
	l, err := net.FileListener(socket)
	if err != nil {
		h.all()
		return at, err
	}
	hs := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)}
	go func() { _ = hs.Serve(l) }()
	h.stop = append(h.stop, func() { _ = hs.Close() })
	return l.Addr().(*net.TCPAddr).AddrPort(), nil
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
