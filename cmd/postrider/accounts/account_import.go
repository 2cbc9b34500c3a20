package accounts

import (
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/accounts/accountfile"
	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/engine/admit/password"
	"postrider/storage"
)

func accountImport() *cobra.Command {
	var t workspace.Target
	cmd := &cobra.Command{
		Use:   "import FILE|-",
		Short: "Make many accounts from a file of name:password lines",
		Long: `Make an account for each line NAME[@DOMAIN]:PASSWORD. In place of the password there
may be a hash, as in a Dovecot passwd file: {ARGON2ID}, {SSHA256}, {BLF-CRYPT},
{SHA512-CRYPT} or {SCRAM-SHA-256}; fields after the hash are ignored. Empty
lines and lines that begin with # are ignored too.

All accounts are made in one step. If a line is wrong none is made, and every
wrong line is reported with its number.`,
		Example: `  postrider account import people.txt
  postrider account import - < /etc/dovecot/users`,
		Args: workspace.Exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.With(cmd.Context(), workspace.Create, func(ws *workspace.Workspace) error {
				in, err := openInput(cmd, args[0])
				if err != nil {
					return err
				}
				defer in.Close()
				n, err := importAccounts(ws, cmd, in, args[0])
				if err == nil {
					fmt.Fprintf(cmd.OutOrStdout(), "added %d accounts\n", n)
				}
				return err
			})
		},
	}
	return t.FlagsWithCreate(cmd)
}

// openInput opens a file, or the standard input for "-".
func openInput(cmd *cobra.Command, path string) (io.ReadCloser, error) {
	if path == "-" {
		return io.NopCloser(cmd.InOrStdin()), nil
	}
	f, err := os.Open(path)
	return f, sysexits.NoInput.With(err)
}

func importAccounts(ws *workspace.Workspace, cmd *cobra.Command, in io.Reader, from string) (int, error) {
	people, err := accountfile.Read(in, from, directory{ws})
	if err != nil {
		return 0, err
	}
	if err := hashAll(ws, cmd, people); err != nil {
		return 0, err
	}
	accounts := make([]storage.NewAccount, len(people))
	for i, p := range people {
		accounts[i] = p.New
	}
	if err := ws.AddAccounts(accounts); err != nil {
		return 0, fmt.Errorf("nothing was added: %w", err)
	}
	return len(people), nil
}

// hashAll hashes the passwords, auth.workers at once.
func hashAll(ws *workspace.Workspace, cmd *cobra.Command, people []accountfile.Account) error {
	bar := workspace.NewBar(cmd, "hashing", int64(len(people)))
	defer bar.Done()
	var next, failed atomic.Int64
	var wg sync.WaitGroup
	for range ws.Config.AuthWorkers() {
		wg.Go(func() {
			for cmd.Context().Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(people) {
					return
				}
				if p := &people[i]; p.Password != nil {
					hash, err := password.Hash(p.Password, ws.Config.HashCost())
					if err != nil {
						failed.Store(int64(p.Line))
					}
					p.New.Hash = hash
				}
				bar.Set(next.Load())
			}
		})
	}
	wg.Wait()
	if line := failed.Load(); line != 0 {
		return sysexits.DataErr.With(fmt.Errorf("line %d: the password can't be hashed: nothing was added", line))
	}
	if err := cmd.Context().Err(); err != nil {
		return sysexits.TempFail.With(fmt.Errorf("stopped: nothing was added"))
	}
	return nil
}
