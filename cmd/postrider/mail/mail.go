package mail

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/engine/client"
)

// Command is the mail client. It works with any server.
func Command() *cobra.Command {
	cmd := workspace.Group("mail", "Read and write mail, at any server",
		listCommand(), readCommand(), sendCommand(), saveCommand(), deleteCommand(), fetchCommand(), accountCommand())
	cmd.Long = `A mail client for the command line. It reads a maildrop by POP3 and sends by SMTP,
with any server, under TLS (from the start, or by STLS and STARTTLS) and with
SCRAM-SHA-256 if the server has it. Begin with "mail account add".

Messages are named by their number, as "mail list" shows it: 3, 5-7, or all. Numbers
change when mail is deleted, also by another client; with --uid messages are named by
the unique-ids that "mail list --json" shows, which don't change.

Exit codes: 64 usage, 65 damaged or no such message, 69 the server refuses or is not
there, 73 can't create, 75 try again, 77 the login was refused, 78 configuration.`
	cmd.Example = `  postrider mail account add home --from "Jane <jane@example.org>" --user jane \
      --pop3 pop.example.org:995 --smtp smtp.example.org:587
  postrider mail list
  postrider mail read 3
  postrider mail send --to bob@example.net --subject lunch --attach menu.pdf`
	return cmd
}

// correspondent is the flags that name the account that a command uses.
type correspondent struct {
	file, account string
	byUID         bool
}

// flags adds --mail-config and --account to cmd.
func (c *correspondent) flags(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().StringVar(&c.file, "mail-config", "", "file with the accounts (default: postrider/mail.toml in the folder for configuration, ~/.config)")
	cmd.Flags().StringVarP(&c.account, "account", "a", "", "account to use (default: the one added with --default, or the only one)")
	return cmd
}

// selecting adds --uid too.
func (c *correspondent) selecting(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().BoolVar(&c.byUID, "uid", false, "messages are named by unique-ids, not by numbers")
	return c.flags(cmd)
}

// accounts reads the file of accounts.
func (c *correspondent) accounts() (*client.Accounts, string, error) {
	file := c.file
	if file == "" {
		dir, err := os.UserConfigDir()
		if err != nil {
			return nil, "", sysexits.Config.With(fmt.Errorf("%w: name the file with --mail-config", err))
		}
		file = filepath.Join(dir, "postrider", "mail.toml")
	}
	a, err := client.LoadAccounts(file)
	return a, file, sysexits.Config.With(err)
}

func (c *correspondent) pick() (*client.Account, error) {
	all, _, err := c.accounts()
	if err != nil {
		return nil, err
	}
	account, err := all.Pick(c.account)
	return account, sysexits.Config.With(err)
}

// session opens the maildrop and ends the session after do: by QUIT, which deletes what
// was marked, if do has not failed.
func (c *correspondent) session(ctx context.Context, do func(p *client.POP3) error) error {
	account, err := c.pick()
	if err != nil {
		return err
	}
	host, err := account.Maildrop()
	if err != nil {
		return sysexits.Config.With(err)
	}
	p, err := client.OpenPOP3(ctx, host)
	if err != nil {
		return hostError(err)
	}
	if err := do(p); err != nil {
		p.Abandon()
		if ctx.Err() != nil {
			return sysexits.TempFail.With(ctx.Err())
		}
		return hostError(err)
	}
	if err := p.Quit(); err != nil {
		return hostError(fmt.Errorf("at the end of the session: %w; what was to be deleted may still be there", err))
	}
	return nil
}

// hostError gives an error that has no code of its own that of a server's.
func hostError(err error) error {
	switch {
	case err == nil || workspace.ExitCode(err) != sysexits.Usage:
		return err
	case errors.Is(err, client.ErrRefused):
		return sysexits.NoPerm.With(err)
	}
	return sysexits.Unavailable.With(err)
}

// chosen finds the messages that the arguments name, in the order of the maildrop, each
// once.
func (c *correspondent) chosen(p *client.POP3, args []string) ([]client.Item, error) {
	items, err := p.List()
	if err != nil {
		return nil, err
	}
	wanted := make([]bool, len(items))
	for _, arg := range args {
		if err := c.choose(items, wanted, arg); err != nil {
			return nil, sysexits.DataErr.With(err)
		}
	}
	var chosen []client.Item
	for i, it := range items {
		if wanted[i] {
			chosen = append(chosen, it)
		}
	}
	return chosen, nil
}

// choose marks what one argument names: N, N-M, all, or a unique-id.
func (c *correspondent) choose(items []client.Item, wanted []bool, arg string) error {
	if c.byUID {
		i := slices.IndexFunc(items, func(it client.Item) bool { return it.UID == arg })
		if i < 0 {
			return fmt.Errorf("no message has the unique-id %q", arg)
		}
		wanted[i] = true
		return nil
	}
	first, last, ok := numbers(arg)
	if !ok {
		return fmt.Errorf("%q is not a message: expected a number, N-M or all", arg)
	}
	found := false
	for i, it := range items {
		if first <= it.Number && it.Number <= last {
			wanted[i], found = true, true
		}
	}
	if !found && arg != "all" {
		return fmt.Errorf("no message %s: the maildrop has %d", arg, len(items))
	}
	return nil
}

// numbers reads N, N-M or all.
func numbers(arg string) (first, last int, ok bool) {
	if arg == "all" {
		return 1, int(^uint(0) >> 1), true
	}
	from, to, isRange := strings.Cut(arg, "-")
	first, err := strconv.Atoi(from)
	last = first
	if err == nil && isRange {
		last, err = strconv.Atoi(to)
	}
	return first, last, err == nil && 1 <= first && first <= last
}
