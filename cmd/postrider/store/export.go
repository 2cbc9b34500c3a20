package store

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/engine/client"
	"postrider/engine/mail/transfer"
	"postrider/storage"
)

// ExportCommand is "postrider export".
func ExportCommand() *cobra.Command {
	var t workspace.Target
	var all, raw, overwrite bool
	var format, out string
	cmd := &cobra.Command{
		Use:   "export (NAME[@DOMAIN]... | --all) --format FORMAT --out DIR",
		Short: "Write mail into files",
		Long: `Write the current mail of accounts into files below DIR. The accounts may be in use
meanwhile. Formats: text (for people), text with --raw (whole messages),
mbox, maildir, eml (one file a message).`,
		Example: `  postrider export alice --format mbox --out backup
  postrider export --all --format maildir --out backup`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if all == (len(args) > 0) {
				return sysexits.Usage.With(errors.New("expected either the names of accounts or --all"))
			}
			if out == "" {
				return sysexits.Usage.With(errors.New("--out DIR is missing"))
			}
			f, err := transfer.ParseFormat(format, raw)
			if err != nil {
				return sysexits.Usage.With(err)
			}
			return t.With(cmd.Context(), workspace.MustExist, func(ws *workspace.Workspace) error {
				accounts, err := chosenAccounts(ws, args)
				if err != nil {
					return err
				}
				if err := os.MkdirAll(out, 0o700); err != nil {
					return sysexits.CantCreate.With(err)
				}
				return exportAccounts(ws, cmd, accounts, out, transfer.Options{Format: f, Overwrite: overwrite})
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "every account")
	cmd.Flags().StringVar(&format, "format", "text", "text, mbox, maildir or eml")
	cmd.Flags().BoolVar(&raw, "raw", false, "with text: whole messages, octet for octet")
	cmd.Flags().StringVar(&out, "out", "", "directory to write into; made if it does not exist")
	cmd.Flags().BoolVar(&overwrite, "overwrite", false, "replace files of an older export")
	return t.Flags(cmd)
}

// chosenAccounts are the accounts of the names; without names, all.
func chosenAccounts(ws *workspace.Workspace, names []string) (accounts []storage.Account, err error) {
	if len(names) == 0 {
		err := ws.Accounts(func(a storage.Account) bool {
			accounts = append(accounts, a)
			return true
		})
		return accounts, err
	}
	for _, name := range names {
		a, err := ws.AccountNamed(name)
		if err != nil {
			return nil, err
		}
		accounts = append(accounts, a)
	}
	return accounts, nil
}

// exportAccounts writes the accounts one after the other. A fault in one account does
// not stop the others.
func exportAccounts(ws *workspace.Workspace, cmd *cobra.Command, accounts []storage.Account, out string, o transfer.Options) error {
	o.DefaultDomain = ws.Config.DefaultDomain()
	var errs []error
	for _, a := range accounts {
		total, _, err := ws.Usage(a.ID)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", workspace.Mailbox(a), err))
			continue
		}
		b := workspace.NewBar(cmd, workspace.Mailbox(a), total)
		o.Progress = func(messages, _ int64) { b.Set(messages) }
		n, err := transfer.Export(cmd.Context(), ws, a, out, o)
		b.Done()
		if err != nil {
			errs = append(errs, workspace.IOError(fmt.Errorf("%s: %w", workspace.Mailbox(a), err)))
			if cmd.Context().Err() != nil {
				break
			}
			continue
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s: %d messages, %d octets in %s\n", workspace.Mailbox(a), n.Messages, n.Octets, transfer.FileName(a, o))
	}
	return errors.Join(errs...)
}

// importError gives an error of an import its code.
func importError(err error) error {
	if err != nil && workspace.ExitCode(err) == sysexits.Usage && errors.Is(err, transfer.ErrData) {
		return sysexits.DataErr.With(err)
	}
	return workspace.IOError(err)
}

// ImportCommand is "postrider import".
func ImportCommand() *cobra.Command {
	var t workspace.Target
	var raw bool
	var format string
	cmd := &cobra.Command{
		Use:   "import NAME[@DOMAIN] --format FORMAT PATH",
		Short: "Read mail from files into an account",
		Long: `Read mail in one of the formats of "export" from PATH into an account, after the
mail that it has, in the order of the file. A Maildir is read in the order of
dovecot-uidlist, or of the times in the names; eml files by their times and then by
their names. Files compressed with gzip, zstd or bzip2 are unpacked. Skipped items
are reported: deleted mail, subfolders, links. Files that are not messages are
reported too, all others are imported, and the exit code is 65. Importing twice
stores everything twice.`,
		Example: `  postrider import alice --format mbox /var/mail/alice
  postrider import alice --format maildir ~alice/Maildir`,
		Args: workspace.Exactly(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := transfer.ParseFormat(format, raw)
			if err != nil {
				return sysexits.Usage.With(err)
			}
			return t.With(cmd.Context(), workspace.MustExist, func(ws *workspace.Workspace) error {
				a, err := ws.AccountNamed(args[0])
				if err != nil {
					return err
				}
				b := workspace.NewBar(cmd, workspace.Mailbox(a), -1)
				n, err := transfer.Import(cmd.Context(), ws, a, args[1], transfer.Options{
					Format: f, DefaultDomain: ws.Config.DefaultDomain(),
					Progress: func(messages, _ int64) { b.Set(messages) },
				})
				b.Done()
				for _, p := range n.Passed {
					if !p.Wrong { // else it is in err
						fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s\n", workspace.Mailbox(a), client.Printable(p.String()))
					}
				}
				if n.Messages > 0 || err == nil {
					fmt.Fprintf(cmd.OutOrStdout(), "%s: %d messages, %d octets\n", workspace.Mailbox(a), n.Messages, n.Octets)
				}
				return importError(err)
			})
		},
	}
	cmd.Flags().StringVar(&format, "format", "", "text, mbox, maildir or eml")
	cmd.Flags().BoolVar(&raw, "raw", false, "with text: whole messages, octet for octet")
	return t.Flags(cmd)
}
