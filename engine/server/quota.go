package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"postrider/codec/message"
	"postrider/codec/smtp"
	"postrider/engine/host/maillog"
	"postrider/engine/mail/incoming"
	"postrider/engine/mail/router"
	"postrider/storage"
)

// maxWarnings bounds the warnings about quotas that wait to be written. One that finds no
// room is logged.
const maxWarnings = 256

// quotaWarnings writes a mail for each maildrop or domain that has come near its quota. A
// delivery must not wait for that, so one goroutine writes them.
type quotaWarnings struct {
	srv   *Server
	queue chan storage.NearQuota
	stop  context.CancelFunc // nil: it was not started
	ended chan struct{}
}

func newQuotaWarnings(srv *Server) *quotaWarnings {
	return &quotaWarnings{srv: srv, queue: make(chan storage.NearQuota, maxWarnings), ended: make(chan struct{})}
}

func (w *quotaWarnings) start() {
	ctx, stop := context.WithCancel(context.Background())
	w.stop = stop
	go w.run(ctx)
}

// end stops the writing. What waits is given up: a quota is near at the next delivery only if
// mail was deleted meanwhile, so the log says what was lost.
func (w *quotaWarnings) end() {
	if w.stop == nil {
		return
	}
	w.stop()
	<-w.ended
	for len(w.queue) > 0 {
		w.srv.log.Warn("a mail about a quota was not written: the server ends", slog.String("of", w.nearName(<-w.queue)))
	}
}

// add is told of quotas that are almost used up, on a goroutine of the store.
func (w *quotaWarnings) add(near []storage.NearQuota) {
	for _, n := range near {
		select {
		case w.queue <- n:
		default:
			w.srv.log.Warn("a mail about a quota was not written: too many wait", slog.String("of", w.nearName(n)))
		}
	}
}

// run writes until ctx ends.
func (w *quotaWarnings) run(ctx context.Context) {
	defer close(w.ended)
	for {
		select {
		case n := <-w.queue:
			if err := w.warn(ctx, n); err != nil && ctx.Err() == nil {
				w.srv.log.Warn("a mail about a quota was not written: "+err.Error(), slog.String("of", w.nearName(n)))
			}
		case <-ctx.Done():
			return
		}
	}
}

// nearName is the account or the domain whose quota is almost used up.
func (w *quotaWarnings) nearName(n storage.NearQuota) string {
	if n.Account == 0 {
		return n.Domain
	}
	a, err := w.srv.store.Account(n.Account)
	if err != nil {
		return fmt.Sprintf("account %d", n.Account)
	}
	return router.Mailbox(a.Name, a.Domain)
}

// warn sends the mail: to the account, or to the postmaster of the domain.
func (w *quotaWarnings) warn(ctx context.Context, n storage.NearQuota) error {
	name := w.nearName(n)
	to, what := name, "Your mailbox "+name+" is"
	if n.Account == 0 {
		to, what = "postmaster@"+n.Domain, "The mailboxes of the domain "+name+" are"
	}
	rcpt, refused := smtp.ParseRcpt([]byte("TO:<"+to+">"), 0, true)
	if refused != nil {
		return errors.New(refused.Text)
	}
	m := w.srv.entrance.Load().New("")
	if o := m.Recipient(&rcpt); o != router.Local {
		return fmt.Errorf("no mailbox %s", to)
	}
	now := time.Now()
	text := fmt.Sprintf("From: Mail Delivery System <MAILER-DAEMON@%s>\r\nTo: <%s>\r\nSubject: %s almost full\r\nDate: %s\r\n"+
		"Message-ID: <quota.%d@%s>\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"+
		"%s almost full:\r\n\r\n%s\r\nMail that has no room is refused. Delete messages to make some.\r\n",
		w.srv.config().Server.Hostname, to, what, now.Format(time.RFC1123Z), now.UnixNano(), w.srv.config().Server.Hostname, what, quotaWords(n))
	wide := strings.ContainsFunc(to, func(r rune) bool { return r >= 0x80 })
	r, err := m.Write(ctx, &incoming.From{Received: message.Received{Host: w.srv.config().Server.Hostname, With: "local"}}, []byte(text),
		&incoming.End{Envelope: storage.Envelope{Origin: "notification of this host", SMTPUTF8: wide, Body: smtp.Body8BitMIME}})
	if err == nil {
		w.srv.log.Info("a mail about a quota was sent: "+r.ID().String(), maillog.Local, slog.String("of", name))
	}
	return err
}

// quotaWords are lines about what is used of a quota.
func quotaWords(n storage.NearQuota) string {
	var b strings.Builder
	if q := n.Quota.Octets; q > 0 {
		fmt.Fprintf(&b, "  %d of %d octets (%d %%)\r\n", n.Used.Octets, q, percent(n.Used.Octets, q))
	}
	if q := n.Quota.Messages; q > 0 {
		fmt.Fprintf(&b, "  %d of %d messages (%d %%)\r\n", n.Used.Messages, q, percent(n.Used.Messages, q))
	}
	return b.String()
}

func percent(n, of int64) int64 { return int64(float64(n) / float64(of) * 100) }
