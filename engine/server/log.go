package server

import (
	"log/slog"

	"postrider/engine/host/maillog"
)

// disconnectPOP3 is the last line of a POP3 session, in Dovecot's shape.
func disconnectPOP3(l maillog.Log, s *pop3Conn, err error) {
	if !l.On() {
		return
	}
	why := maillog.Lost(s.Reason, err, s.Closing)
	if why == "" {
		why = "Logged out"
	}
	l.Info("Disconnected: "+why+" "+string(s.m.Counts().AppendTo(nil)), maillog.POP3D,
		slog.String("user", "<"+s.user+">"), slog.String("rip", s.Addr))
}
