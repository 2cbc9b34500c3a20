package accounts

import (
	"fmt"
	"io"
	"os"
	"runtime"
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
	var anyPassword, scram bool
	cmd := &cobra.Command{
		Use:   "import FILE|-",
		Short: "Make many accounts from a file of name:password lines",
		Long: `Make an account for each line NAME[@DOMAIN]:PASSWORD. In place of the password there
may be a hash, as in a Dovecot passwd file, in /etc/shadow or as crypt(3) writes it:

  ` + password.Schemes() + `
  $2y$, $5$, $6$, $y$, $argon2id$, $pbkdf2-sha256$ without a scheme

Fields after the hash are ignored. Lines of /etc/shadow without a password (* or !) are
passed over. What looks like a hash and is none that is known is refused; write
{PLAIN} before a password that looks like one. Empty lines and lines that begin
with # are ignored.

All accounts are made in one step. If a line is wrong none is made, and every
wrong line is reported with its number. Passwords are hashed on all cores. What
SCRAM-SHA-256 needs is added to an account at its first login by password, and until
all accounts have it, SCRAM is not offered (auth.offer_scram). With --scram it is made at
once for the lines with passwords; it can't be made of a hash.`,
		Example: `  postrider account import people.txt
  postrider account import - < /etc/dovecot/users
  postrider account import /etc/shadow`,
		Args: workspace.Exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.With(cmd.Context(), workspace.Create, func(ws *workspace.Workspace) error {
				in, err := openInput(cmd, args[0])
				if err != nil {
					return err
				}
				defer in.Close()
				rules := new(password.Rules)
				if !anyPassword {
					if rules, err = rulesOf(ws); err != nil {
						return err
					}
				}
				file, err := accountfile.Read(in, args[0], withAliases(ws, rules))
				if err == nil {
					err = importAccounts(ws, cmd, file.Accounts, scram)
				}
				if err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "added %d accounts\n", len(file.Accounts))
				if n := len(file.Locked); n > 0 {
					fmt.Fprintf(cmd.ErrOrStderr(), "passed over users without a password: %d, from %s to %s\n", n, file.Locked[0], file.Locked[n-1])
				}
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&scram, "scram", false, "make what SCRAM-SHA-256 needs now, not at the first login")
	cmd.Flags().BoolVar(&anyPassword, "any-password", false, "take passwords that auth.min_password and auth.refused_passwords refuse")
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

func importAccounts(ws *workspace.Workspace, cmd *cobra.Command, people []accountfile.Account, scram bool) error {
	if err := hashAll(ws, cmd, people, scram); err != nil {
		return err
	}
	accounts := make([]storage.NewAccount, len(people))
	for i, p := range people {
		accounts[i] = p.New
	}
	if err := ws.AddAccounts(accounts); err != nil {
		return fmt.Errorf("nothing was added: %w", err)
	}
	return nil
}

// hashAll hashes the passwords on all cores. Without scram each account gets its verifier at
// its first login: to make them takes a seventh of the time again, and more on a machine
// whose processor has no instructions for SHA-256.
func hashAll(ws *workspace.Workspace, cmd *cobra.Command, people []accountfile.Account, scram bool) error {
	bar := workspace.NewBar(cmd, "hashing", int64(len(people)))
	defer bar.Done()
	cost := ws.Config.HashCost()
	if !scram {
		cost.SCRAM = 0
	}
	var next, failed atomic.Int64
	var wg sync.WaitGroup
	for range max(runtime.NumCPU(), ws.Config.AuthWorkers()) {
		wg.Go(func() {
			for cmd.Context().Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(people) {
					return
				}
				if p := &people[i]; p.Password != nil {
					hash, err := password.Hash(p.Password, cost)
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
