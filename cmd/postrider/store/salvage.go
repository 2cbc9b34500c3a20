package store

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/engine/config"
	"postrider/engine/host/disk"
	"postrider/engine/mail/transfer"
	"postrider/storage"
	"postrider/storage/lsm"
	"postrider/storage/lsm/backup"
)

// lossesFile is the list of losses in the directory of a salvage.
const lossesFile = "losses.txt"

// SalvageCommand is "postrider salvage".
func SalvageCommand() *cobra.Command {
	var t workspace.Target
	var out, format string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "salvage --out DIR",
		Short: "Get all that can be read out of a damaged store",
		Long: `Read the files of a store one by one, also of one that can't be opened, and write every
message that is whole into the new directory DIR, with a list of what is lost
(losses.txt). Nothing in the damaged store is changed; no server may run on it.

Formats: maildir, mbox or eml (each account's mail as files, and below queue the mail that
waits for other hosts, with its envelope); store (a new data directory with accounts,
passwords, ids and queue, and with the other files of the data directory: move it to the
place of the damaged one, and start the server).

Messages that lost their recipients are in the account lost-and-found; some of them may
have been deleted before, and some may be parts. Every body is compared with its checksums. Needs about 100
octets of memory for each message. Exit code 65 if something is lost.`,
		Example: `  postrider salvage --out rescued
  postrider salvage --format store --out /var/lib/postrider.new --data /var/lib/postrider`,
		Args: workspace.Exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if out == "" {
				return sysexits.Usage.With(errors.New("--out DIR is missing"))
			}
			var f transfer.Format
			if format != "store" {
				var err error
				if f, err = transfer.ParseFormat(format, false); err != nil || format == "text" {
					return sysexits.Usage.With(fmt.Errorf("--format %s: expected maildir, mbox, eml or store", format))
				}
			}
			cfg, err := t.Config()
			if err != nil {
				return err
			}
			s := &salvaging{cmd: cmd, cfg: cfg, out: out, format: f, asStore: format == "store", asJSON: asJSON}
			return s.run()
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "new directory to write into")
	cmd.Flags().StringVar(&format, "format", "maildir", "maildir, mbox, eml or store")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return t.Flags(cmd)
}

// salvaging is one run of the command.
type salvaging struct {
	cmd             *cobra.Command
	cfg             *config.Config
	out             string
	format          transfer.Format
	asStore, asJSON bool
	result          lsm.Salvaged
	losses          []faultLine
}

// run salvages into a directory that gets its name when it is complete.
func (s *salvaging) run() error {
	s.out = filepath.Clean(s.out)
	if err := outside(s.cfg.Server.Data, s.out); err != nil {
		return err
	}
	client, _, err := workspace.Server(s.cmd.Context(), s.cfg)
	if err != nil {
		return err
	}
	if client != nil {
		_ = client.Close()
		return sysexits.Unavailable.With(fmt.Errorf("a server runs on %s: stop it first; while it runs, \"postrider export\" writes the mail that it can read", s.cfg.Server.Data))
	}
	if names, err := os.ReadDir(s.out); len(names) > 0 || err != nil && !errors.Is(err, fs.ErrNotExist) {
		return sysexits.CantCreate.With(fmt.Errorf("%s is not empty, or not a directory: name a new directory", s.out))
	}
	owner, err := futureOwner(s.cfg)
	if err != nil {
		return err
	}
	defer privateFiles()()
	partial := s.out + ".partial"
	if err := errors.Join(os.RemoveAll(partial), disk.MkdirAll(partial, 0o700)); err != nil {
		return sysexits.CantCreate.With(err)
	}
	if err := s.write(partial); err != nil {
		_ = os.RemoveAll(partial)
		return workspace.IOError(fmt.Errorf("nothing was salvaged: %w", err))
	}
	if s.asStore {
		err = filepath.WalkDir(partial, func(path string, _ os.DirEntry, err error) error { return errors.Join(err, owner(path)) })
	}
	if err = errors.Join(err, disk.SyncTree(partial)); err != nil {
		return sysexits.CantCreate.With(err)
	}
	_ = os.Remove(s.out) // an empty directory
	if err = disk.Rename(partial, s.out); err != nil {
		return sysexits.CantCreate.With(err)
	}
	return s.report()
}

// write salvages into dir: the store itself, or mail as files from a store that is there
// meanwhile.
func (s *salvaging) write(dir string) error {
	into := dir
	if !s.asStore {
		into = filepath.Join(dir, ".store")
	}
	faults, err := s.salvage(into)
	if err != nil {
		return err
	}
	if err := s.list(dir, into, faults); err != nil {
		return err
	}
	if s.asStore {
		return backup.CopyOthers(s.cmd.Context(), nil, s.cfg.Server.Data, dir)
	}
	return os.RemoveAll(into)
}

