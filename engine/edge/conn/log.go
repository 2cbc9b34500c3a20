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

func (e *Edge) logConnect(daemon slog.Attr, addr string) {
	if e.logs() {
		e.info("connect from unknown["+addr+"]", daemon)
	}
}

// logSecured logs Postfix's line about a handshake.
func (e *Edge) logSecured(h *handshaking) {
	if e.logs() {
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
