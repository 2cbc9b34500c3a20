package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/codec/uidlist"
	"postrider/engine/client"
	"postrider/engine/mail/transfer"
	"postrider/storage"
)

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
	var u uidlFlags
	cmd := &cobra.Command{
		Use:   "import NAME[@DOMAIN] --format FORMAT PATH",
		Short: "Read mail from files into an account",
		Long: `Read mail in one of the formats of "export" from PATH into an account, after the
mail that it has, in the order of the file. Files compressed with gzip, zstd or bzip2 are
unpacked. Skipped items are reported: deleted mail, subfolders, links. Files that are not
messages are reported too, all others are imported, and the exit code is 65.

Messages keep the unique-ids (UIDL) by which POP3 clients know them, so that no client
fetches them again. Those of a Maildir are in dovecot-uidlist, for --uidl-format the
pop3_uidl_format of that Dovecot, or in Courier's courierpop3dsizelist; where there is no
list, the names of the files are taken, as qmail does. Those of an mbox file are in X-UIDL
fields; --x-uidl takes these in other formats too, as Dovecot's pop3_reuse_xuidl = yes does.
--uidl-map FILE has those of other servers, on each line the name of a file, or the number
of a message in a file of many, a space, and the unique-id.

A Maildir is read in the order of the list, what is not in it last, by the times in the
names; eml files by their times and then by their names. A message that the account has
already, with the same unique-id and the same octets, is skipped: importing a Maildir again
stores what has come since. Messages without a unique-id are stored again.`,
		Example: `  postrider import alice --format mbox /var/mail/alice
  postrider import alice --format maildir ~alice/Maildir
  postrider import alice --format maildir --uidl-format %v.%u ~alice/Maildir`,
		Args: workspace.Exactly(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := transfer.ParseFormat(format, raw)
			if err != nil {
				return sysexits.Usage.With(err)
			}
			uidls, err := u.read()
			if err != nil {
				return err
			}
			return t.With(cmd.Context(), workspace.MustExist, func(ws *workspace.Workspace) error {
				a, err := ws.AccountNamed(args[0])
				if err != nil {
					return err
				}
				in, closeInbox, err := inbox(cmd.Context(), ws)
				if err != nil {
					return err
				}
				defer closeInbox()
				b := workspace.NewBar(cmd, workspace.Mailbox(a), -1)
				n, err := transfer.Import(cmd.Context(), in, a, args[1], transfer.Options{
					Format: f, DefaultDomain: ws.Config.DefaultDomain(), UIDLs: uidls,
					Progress: func(messages, _ int64) { b.Set(messages) },
				})
				b.Done()
				printResult(cmd, a, n, err)
				return importError(err)
			})
		},
	}
	cmd.Flags().StringVar(&format, "format", "", "text, mbox, maildir or eml")
	cmd.Flags().BoolVar(&raw, "raw", false, "with text: whole messages, octet for octet")
	u.flags(cmd)
	u.mapFlag(cmd)
	return t.Flags(cmd)
}

// inbox is where an import stores messages: in a running server it waits for none of them.
func inbox(ctx context.Context, ws *workspace.Workspace) (in storage.Inbox, closeInbox func(), err error) {
	server := ws.Running()
	if server == nil {
		return ws, func() {}, nil
	}
	// After an interrupt what is under way is still confirmed; a second one ends the process.
	im, err := server.Importing(context.WithoutCancel(ctx))
	if err != nil {
		return nil, nil, err
	}
	return im, im.Close, nil
}

// printResult prints what an import did.
func printResult(cmd *cobra.Command, a storage.Account, n transfer.Result, err error) {
	for _, p := range n.Passed {
		if !p.Wrong() { // else it is in err
			fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s\n", workspace.Mailbox(a), client.Printable(p.String()))
		}
	}
	if n.Messages > 0 || err == nil {
		fmt.Fprintf(cmd.OutOrStdout(), "%s: %d messages, %d octets\n", workspace.Mailbox(a), n.Messages, n.Octets)
	}
}

// uidlFlags are the flags about unique-ids.
type uidlFlags struct {
	format, file string
	fields       bool
}

func (u *uidlFlags) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&u.format, "uidl-format", uidlist.DefaultFormat, "pop3_uidl_format of the Dovecot that the mail comes from")
	cmd.Flags().BoolVar(&u.fields, "x-uidl", false, "take unique-ids from X-UIDL fields, before those of the format")
}

func (u *uidlFlags) mapFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&u.file, "uidl-map", "", "file with unique-ids, by names of files or numbers of messages")
}

// read reads what the flags name.
func (u *uidlFlags) read() (to transfer.UIDLs, err error) {
	to.Fields = u.fields
	if to.Format, err = uidlist.ParseFormat(u.format); err != nil {
		return to, sysexits.Usage.With(err)
	}
	if u.file != "" {
		to.Map, err = transfer.ReadUIDLMap(u.file)
	}
	return to, importError(err)
}
