package store

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/engine/client"
	"postrider/engine/mail/transfer"
	"postrider/storage"
)

// pullFlags are the flags of pull.
type pullFlags struct {
	host      client.Account
	fromStdin bool
	without   bool
}

// PullCommand is "postrider pull".
func PullCommand() *cobra.Command {
	var t workspace.Target
	var f pullFlags
	cmd := &cobra.Command{
		Use:   "pull NAME[@DOMAIN] --from HOST:PORT --user USER",
		Short: "Fetch an account's mail from another POP3 server",
		Long: `Fetch the mail of an account from another POP3 server, in its order, with the unique-ids
(UIDL) by which its clients know it. The mail stays there. What the account has already is
not fetched: after an interruption, or for mail that has come since, use the same command
again.

Security is tls (from the start; the default at port 995), starttls (the default at other
ports) or none. Without TLS only this host is connected to, unless --clear-text is given.`,
		Example: `  postrider pull alice --from pop.old.example:995 --user alice@old.example
  postrider pull alice --from 127.0.0.1:110 --security none --user alice --password-stdin <secret`,
		Args: workspace.Exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.host.POP3 == "" || f.host.User == "" {
				return sysexits.Usage.With(errors.New("--from HOST:PORT and --user USER are needed"))
			}
			h, err := f.host.Maildrop()
			if err != nil {
				return sysexits.Usage.With(err)
			}
			return t.With(cmd.Context(), workspace.MustExist, func(ws *workspace.Workspace) error {
				a, err := ws.AccountNamed(args[0])
				if err != nil {
					return err
				}
				word, err := workspace.AskPassword(cmd, f.fromStdin, f.host.User)
				if err != nil {
					return err
				}
				h.Password = string(word)
				return f.pull(cmd, ws, a, h)
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.host.POP3, "from", "", "HOST:PORT of the other server")
	flags.StringVar(&f.host.User, "user", "", "name to log in with there")
	flags.StringVar((*string)(&f.host.POP3Security), "security", "", "tls, starttls or none")
	flags.StringVar(&f.host.CAFile, "ca-file", "", "PEM file of the authorities to trust, in place of the system's")
	flags.BoolVar(&f.host.AnyCertificate, "any-certificate", false, "trust any certificate: password and mail can be read on the way")
	flags.BoolVar(&f.host.ClearText, "clear-text", false, "allow security none with other hosts: password and mail can be read on the way")
	flags.BoolVar(&f.fromStdin, "password-stdin", false, "read the password from the standard input, one line")
	flags.BoolVar(&f.without, "without-uidl", false, "fetch also what has no valid unique-id there; each call fetches it again")
	return t.Flags(cmd)
}

// pull fetches what the account does not have.
func (f *pullFlags) pull(cmd *cobra.Command, ws *workspace.Workspace, a storage.Account, h *client.Host) error {
	have, err := uidlsOf(cmd.Context(), ws, a.ID)
	if err != nil {
		return err
	}
	p, err := client.OpenPOP3(cmd.Context(), h)
	switch {
	case errors.Is(err, client.ErrRefused):
		return sysexits.NoPerm.With(err)
	case err != nil:
		return sysexits.Unavailable.With(err)
	}
	defer p.Abandon() // whatever goes wrong: the other server then gives the maildrop free
	items, err := p.List()
	if err != nil {
		return sysexits.Unavailable.With(err)
	}
	missing, err := f.missing(items, have)
	if err != nil {
		return err
	}
	in, closeInbox, err := inbox(cmd.Context(), ws)
	if err != nil {
		return err
	}
	defer closeInbox()
	b := workspace.NewBar(cmd, workspace.Mailbox(a), int64(len(missing)))
	v, err := p.Source(missing).View(a.ID)
	if err != nil {
		return err
	}
	from := &pulled{View: v}
	n, err := transfer.Copy(cmd.Context(), in, a, from, transfer.Options{Progress: func(messages, _ int64) { b.Set(messages) }})
	b.Done()
	printResult(cmd, a, n, err)
	if skipped := len(items) - len(missing); skipped > 0 {
		fmt.Fprintf(cmd.OutOrStdout(), "%s: %d messages were here before\n", workspace.Mailbox(a), skipped)
	}
	if err != nil {
		return importError(err)
	}
	err = p.Quit()
	if from.refused > 0 {
		return sysexits.DataErr.With(fmt.Errorf("the other server did not give %d messages: %s", from.refused, strings.Join(from.why, "; ")))
	}
	return sysexits.Unavailable.With(err)
}

// missing are the items that the account does not have.
func (f *pullFlags) missing(items []client.Item, have map[string]storage.MessageID) (missing []client.Item, err error) {
	without := 0
	for _, it := range items {
		if !storage.ValidUIDL(it.UID) {
			without++
		}
		if _, ok := have[it.UID]; !ok {
			missing = append(missing, it)
		}
	}
	if without > 0 && !f.without {
		return nil, sysexits.DataErr.With(fmt.Errorf("the other server has no valid unique-id for %d of %d messages: clients know these by other means, and may fetch them again; --without-uidl fetches them", without, len(items)))
	}
	return missing, nil
}

// pulled is the maildrop of another server without the messages that it refuses to give.
type pulled struct {
	storage.View
	message storage.Message
	err     error
	refused int
	why     []string // the first replies
}

// maxReasons is how many replies of a server that refuses messages are kept.
const maxReasons = 10

// Next implements storage.View.
func (p *pulled) Next() bool {
	for p.View.Next() {
		p.message, p.err = p.View.Open()
		if no, ok := errors.AsType[*client.Negative](p.err); ok {
			if p.refused++; p.refused <= maxReasons {
				p.why = append(p.why, no.Error())
			}
			continue
		}
		return true
	}
	return false
}

// Open implements storage.View.
func (p *pulled) Open() (storage.Message, error) { return p.message, p.err }
