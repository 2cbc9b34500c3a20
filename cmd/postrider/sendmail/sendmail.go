package sendmail

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/user"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/engine/config"
	"postrider/engine/front/admin"
	"postrider/engine/front/localmail"
	"postrider/engine/host/history"
	"postrider/engine/mail/dkim"
	"postrider/engine/mail/incoming"
	"postrider/engine/mail/router"
)

// Others are the commands that sendmail does the work of.
type Others struct {
	List    func(*workspace.Workspace, io.Writer) error                                // -bp
	Flush   func(ws *workspace.Workspace, cmd *cobra.Command, id, domain string) error // -q
	Aliases func(*cobra.Command, *workspace.Target) error                              // -bi
}

// Command is "postrider sendmail".
func Command(others Others) *cobra.Command {
	return &cobra.Command{
		Use:   "sendmail [OPTION...] [RECIPIENT...]",
		Short: "Take a message from a program; also runs under the name sendmail",
		Long: `Take a message from the standard input, as sendmail does. It is stored before the
command ends: local recipients have it then, mail for other hosts is in the queue.

  -t            take recipients from To, Cc and Bcc too; Bcc is removed
  -i, -oi       a line with a "." alone is text, and does not end the message
  -f, -r ADDR   the sender, in place of the calling user; '<>': the null path
  -F NAME       the sender's full name, for a From field that is missing
  -N LIST       when to notify the sender: never, or success, failure and delay (RFC 3461)
  -R full|hdrs  how much of the message a notification returns
  -V ID         an envelope id for notifications
  -v            print the id of the stored message
  -bs           speak SMTP with the running server
  -bp           list the queue, as mailq
  -bv           print where mail for the recipients would go
  -bi           import /etc/aliases, as newaliases
  -q            flush the queue; -qI and an id: that message, -qR and a
                domain: the mail for that domain
  -C, --config  configuration file; default: $POSTRIDER_CONFIG, or
                /etc/postrider.toml if it is there
  --data DIR    the data directory

The running server gets the message at its socket for all users (server.mail_socket).
Without the socket root and the server's user put it into the store, and all others send
it by SMTP to the first address of smtp.listen. The sender is notified by mail of
recipients that failed.

Other options of sendmail are ignored. Exit codes: 64 usage, 65 the message or an
address is wrong, 67 no recipient exists, 75 try again later, 77 only root and the
server's user may do this.`,
		Example: `  postrider sendmail -t < message
  echo hello | sendmail -f alice@example.org bob@example.net
  sendmail -bv postmaster`,
		DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, words []string) error {
			args, err := parse(words)
			if err != nil {
				return err
			}
			if args.target.File == "" {
				args.target.File = workspace.SystemConfig()
			}
			err = args.run(cmd, &others)
			if errors.Is(err, fs.ErrPermission) && args.mode != modeDeliver {
				err = fmt.Errorf("%w; all users may submit mail with sendmail, with -t or recipients", err)
			}
			return err
		},
	}
}

func (a *arguments) run(cmd *cobra.Command, others *Others) error {
	switch a.mode {
	case modeHelp:
		return cmd.Help()
	case modeSMTP:
		return a.speak(cmd)
	case modeAliases:
		return others.Aliases(cmd, &a.target)
	case modeDeliver:
		return a.take(cmd)
	}
	return a.target.With(cmd.Context(), workspace.MustExist, func(ws *workspace.Workspace) error {
		switch a.mode {
		case modeList:
			return others.List(ws, cmd.OutOrStdout())
		case modeVerify:
			return verify(ws, cmd.OutOrStdout(), a.recipients)
		}
		return others.Flush(ws, cmd, a.flushID, a.flushTo)
	})
}

// deliver submits the message to the server that has the store open, or puts it into the
// store: also where the server takes nothing now at its socket for all users, and has stored
// nothing.
func (a *arguments) deliver(cmd *cobra.Command, ws *workspace.Workspace, text *inputSpool) error {
	if ws.Running() != nil {
		err := a.submit(cmd, ws.Config.LocalMailSocket(), text)
		_, refused := errors.AsType[errNotTaken](err)
		if !refused && !errors.Is(err, localmail.ErrNoServer) && !errors.Is(err, localmail.ErrForged) {
			return err
		}
	}
	m := a.mail()
	var err error
	if m.Text, err = text.reader(); err != nil {
		return sysexits.TempFail.With(err)
	}
	keys, err := dkim.Open(ws.Config.DKIMDir())
	if err != nil {
		return sysexits.Config.With(err)
	}
	p, err := entranceOf(ws)
	if err != nil {
		return err
	}
	p.Keys, m.Door = keys, "sendmail"
	if ws.Config.Log.History > 0 {
		p.History = history.Collector()
	}
	result, err := p.Submit(cmd.Context(), m)
	if events := p.History.Take(); len(events) > 0 {
		_ = ws.AddEvents(events) // the message is stored, with its history or without
	}
	if err != nil {
		return submitError(err)
	}
	if id := result.Receipt.ID(); a.verbose && id != 0 {
		fmt.Fprintf(cmd.OutOrStdout(), "stored as %s\n", id)
	}
	return refusedError(result)
}

// entranceOf is where mail comes into the store of a workspace.
func entranceOf(ws *workspace.Workspace) (*incoming.Entrance, error) {
	p := &incoming.Entrance{
		Inbox: ws, Router: ws.Router, Hostname: ws.Config.Server.Hostname, DefaultDomain: ws.Config.DefaultDomain(),
		MaxSize: ws.Config.SMTP.MaxSize, MaxRecipients: ws.Config.SMTP.MaxRecipients, MaxHops: ws.Config.SMTP.MaxHops,
	}
	if ws.Config.Capture.On {
		a, err := ws.AccountNamed(config.CaptureAccount)
		if err != nil {
			return nil, err
		}
		p.Capture = a.ID
	}
	return p, nil
}

