package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/engine/client"
	"postrider/engine/mail/transfer"
	"postrider/storage"
)

// treeFlags are the flags of import-tree.
type treeFlags struct {
	pattern, journal, report string
	workers                  int
	again, gone              bool
	uidls                    uidlFlags
}

// ImportTreeCommand is "postrider import-tree".
func ImportTreeCommand() *cobra.Command {
	var t workspace.Target
	var f treeFlags
	cmd := &cobra.Command{
		Use:   "import-tree ROOT",
		Short: "Read the Maildirs of many accounts",
		Long: `Read all Maildirs below ROOT into the accounts that the pattern names, several at a time,
each as "import --format maildir" does: with their unique-ids and in their order. %n is the
local part of the account's address, %d its domain, %u the whole address, %1n the first
character of the local part, and * is anything. Make the accounts first ("account import").

Maildirs that were imported are noted in a journal. After an interruption the same command
goes on where it was; with --again it reads only the mail that has come since, so that a
large tree can be moved while the old server is still in use. Nothing is stored twice. With
--delete-gone too, messages that came with a unique-id, and that are not in the Maildir any
more because a client has fetched and deleted them, are deleted here.

The report has a line for all that was skipped, but not for messages that are here already.
What fails in one Maildir does not stop the others; the
exit code is then 65, and the same command tries those again.`,
		Example: `  postrider import-tree /var/vmail --pattern %d/%n/Maildir
  postrider import-tree /home --pattern %n/Maildir --uidl-format %v.%u
  postrider import-tree /var/vmail --pattern %d/%n/Maildir --again --delete-gone`,
		Args: workspace.Exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := transfer.ParsePattern(f.pattern)
			switch {
			case err != nil:
			case f.workers < 1 || f.workers > 64:
				err = errors.New("--parallel takes 1 to 64")
			case f.gone && !f.again:
				err = errors.New("--delete-gone needs --again")
			case f.gone && f.uidls.fields:
				err = errors.New("--delete-gone does not go with --x-uidl: what is gone is known by the lists of Maildirs")
			}
			if err != nil {
				return sysexits.Usage.With(err)
			}
			uidls, err := f.uidls.read()
			if err != nil {
				return err
			}
			root, err := filepath.Abs(args[0])
			if err != nil {
				return sysexits.NoInput.With(err)
			}
			return t.With(cmd.Context(), workspace.MustExist, func(ws *workspace.Workspace) error {
				return f.run(cmd, ws, &transfer.Tree{Root: root, Pattern: p, Workers: f.workers, Again: f.again,
					Options: transfer.Options{DefaultDomain: ws.Config.DefaultDomain(), UIDLs: uidls}})
			})
		},
	}
	cmd.Flags().StringVar(&f.pattern, "pattern", "%d/%n/Maildir", "where the Maildirs are below ROOT")
	cmd.Flags().StringVar(&f.journal, "journal", "import-tree.journal", "file that has what was imported")
	cmd.Flags().StringVar(&f.report, "report", "", "write what was skipped into this file, whole")
	workspace.NumberVar(cmd.Flags(), &f.workers, "parallel", "", max(4, 2*runtime.NumCPU()), "Maildirs that are read at a time")
	cmd.Flags().BoolVar(&f.again, "again", false, "read new mail of Maildirs that were imported before")
	cmd.Flags().BoolVar(&f.gone, "delete-gone", false, "with --again: delete messages that are not in their Maildirs any more")
	f.uidls.flags(cmd)
	return t.Flags(cmd)
}

// run imports the tree.
func (f *treeFlags) run(cmd *cobra.Command, ws *workspace.Workspace, t *transfer.Tree) (err error) {
	if _, err := os.Stat(t.Root); err != nil {
		return sysexits.NoInput.With(err)
	}
	t.Journal, err = transfer.OpenJournal(f.journal, t.Root, t.Pattern)
	switch {
	case errors.Is(err, transfer.ErrJournalInUse):
		return sysexits.TempFail.With(err)
	case err != nil:
		return sysexits.CantCreate.With(err)
	}
	defer func() { err = errors.Join(err, sysexits.IOErr.With(t.Journal.Close())) }()
	if f.report != "" {
		file, err := os.Create(f.report)
		if err != nil {
			return sysexits.CantCreate.With(err)
		}
		defer file.Close()
		t.Report = file
	}
	t.NewInbox = func() (storage.Inbox, func(), error) { return inbox(cmd.Context(), ws) }
	t.Account = func(m transfer.Mailbox) (storage.Account, error) { return accountOf(ws, m) }
	t.Have = func(id storage.AccountID) (map[string]storage.MessageID, error) {
		return uidlsOf(cmd.Context(), ws, id)
	}
	t.Change = ws.ChangeUIDL
	if f.gone {
		t.Remove = ws.Remove
	}
	b, listing := workspace.NewBar(cmd, "looking for Maildirs", -1), true
	t.Listed = b.Set
	t.Progress = func(n transfer.TreeCount) {
		if listing {
			b.Done()
			b, listing = workspace.NewBar(cmd, "Maildirs", n.Found), false
		}
		b.Set(n.Done + n.Before + n.NoAccount + n.Failed)
	}
	begin := time.Now()
	n, err := transfer.ImportTree(cmd.Context(), t)
	b.Done()
	printTree(cmd, n, time.Since(begin))
	if cmd.Context().Err() != nil {
		return sysexits.TempFail.With(errors.New("interrupted: the same command goes on where it was"))
	}
	return importError(err)
}

// accountOf is the account of a Maildir: storage.ErrNotFound if there is none.
func accountOf(ws *workspace.Workspace, m transfer.Mailbox) (storage.Account, error) {
	a, err := ws.AccountNamed(m.String())
	if err != nil && workspace.ExitCode(err) == sysexits.NoUser {
		err = errors.Join(storage.ErrNotFound, err)
	}
	return a, err
}

// printTree prints what an import of a tree did.
func printTree(cmd *cobra.Command, n transfer.TreeResult, took time.Duration) {
	for _, p := range n.Passed {
		if !p.Wrong() {
			fmt.Fprintln(cmd.ErrOrStderr(), client.Printable(p.String()))
		}
	}
	text := fmt.Sprintf("%d Maildirs, %d messages, %d octets in %s (%.0f messages/s)", n.Done, n.Messages, n.Octets,
		took.Round(100*time.Millisecond), float64(n.Messages)/max(took.Seconds(), 0.001))
	if n.Before > 0 {
		text += fmt.Sprintf("; %d Maildirs were imported before", n.Before)
	}
	if left := n.Found - n.Done - n.Before; left > 0 {
		text += fmt.Sprintf("; %d are left", left)
	}
	fmt.Fprintln(cmd.OutOrStdout(), text)
}

// uidlsOf are an account's messages by their unique-ids.
func uidlsOf(ctx context.Context, ws *workspace.Workspace, id storage.AccountID) (map[string]storage.MessageID, error) {
	have := make(map[string]storage.MessageID)
	err := ws.EachEntry(id, func(e storage.Entry) bool {
		have[string(e.AppendUIDL(nil))] = e.ID
		return ctx.Err() == nil
	})
	return have, errors.Join(err, ctx.Err())
}