// salvage makes the new store.
func (s *salvaging) salvage(into string) (faults []storage.Fault, err error) {
	s.result, err = lsm.Salvage(s.cmd.Context(), lsm.SalvageOptions{
		Dir: s.cfg.Server.Data, Out: into,
		Report: func(f storage.Fault) { faults = append(faults, f) },
	})
	return faults, err
}

// list opens the new store, names the losses by it, and writes its mail as files if that
// is wanted.
func (s *salvaging) list(dir, into string, faults []storage.Fault) (err error) {
	store, err := lsm.Open(lsm.Options{Dir: into, Log: slog.New(slog.DiscardHandler), CacheSize: 64 << 20, BallastSize: -1, FreeFloor: -1})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	ws := workspace.New(store, s.cfg)
	var text strings.Builder
	for _, f := range faults {
		line := lineOfFault(ws, f)
		s.losses = append(s.losses, line)
		text.WriteString(line.String() + "\n")
	}
	if err := os.WriteFile(filepath.Join(dir, lossesFile), []byte(text.String()), 0o600); err != nil || s.asStore {
		return err
	}
	accounts, err := chosenAccounts(ws, nil)
	if err != nil {
		return err
	}
	for _, a := range accounts {
		if _, err := transfer.Export(s.cmd.Context(), ws, a, dir, transfer.Options{Format: s.format, DefaultDomain: s.cfg.DefaultDomain()}); err != nil {
			return fmt.Errorf("%s: %w", workspace.Mailbox(a), err)
		}
	}
	return exportQueue(ws, filepath.Join(dir, "queue"))
}

// exportQueue writes each entry of the queue as two files: the message and its envelope.
func exportQueue(ws *workspace.Workspace, dir string) (err error) {
	if n, _ := ws.QueueTotal(); n == 0 {
		return nil
	}
	if err := disk.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	var failed error
	err = ws.Queued(storage.QueueFilter{}, func(e *storage.QueueEntry) bool {
		failed = exportEntry(ws, e, filepath.Join(dir, e.ID.String()))
		return failed == nil
	})
	return errors.Join(err, failed)
}

func exportEntry(ws *workspace.Workspace, e *storage.QueueEntry, path string) (err error) {
	m, err := ws.OpenQueued(e)
	if err != nil {
		return err
	}
	defer m.Close()
	f, err := os.OpenFile(path+".eml", os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriter(f)
	body := storage.NewPlain(m)
	if _, err := io.Copy(w, body); err != nil {
		return err
	}
	envelope, err := json.MarshalIndent(e, "", "  ")
	if err = errors.Join(err, body.Err(), w.Flush()); err != nil {
		return err
	}
	return os.WriteFile(path+".json", append(envelope, '\n'), 0o600)
}

// report prints what was done.
func (s *salvaging) report() error {
	out := s.cmd.OutOrStdout()
	if s.asJSON {
		if err := workspace.PrintJSON(out, map[string]any{"dir": s.out, "salvaged": s.result, "losses": s.losses}); err != nil {
			return err
		}
	} else {
		for _, l := range s.losses {
			fmt.Fprintln(out, l)
		}
		fmt.Fprintf(out, "%s: %s\n", s.out, salvagedWords(s.result))
	}
	if s.result.Faults > 0 {
		return sysexits.DataErr.With(fmt.Errorf("not all could be read: %s lists %d losses", filepath.Join(s.out, lossesFile), s.result.Faults))
	}
	return nil
}

func salvagedWords(r lsm.Salvaged) string {
	return fmt.Sprintf("%d accounts, %d messages, %d queue entries, %d deleted messages, %d removed accounts, %d messages in lost-and-found, %d octets; %d messages and entries are known to be lost",
		r.Accounts, r.Messages, r.Queued, r.Deleted, r.Removed, r.Found, r.Octets, r.Lost)
}

// survey lists what a store has lost that can't be opened.
func survey(cmd *cobra.Command, t *workspace.Target, asJSON bool, why error) error {
	cfg, err := t.Config()
	if err != nil {
		return err
	}
	found := []faultLine{}
	r, err := lsm.Salvage(cmd.Context(), lsm.SalvageOptions{Dir: cfg.Server.Data, Report: func(f storage.Fault) {
		line := faultLine{Text: f.Text}
		if f.Account != 0 {
			line.Account = fmt.Sprintf("account#%d", f.Account)
		}
		if f.Message != 0 {
			line.Message = f.Message.String()
		}
		found = append(found, line)
		if !asJSON {
			fmt.Fprintln(cmd.OutOrStdout(), line)
		}
	}})
	if err != nil {
		return workspace.IOError(fmt.Errorf("the check failed: %w", errors.Join(why, err)))
	}
	if asJSON {
		err = workspace.PrintJSON(cmd.OutOrStdout(), map[string]any{"opens": false, "faults": found, "can_be_salvaged": r})
	} else {
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "the store can't be opened; \"postrider salvage\" would get out: %s\n", salvagedWords(r))
	}
	return errors.Join(why, err)
}