// mail makes the message from the command line and the caller's account.
func (a *arguments) mail() (m incoming.Mail) {
	name := "nobody"
	if u, err := user.Current(); err == nil {
		name, m.FullName = u.Username, u.Name
	}
	m.Sender, m.FromHeader = name, a.fromHeader
	if a.sender != nil {
		m.Sender, m.FullName = *a.sender, "" // the name does not belong to another address
	}
	if a.fullName != "" {
		m.FullName = a.fullName
	}
	m.Recipients, m.Return = a.recipients, true
	m.Notify, m.Ret, m.EnvID = a.notify, a.ret, a.envID
	m.Local = fmt.Sprintf("userid %d", os.Getuid())
	m.Origin = fmt.Sprintf("userid %d (%s) by sendmail", os.Getuid(), name)
	return m
}

// submitError gives an error of a submission the exit code that callers of
// sendmail know.
func submitError(err error) error {
	if errors.Is(err, incoming.ErrNoRecipients) {
		return sysexits.Usage.With(err)
	}
	return workspace.IOError(err)
}

// refusedError names the recipients of a message that no recipient can get; nil: it was sent.
func refusedError(result incoming.Result) error {
	if len(result.Refused) == 0 {
		return nil
	}
	var errs []error
	for _, r := range result.Refused {
		errs = append(errs, fmt.Errorf("%s: %s", r.Address, outcomeName(r.Outcome)))
	}
	return sysexits.NoUser.With(errors.Join(append(errs, errors.New("nothing was sent"))...))
}

func outcomeName(o router.Outcome) string {
	switch o {
	case router.Loop:
		return "the alias leads only to itself, or to too many addresses"
	case router.ForwardLoop:
		return "mail forwarding loop: a Delivered-To field shows that the alias has forwarded this message before"
	}
	return "no such user here"
}

// verify prints for each address where its mail would go.
func verify(ws *workspace.Workspace, out io.Writer, addresses []string) error {
	if len(addresses) == 0 {
		return sysexits.Usage.With(errors.New("-bv: no addresses"))
	}
	rules, err := ws.Config.RelayRules()
	if err != nil {
		return sysexits.Config.With(err)
	}
	var unknown []error
	for _, text := range addresses {
		found, err := incoming.ParseList(text)
		if err != nil {
			return err
		}
		for _, address := range found {
			path, err := incoming.ParseRecipient(address, ws.Config.DefaultDomain())
			if err != nil {
				return err
			}
			targets, outcome := ws.Router.Route(path.Local(), path.Domain(), nil)
			switch outcome {
			case router.Local:
				fmt.Fprintf(out, "%s... deliverable: %s\n", path, maildropNames(ws, targets))
			case router.NotOurs:
				hop, rule := rules.NextHop(ws.Router.Domain(path.Domain()), "")
				fmt.Fprintf(out, "%s... deliverable: relayed to %s (%s)\n", path, hop, rule)
			default:
				unknown = append(unknown, fmt.Errorf("%s... %s", path, outcomeName(outcome)))
			}
		}
	}
	return sysexits.NoUser.With(errors.Join(unknown...))
}

// maildropNames are the accounts of targets, and the addresses elsewhere.
func maildropNames(ws *workspace.Workspace, targets []router.Target) string {
	var names []string
	for _, t := range targets {
		if t.Remote != "" {
			names = append(names, t.Remote)
		} else if a, err := ws.Account(t.Account); err == nil {
			names = append(names, "maildrop "+workspace.Mailbox(a))
		}
	}
	return strings.Join(names, ", ")
}

// speak connects the caller with the running server's SMTP.
func (a *arguments) speak(cmd *cobra.Command) error {
	cfg, err := a.target.Config()
	if errors.Is(err, fs.ErrPermission) {
		return a.connect(cmd, smtpAddress(nil))
	}
	if err != nil {
		return err
	}
	server, err := admin.Dial(cmd.Context(), workspace.AdminSocket(cfg))
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) && a.target == (workspace.Target{}) {
		return a.connect(cmd, smtpAddress(cfg))
	}
	if err != nil {
		return sysexits.TempFail.With(fmt.Errorf("-bs: no server runs on %s: start it with \"postrider serve\" (%w)", cfg.Server.Data, err))
	}
	defer server.Close()
	status, err := server.Status(cmd.Context())
	if err == nil && len(status.SMTP) == 0 {
		err = errors.New("the server listens on no address (smtp.listen)")
	}
	if err != nil {
		return sysexits.TempFail.With(fmt.Errorf("-bs: %w", err))
	}
	return a.connect(cmd, status.SMTP[0])
}

// connect lets the caller speak with the server at addr.
func (a *arguments) connect(cmd *cobra.Command, addr string) error {
	err := connect(cmd.Context(), addr, cmd.InOrStdin(), cmd.OutOrStdout())
	if errors.Is(err, syscall.ECONNREFUSED) {
		err = fmt.Errorf("%w: no server listens on %s: start it with \"postrider serve\"", err, addr)
	}
	return sysexits.TempFail.With(err)
}

// connect carries octets both ways until the server ends the session. The end of
// in is passed on: the server finishes what it was sent.
func connect(ctx context.Context, addr string, in io.Reader, out io.Writer) error {
	var dialer net.Dialer
	c, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("-bs: %w", err)
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	go func() {
		_, _ = io.Copy(c, in) // what fails here shows at the other end
		_ = c.(*net.TCPConn).CloseWrite()
	}()
	if _, err := io.Copy(out, c); err != nil {
		return fmt.Errorf("-bs: %w", err)
	}
	return nil
}
