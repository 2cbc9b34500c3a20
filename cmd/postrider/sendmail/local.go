package sendmail

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/codec/dsn"
	"postrider/engine/client"
	"postrider/engine/config"
	"postrider/engine/front/localmail"
	"postrider/engine/mail/incoming"
)

// take reads the message, and then finds the way into the store. A running server gets it at
// its socket for all users, also from root: so the server logs and counts it, and "why" knows
// it. Root and the server's user go on to the admin socket, or the store itself, all others
// to SMTP. The text is read before, so a program that writes it slowly keeps
// no connection open, and the whole text is there for every way.
func (a *arguments) take(cmd *cobra.Command) error {
	if len(a.recipients) == 0 && !a.fromHeader {
		return sysexits.Usage.With(incoming.ErrNoRecipients)
	}
	cfg, err := a.target.Config()
	if err != nil && !errors.Is(err, fs.ErrPermission) {
		return err
	}
	in, limit := cmd.InOrStdin(), int64(0)
	if cfg != nil && cfg.SMTP.MaxSize > 0 {
		limit = cfg.SMTP.MaxSize + 1
	}
	if !a.wholeInput {
		in = newUntilDot(in)
	}
	text, err := spooled(in, limit)
	if err != nil {
		return err
	}
	defer text.close()
	if cfg != nil {
		ws, err := a.target.Open(cmd.Context(), cfg, workspace.MustExist)
		switch {
		case err == nil:
			return errors.Join(a.deliver(cmd, ws, text), sysexits.IOErr.With(ws.Close()))
		case errors.Is(err, workspace.ErrNoStore) && a.target == (workspace.Target{}): // the store of a server is elsewhere
		case !errors.Is(err, fs.ErrPermission):
			return err
		}
	}
	return a.handIn(cmd, cfg, text)
}

// handIn submits the message to the running server at the socket for all users, or by
// SMTP without the socket.
func (a *arguments) handIn(cmd *cobra.Command, cfg *config.Config, text *inputSpool) error {
	path := config.SystemMailSocket
	switch {
	case cfg != nil && a.target != (workspace.Target{}):
		path = cfg.LocalMailSocket()
	case a.target.Data != "":
		other := config.Default()
		other.Server.Data = a.target.Data
		path = other.LocalMailSocket()
	}
	err := a.submit(cmd, path, text)
	if errors.Is(err, localmail.ErrNoServer) {
		return a.bySMTP(cmd, cfg, text, err)
	}
	return err
}

// submit submits the message at the socket for all users. The error is localmail.ErrNoServer
// when no server has seen it.
func (a *arguments) submit(cmd *cobra.Command, path string, text *inputSpool) error {
	message := localmail.Envelope{
		Sender: a.sender, FullName: a.fullName, Recipients: a.recipients, FromHeader: a.fromHeader,
		Notify: a.notify, Ret: a.ret, EnvID: a.envID,
	}
	in, err := text.reader()
	if err != nil {
		return sysexits.TempFail.With(err)
	}
	answer, err := localmail.Send(cmd.Context(), path, message, in)
	switch {
	case errors.Is(err, localmail.ErrNoServer):
		return fmt.Errorf("%s: %w", path, err)
	case errors.Is(err, localmail.ErrForged):
		return sysexits.TempFail.With(fmt.Errorf("nothing was sent to %s: %w; start the server as root or as the directory's owner, or set server.mail_socket", path, err))
	case err != nil:
		return sysexits.TempFail.With(fmt.Errorf("the connection to the server at %s failed: %w", path, err))
	}
	if a.verbose && answer.ID != "" {
		fmt.Fprintf(cmd.OutOrStdout(), "stored as %s\n", answer.ID)
	}
	if answer.Error == "" {
		return nil
	}
	return answerError(answer)
}

// errNotTaken is the answer of a server that has stored nothing, and takes nothing for now at
// the socket for all users.
type errNotTaken string

// Error implements error.
func (e errNotTaken) Error() string { return string(e) }

// answerError is the error in an answer.
func answerError(answer localmail.Answer) error {
	if answer.Kind == localmail.Busy || answer.Kind == localmail.Ending {
		return sysexits.TempFail.With(errNotTaken(answer.Error))
	}
	codes := map[localmail.Kind]sysexits.Code{localmail.Usage: sysexits.Usage, localmail.Data: sysexits.DataErr, localmail.NoUser: sysexits.NoUser}
	return cmp.Or(codes[answer.Kind], sysexits.TempFail).With(errors.New(answer.Error))
}

