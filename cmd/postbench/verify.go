package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"postrider/bench"
	"postrider/cmd/sysexits"
)

// search is where acknowledged messages are looked for.
type search struct {
	addr, password string
	local          bool
	maildirs       []string
	wait           time.Duration
}

func (s *search) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&s.addr, "verify", "", "HOST:PORT of the POP3 server to look for acknowledged messages at")
	flags.StringVar(&s.password, "verify-password", "secret", "password of all accounts")
	flags.BoolVar(&s.local, "verify-local", false, "log in with the part before the @ alone")
	flags.StringSliceVar(&s.maildirs, "verify-maildir", nil, "folders to look in instead, with all folders in them")
	flags.DurationVar(&s.wait, "verify-wait", 30*time.Second, "how long deliveries may take")
}

func (s *search) wanted() bool { return s.addr != "" || len(s.maildirs) > 0 }

// find looks for all that ledger holds until it is there or the time is over.
func (s *search) find(ctx context.Context, ledger *bench.Ledger) (audit bench.Audit, err error) {
	for end := time.Now().Add(s.wait); ; {
		late := ctx.Err() != nil || time.Now().After(end)
		if len(s.maildirs) == 0 {
			ledger.Forget()
			err = s.byPOP3(ctx, ledger)
		} else if late || s.files(nil) >= ledger.Audit().Acknowledged { // counting costs less than reading
			ledger.Forget()
			var broken error
			s.files(func(message []byte, err error) {
				broken = errors.Join(broken, err)
				ledger.Found(message)
			})
			err = broken
		}
		audit = ledger.Audit()
		if err == nil && audit.Lost == 0 || late {
			return audit, err
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

func (s *search) byPOP3(ctx context.Context, ledger *bench.Ledger) error {
	addr, err := address(s.addr, "110")
	if err != nil {
		return err
	}
	for _, user := range ledger.Recipients() {
		if s.local {
			user, _, _ = strings.Cut(user, "@")
		}
		fetch := bench.Fetch{Addr: addr, User: user, Password: s.password, Mode: bench.Pipelined, Window: 16,
			Each: func(_ int, message []byte) error {
				ledger.Found(message)
				return nil
			}}
		if _, err := fetch.Run(ctx); err != nil {
			return fmt.Errorf("maildrop of %s: %w", user, err)
		}
	}
	return nil
}

// files counts the messages in folders new and cur, and gives each to read unless
// that is nil. Lines end in LF there, and get CRLF.
func (s *search) files(read func(message []byte, err error)) (n int) {
	for _, folder := range s.maildirs {
		// A file that isn't there any more went from new to cur; one unreadable is
		// told by read.
		_ = filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
			in := filepath.Base(filepath.Dir(path))
			if err != nil || entry.IsDir() || in != "new" && in != "cur" {
				return nil
			}
			n++
			if read == nil {
				return nil
			}
			octets, err := os.ReadFile(path)
			if !errors.Is(err, fs.ErrNotExist) {
				read([]byte(strings.ReplaceAll(strings.ReplaceAll(string(octets), "\r\n", "\n"), "\n", "\r\n")), err)
			}
			return nil
		})
	}
	return n
}

func verifyCommand() *cobra.Command {
	var s search
	var into string
	cmd := &cobra.Command{
		Use:   "verify [flags] LEDGER",
		Short: "Check that all messages of a ledger are there and whole",
		Long: `Read a ledger that "postbench smtp --ledger" has written, fetch the recipients' mail by
POP3 or from maildirs, and compare the SHA-256 of each body with what was sent. Copies
missing or damaged end in exit code 1; repeated copies are reported only, since a
delivery may be repeated after a crash.`,
		Example: `  postbench smtp -m 1000 --ledger sent.ledger 127.0.0.1:25
  postbench verify --verify 127.0.0.1:110 --verify-password secret sent.ledger
  postbench verify --verify-maildir /var/mail/vhosts sent.ledger`,
		Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !s.wanted() {
				return sysexits.Usage.With(errors.New("give --verify HOST:PORT or --verify-maildir FOLDER"))
			}
			f, err := os.Open(args[0])
			if err != nil {
				return err
			}
			defer f.Close()
			ledger, err := bench.ReadLedger(f)
			if err != nil {
				return sysexits.DataErr.With(fmt.Errorf("%s: %w", args[0], err))
			}
			audit, err := s.find(cmd.Context(), ledger)
			fmt.Fprintln(cmd.OutOrStdout(), audit)
			return errors.Join(err, audit.Err(), enter(into, audit))
		},
	}
	s.add(cmd)
	cmd.Flags().StringVar(&into, "into", "", "write the audit into the last round of this result, a file of --json")
	return cmd
}

// enter puts an audit into the last round of a result of a run without a ledger of its
// own: it read what another run had sent.
func enter(name string, audit bench.Audit) error {
	if name == "" {
		return nil
	}
	result, err := bench.ReadResult(name)
	if err != nil {
		return wrongFile(err)
	}
	result.Rounds[len(result.Rounds)-1].Audit = &audit
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(result.Write(f), f.Close())
}
