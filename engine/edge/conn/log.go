package conn

import (
	"context"
	"crypto/x509"
	"log/slog"
	"time"
)

func (e *Edge) logs() bool { return e.Log.Enabled(context.Background(), slog.LevelInfo) }

// info logs without the caller's file and line, whose lookup costs more than the rest.
func (e *Edge) info(msg string, as ...slog.Attr) {
	if !e.logs() {
		return
	}
	r := slog.NewRecord(time.Now(), slog.LevelInfo, msg, 0)
	r.AddAttrs(as...)
	_ = e.Log.Handler().Handle(context.Background(), r)
}

// logConnect logs an event that package maillog lays out: its name is maillog.Connect.
func (s *Session) logConnect() {
	if s.Logs() {
		s.Port.Edge.info("connect", s.Port.Daemon, slog.String("client", s.Client()))
	}
}

// logSecured logs Postfix's line about a handshake.
func (e *Edge) logSecured(h *handshaking) {
	if h.s.Logs() {
		f := h.s.TLS.Facts()
		kind := "Anonymous"
		if f.Client != nil {
			kind = "Trusted"
		}
		e.info(kind+" TLS connection established from "+h.s.Client()+": "+f.Version+" with cipher "+f.Cipher, h.s.Port.Daemon,
			slog.String("sni", f.ServerName), clientName(f.Client), slog.Bool("resumed", f.Resumed), slog.Duration("took", time.Since(h.began)))
	}
}

// clientName is the common name in a client's certificate; empty without one.
func clientName(c *x509.Certificate) slog.Attr {
	if c == nil {
		return slog.Attr{}
	}
	return slog.String("client_cn", c.Subject.CommonName)
}