// smtpAddress is where SMTP is spoken with the server of cfg; nil: a configuration that
// the caller may not read.
func smtpAddress(cfg *config.Config) string {
	if cfg != nil {
		for _, l := range cfg.SMTP.Listen {
			if l.Auth != config.AuthRequired {
				return l.Addr
			}
		}
	}
	return "127.0.0.1:25"
}

// bySMTP sends the message as any other program would. noSocket is why the server's
// socket was not used.
func (a *arguments) bySMTP(cmd *cobra.Command, cfg *config.Config, text *inputSpool, noSocket error) error {
	hostname, domain, err := names(cfg)
	if err != nil {
		return sysexits.TempFail.With(err)
	}
	m := a.mail()
	if m.Text, err = text.reader(); err != nil {
		return sysexits.TempFail.With(err)
	}
	var full inputSpool
	defer full.close()
	c, err := incoming.Compose(&full, m, hostname, domain)
	if err != nil {
		return submitError(err)
	}
	in, err := full.reader()
	if err != nil {
		return sysexits.TempFail.With(err)
	}
	host := &client.Host{Addr: smtpAddress(cfg), Security: client.Clear}
	refusals, err := client.Submit(cmd.Context(), host, client.Envelope{From: c.Sender, To: c.Recipients, Size: c.Size, UTF8: c.UTF8, EightBit: c.EightBit}, in)
	if err != nil && len(refusals) == 0 {
		return sysexits.TempFail.With(fmt.Errorf("no server takes mail on this host: start it with \"postrider serve\", or set server.mail_socket (%w; SMTP: %w)", noSocket, err))
	}
	if len(refusals) == 0 {
		return nil
	}
	code, errs := sysexits.TempFail, []error{}
	for _, r := range refusals {
		if !r.Temporary {
			code = sysexits.NoUser
		}
		errs = append(errs, fmt.Errorf("%s: %s", r.To, r.Reply))
	}
	if len(refusals) == len(c.Recipients) {
		return code.With(errors.Join(append(errs, errors.New("nothing was sent"))...))
	}
	if c.Sender != "" && a.tell(cmd, host, hostname, &c, refusals, &full) == nil {
		return nil // a program that repeats the command would send a second copy
	}
	return code.With(errors.Join(append(errs, errors.New("the other recipients have the message"))...))
}

// names are the host's name and the domain of addresses without one.
func names(cfg *config.Config) (hostname, domain string, err error) {
	if cfg != nil {
		return cfg.Server.Hostname, cfg.DefaultDomain(), nil
	}
	hostname, err = os.Hostname()
	return hostname, hostname, err
}

// tell mails the sender which recipients were refused.
func (a *arguments) tell(cmd *cobra.Command, host *client.Host, hostname string, c *incoming.Composed, refusals []client.Refusal, full *inputSpool) error {
	text, err := full.reader()
	if err != nil {
		return err
	}
	start, err := io.ReadAll(io.LimitReader(text, 64<<10))
	if err != nil {
		return err
	}
	now := time.Now()
	r := &dsn.Report{
		ReportingMTA: hostname, To: c.Sender, Now: now, MessageID: fmt.Sprintf("%d.%d@%s", now.UnixNano(), os.Getpid(), hostname),
		Arrival: now, UTF8: c.UTF8, Original: dsn.HeaderOf(start),
	}
	for _, refused := range refusals {
		r.Recipients = append(r.Recipients, dsn.Recipient{Final: refused.To, Action: dsn.Failure, RemoteMTA: host.Addr, Diagnostic: refused.Reply, DiagnosticType: dsn.TypeSMTP, LastAttempt: now})
	}
	var report inputSpool
	defer report.close()
	if _, err := report.Write(dsn.Append(nil, r)); err != nil {
		return err
	}
	in, err := report.reader()
	if err != nil {
		return err
	}
	again, err := client.Submit(cmd.Context(), host, client.Envelope{To: []string{c.Sender}, UTF8: r.NeedsUTF8(), EightBit: true}, in)
	if err == nil && len(again) > 0 {
		err = errors.New(again[0].Reply)
	}
	return err
}
