package mail

import (
	"context"
	"errors"
	"fmt"
	"net/mail"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/engine/client"
)

func accountCommand() *cobra.Command {
	return workspace.Group("account", "Add, list, try and remove the accounts of the mail client",
		accountAdd(), accountList(), accountTry(), accountRemove())
}

func accountAdd() *cobra.Command {
	var c correspondent
	var a client.Account
	var fromStdin, byDefault, replace bool
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Add an account: its servers, address and login",
		Long: `Add an account to the file of accounts, which only its owner can read: the password
is in it. Security is tls (from the start), starttls (STLS and STARTTLS, never without)
or none; the default is tls at the ports 995 and 465, else starttls. Without TLS only
this host is connected to. A certificate that a server has signed itself is trusted on
this host only.`,
		Example: `  postrider mail account add home --from "Jane <jane@example.org>" --user jane \
      --pop3 pop.example.org:995 --smtp smtp.example.org:587`,
		Args: workspace.Exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			all, file, err := c.accounts()
			if err != nil {
				return err
			}
			if all.Account[args[0]] != nil && !replace {
				return sysexits.CantCreate.With(fmt.Errorf("the account %s exists already: use --replace", args[0]))
			}
			if err := complete(&a); err != nil {
				return sysexits.Usage.With(err)
			}
			if a.User != "" {
				word, err := workspace.ReadPassword(cmd, fromStdin, a.User)
				if err != nil {
					return err
				}
				a.Password = string(word)
			}
			all.Account[args[0]] = &a
			if byDefault {
				all.Default = args[0]
			}
			if err := all.Save(file); err != nil {
				return sysexits.CantCreate.With(err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "added %s to %s\n", args[0], file)
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&a.From, "from", "", "sender of mail: an address, with a name or without")
	f.StringVar(&a.User, "user", "", "name to log in with (default: no login)")
	f.StringVar(&a.POP3, "pop3", "", "HOST:PORT of the POP3 server")
	f.StringVar((*string)(&a.POP3Security), "pop3-security", "", "tls, starttls or none")
	f.StringVar(&a.SMTP, "smtp", "", "HOST:PORT of the SMTP server")
	f.StringVar((*string)(&a.SMTPSecurity), "smtp-security", "", "tls, starttls or none")
	f.StringVar(&a.CAFile, "ca-file", "", "PEM file of the authorities to trust, in place of the system's")
	f.BoolVar(&a.AnyCertificate, "any-certificate", false, "trust any certificate: password and mail can be read on the way")
	f.BoolVar(&a.ClearText, "clear-text", false, "allow security none with other hosts: password and mail can be read on the way")
	f.BoolVar(&fromStdin, "password-stdin", false, "read the password from the standard input, one line")
	f.BoolVar(&byDefault, "default", false, "use this account unless another one is named")
	f.BoolVar(&replace, "replace", false, "replace an account with that name")
	return c.flags(cmd)
}

// complete checks an account that is to be added.
func complete(a *client.Account) error {
	if _, err := mail.ParseAddress(a.From); err != nil {
		return fmt.Errorf("--from %q: expected an address, such as \"Jane <jane@example.org>\" or jane@example.org: %w", a.From, err)
	}
	if a.POP3 == "" && a.SMTP == "" {
		return errors.New("the account has no server: use --pop3 or --smtp")
	}
	if a.POP3 != "" {
		if _, err := a.Maildrop(); err != nil {
			return err
		}
	}
	if a.SMTP != "" {
		if _, err := a.Submission(); err != nil {
			return err
		}
	}
	for _, s := range []client.Security{a.POP3Security, a.SMTPSecurity} {
		switch s {
		case "", client.TLS, client.StartTLS, client.Clear:
		default:
			return fmt.Errorf("unknown security %q: expected tls, starttls or none", s)
		}
	}
	return nil
}

func accountList() *cobra.Command {
	var c correspondent
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the accounts, without their passwords",
		Example: "  postrider mail account list --json",
		Args:    workspace.Exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, _, err := c.accounts()
			if err != nil {
				return err
			}
			if asJSON {
				return workspace.PrintJSON(cmd.OutOrStdout(), all.Account)
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 8, 2, ' ', 0)
			fmt.Fprintln(w, "NAME\tFROM\tUSER\tPOP3\tSMTP")
			for _, name := range all.Names() {
				a := all.Account[name]
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", name, a.From, a.User, a.POP3, a.SMTP)
			}
			return w.Flush()
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c.flags(cmd)
}

func accountRemove() *cobra.Command {
	var c correspondent
	cmd := &cobra.Command{
		Use:     "remove NAME",
		Short:   "Forget an account; its mail stays where it is",
		Example: "  postrider mail account remove home",
		Args:    workspace.Exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			all, file, err := c.accounts()
			if err != nil {
				return err
			}
			if all.Account[args[0]] == nil {
				return sysexits.NoUser.With(fmt.Errorf("no account %s", args[0]))
			}
			delete(all.Account, args[0])
			if all.Default == args[0] {
				all.Default = ""
			}
			return sysexits.CantCreate.With(all.Save(file))
		},
	}
	return c.flags(cmd)
}

// trial is how it went to log in at a server.
type trial struct {
	Server   string `json:"server"`
	How      string `json:"how,omitempty"`
	Messages *int   `json:"messages,omitempty"` // that wait there, of POP3
	Error    string `json:"error,omitempty"`
}

func accountTry() *cobra.Command {
	var c correspondent
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "try [NAME]",
		Short:   "Log in at the servers of an account, and report the result",
		Long:    "Log in at the servers of an account, and report the result. Nothing is sent or deleted.",
		Example: "  postrider mail account try home",
		Args:    workspace.AtMost(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				c.account = args[0]
			}
			account, err := c.pick()
			if err != nil {
				return err
			}
			trials, err := tryServers(cmd.Context(), account)
			if asJSON {
				return errors.Join(err, workspace.PrintJSON(cmd.OutOrStdout(), trials))
			}
			for _, t := range trials {
				if t.Messages != nil {
					t.How += fmt.Sprintf(", %d messages", *t.Messages)
				}
				if t.Error == "" {
					fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", t.Server, t.How)
				}
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c.flags(cmd)
}

func tryServers(ctx context.Context, a *client.Account) (trials []trial, err error) {
	add := func(t trial, one error) {
		if one != nil {
			t.Error = one.Error()
			err = errors.Join(err, hostError(one))
		}
		trials = append(trials, t)
	}
	if a.POP3 != "" {
		how, messages, one := tryMaildrop(ctx, a)
		add(trial{Server: a.POP3, How: how, Messages: messages}, one)
	}
	if a.SMTP != "" {
		host, one := a.Submission()
		t := trial{Server: a.SMTP}
		if one == nil {
			t.How, one = client.TrySubmission(ctx, host)
		}
		add(t, one)
	}
	return trials, err
}

func tryMaildrop(ctx context.Context, a *client.Account) (how string, messages *int, err error) {
	host, err := a.Maildrop()
	if err != nil {
		return "", nil, err
	}
	p, err := client.OpenPOP3(ctx, host)
	if err != nil {
		return "", nil, err
	}
	items, err := p.List()
	if err != nil {
		p.Abandon()
		return "", nil, err
	}
	n := len(items)
	return p.How, &n, p.Quit()
}
