package store

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/engine/host/disk"
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
mbox, maildir, eml (one file a message). Text with --raw, maildir and eml keep the
unique-ids by which POP3 clients know the messages; a Maildir has them in
dovecot-uidlist, so that Dovecot keeps them too.`,
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
				if err := disk.MkdirAll(out, 0o700); err != nil {
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
