package mail

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/engine/client"
	"postrider/engine/mail/transfer"
)

func fetchCommand() *cobra.Command {
	var c correspondent
	var format, out string
	var raw, remove, keep, overwrite bool
	cmd := &cobra.Command{
		Use:   "fetch [MESSAGE...] --format FORMAT --out DIR",
		Short: "Fetch messages into files",
		Long: `Fetch messages, all unless some are named, into files below DIR: text (for people),
text with --raw (whole messages), mbox, maildir or eml (one file a message). The files
have the form that "postrider export" writes.

Mail stays at the server, unless --delete is given: then it is deleted there once all of
it is on this disk, synced. A fetch with --delete never replaces an older fetch in the
same folder.`,
		Example: `  postrider mail fetch --format maildir --out backup
  postrider mail fetch --format mbox --out 2026-11-26 --delete`,
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := transfer.ParseFormat(format, raw)
			switch {
			case err != nil:
			case remove && keep:
				err = errors.New("--keep or --delete, not both")
			case remove && overwrite:
				err = errors.New("--delete with --overwrite could replace the only copy of mail: choose another folder")
			case out == "":
				err = errors.New("--out DIR is missing")
			}
			if err != nil {
				return sysexits.Usage.With(err)
			}
			if len(args) == 0 {
				args = []string{"all"}
				if c.byUID {
					return sysexits.Usage.With(errors.New("--uid: expected the unique-ids of messages"))
				}
			}
			return c.fetch(cmd, args, out, transfer.Options{Format: f, Overwrite: overwrite}, remove)
		},
	}
	f := cmd.Flags()
	f.StringVar(&format, "format", "mbox", "text, mbox, maildir or eml")
	f.BoolVar(&raw, "raw", false, "with text: whole messages, octet for octet")
	f.StringVar(&out, "out", "", "directory to write into; made if it does not exist")
	f.BoolVar(&keep, "keep", false, "leave the mail at the server (the default)")
	f.BoolVar(&remove, "delete", false, "delete fetched mail at the server")
	f.BoolVar(&overwrite, "overwrite", false, "replace an older fetch")
	return c.selecting(cmd)
}

func (c *correspondent) fetch(cmd *cobra.Command, args []string, out string, o transfer.Options, remove bool) error {
	account, err := c.pick()
	if err != nil {
		return err
	}
	whose := account.Owner()
	var n transfer.Count
	err = c.session(cmd.Context(), func(p *client.POP3) error {
		items, err := c.chosen(p, args)
		if err != nil {
			return err
		}
		b := workspace.NewBar(cmd, whose.Name, int64(len(items)))
		o.Progress = func(messages, _ int64) { b.Set(messages) }
		n, err = transfer.Export(cmd.Context(), p.Source(items), whose, out, o)
		b.Done()
		if err != nil {
			return err
		}
		if remove {
			return deleteAll(p, items)
		}
		return nil
	})
	if n.Messages > 0 && err != nil {
		err = fmt.Errorf("%w (what was fetched may be in %s)", err, out)
	}
	if err == nil {
		fmt.Fprintf(cmd.OutOrStdout(), "%d messages, %d octets in %s\n", n.Messages, n.Octets, transfer.FileName(whose, o))
	}
	return err
}
