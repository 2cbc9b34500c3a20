package login

import (
	"context"
	"log/slog"
	"sync/atomic"

	"postrider/codec/sasl"
)

// Protocol is what a login came by.
type Protocol uint8

// The protocols.
const (
	SMTP Protocol = iota
	POP3
	Web
	protocols // how many there are
)

// daemons are the protocols as the log names them.
var daemons = [protocols]string{"smtpd", "pop3d", "web"}

// Stats are the counters of logins.
type Stats struct {
	SMTP, Web  atomic.Int64 // logins that were granted
	POP3       atomic.Int64 // sessions count them, when the maildrop is open
	Denied     atomic.Int64 // wrong claims, by all protocols; so are those below
	Throttled  atomic.Int64 // not looked at, because too many failed
	Slowed     atomic.Int64 // waited for their turn
	Remembered atomic.Int64 // needed no hash
	Verifiers  atomic.Int64 // verifiers made after a login
}

// granted counts a login that was granted.
func (s *Stats) granted(p Protocol) {
	switch p {
	case SMTP:
		s.SMTP.Add(1)
	case Web:
		s.Web.Add(1)
	}
}

// logDenied writes the line that fail2ban looks for, as Postfix writes it for SASL.
func (d *Door) logDenied(a *Attempt) {
	how, user := "", slog.String("user", "<"+a.Claim.User+">")
	if a.Claim.Mechanism != sasl.None {
		how, user = "SASL "+a.Claim.Mechanism.String()+" ", slog.String("sasl_username", a.Claim.User)
	}
	d.set.Load().Log.LogAttrs(context.Background(), slog.LevelWarn, "unknown["+a.From.String()+"]: "+how+"authentication failed",
		slog.String("daemon", daemons[a.Protocol]), user)
}
