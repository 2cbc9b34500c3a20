package maillog

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"
)

// Log writes lines of mail in the shapes that operators know. Every line of a message's
// life has its queue id, the attribute "id".
type Log struct{ *slog.Logger }

// SMTPD and the attributes below are the daemons that lines name.
var (
	SMTPD   = slog.String("daemon", "smtpd")
	Cleanup = slog.String("daemon", "cleanup")
	Qmgr    = slog.String("daemon", "qmgr")
	SMTP    = slog.String("daemon", "smtp")
	Local   = slog.String("daemon", "local")
	Bounce  = slog.String("daemon", "bounce")
	Pickup  = slog.String("daemon", "pickup")
	POP3D   = slog.String("daemon", "pop3d")
	Web     = slog.String("daemon", "web")
)

// Info logs without asking for the caller, which would cost more than the line.
func (l Log) Info(msg string, as ...slog.Attr) {
	if l.On() {
		_ = l.Handler().Handle(context.Background(), Record(time.Now(), msg, as...))
	}
}

// Record makes a line of level info.
func Record(at time.Time, msg string, as ...slog.Attr) slog.Record {
	r := slog.NewRecord(at, slog.LevelInfo, msg, 0)
	r.AddAttrs(as...)
	return r
}

// All logs records that belong together, in one step where the handler can do it.
func (l Log) All(rs []slog.Record) {
	if h, ok := l.Handler().(*Handler); ok {
		_ = h.HandleAll(rs)
		return
	}
	for _, r := range rs {
		_ = l.Handler().Handle(context.Background(), r)
	}
}

// On reports whether lines of level info are written.
func (l Log) On() bool { return l.Enabled(context.Background(), slog.LevelInfo) }

// Fault logs a failure on our side; what says what did not work.
func (l Log) Fault(what string, err error) {
	l.LogAttrs(context.Background(), slog.LevelError, what+": "+err.Error())
}

// Panicked logs a panic of a goroutine of ours and returns it as an error.
func (l Log) Panicked(where string, p any) error {
	err := fmt.Errorf("BUG: panic in %s: %v", where, p)
	l.LogAttrs(context.Background(), slog.LevelError, err.Error(), slog.String("stack", string(debug.Stack())))
	return err
}

// Lost is the reason for a line about a session that did not end with a goodbye; empty
// for one that did. closing: we have ended it.
func Lost(reason string, err error, closing bool) string {
	switch {
	case reason != "":
		return reason
	case closing:
		return ""
	case err != nil:
		return "lost connection (" + err.Error() + ")"
	}
	return "lost connection"
}
