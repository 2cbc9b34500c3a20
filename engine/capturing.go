package engine

import (
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"
	"unicode"

	"postrider/codec/message"
	"postrider/codec/sasl"
	"postrider/codec/smtp"
	"postrider/engine/capture"
	"postrider/engine/config"
	"postrider/engine/router"
	"postrider/engine/smtpd"
	"postrider/storage"
)

// In capture mode (config.Capture) all mail goes to one maildrop, whomever it is for. A
// message with many recipients is there once: its trace has a Delivered-To field for
// each of them. Nothing else is different: the dialogue, the limits and what a 250
// stands for are those of every day, so that what is tested is tested against a server.

// captureAccount is the account that gets all mail; 0: there is none such.
func captureAccount(cfg *config.Config, store storage.Directory) (storage.AccountID, error) {
	if !cfg.Capture.On {
		return 0, nil
	}
	a, err := store.Lookup(config.CaptureAccount, cfg.DefaultDomain())
	if err == nil && a.Account == 0 {
		err = errors.New("it is an alias")
	}
	if err != nil {
		return 0, fmt.Errorf("capture.on: account %s@%s: %w", config.CaptureAccount, cfg.DefaultDomain(), err)
	}
	return a.Account, nil
}

// CaptureView is the view of captured mail; nil: nothing is captured. The caller runs its
// Retain.
func (srv *Server) CaptureView(log *slog.Logger) *capture.View {
	if srv.capture == 0 {
		return nil
	}
	return capture.New(capture.Config{
		Store: srv.store, Account: srv.capture, Keep: srv.cfg.Capture.Keep, Age: srv.cfg.Capture.Age,
		Version: Version, Started: time.Now(), Bounds: srv.webBounds(), Draining: srv.draining.Load, Log: log,
	})
}

// captureAuth is what AUTH offers: the mechanisms that tell the password, for any is
// taken. One that proves it needs a server that knows it.
func captureAuth(auth config.ListenerAuth) smtpd.Auth {
	if auth == config.AuthOff {
		return smtpd.Auth{}
	}
	return smtpd.Auth{Mechanisms: sasl.SetOf(sasl.Plain, sasl.Login), Plaintext: true, Required: auth == config.AuthRequired, Nonce: nonce}
}

// anybody is the account that somebody says he has, for logs and replies.
func anybody(user string) string {
	user = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, user)
	if user == "" {
		return "nobody"
	}
	return user[:min(len(user), 255)]
}

// maxTaken bounds the fields that tell the recipients of a captured message.
const maxTaken = storage.MaxTrace - 1024

// capture takes a forward-path, whatever it is.
func (t *transaction) capture(account storage.AccountID, to smtp.ForwardPath) smtpd.Verdict {
	if t.paths == 0 {
		t.forward = to.AppendTo(t.forward[:0])
		t.places.Targets = append(t.places.Targets, router.Target{Account: account})
	}
	t.paths++
	before, shard := len(t.taken), t.conn.shard
	shard.scratch = to.AppendTo(shard.scratch[:0])
	t.taken = message.AppendDeliveredTo(t.taken, shard.scratch)
	if len(t.taken) > maxTaken {
		t.taken = t.taken[:before]
		t.untold++
	}
	return smtpd.Yes
}

// appendTaken appends the fields that tell the recipients of a captured message.
func (t *transaction) appendTaken(b []byte) []byte {
	b = append(b, t.taken...)
	if t.untold > 0 {
		b = append(b, "X-Recipients-Not-Shown: "...)
		b = append(strconv.AppendInt(b, int64(t.untold), 10), "\r\n"...)
	}
	return b
}
