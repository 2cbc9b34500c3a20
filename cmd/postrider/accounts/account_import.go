package accounts

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/engine/password"
	"postrider/engine/router"
	"postrider/storage"
)

func accountImport() *cobra.Command {
	var t workspace.Target
	cmd := &cobra.Command{
		Use:   "import FILE|-",
		Short: "Make many accounts from a file of name:password lines",
		Long: `Make an account of each line NAME[@DOMAIN]:PASSWORD. In place of the password a
hash may stand, as in a Dovecot passwd file: {ARGON2ID}, {SSHA256}, {BLF-CRYPT},
{SHA512-CRYPT} or {SCRAM-SHA-256}; what follows the hash after a colon is passed over. Empty
lines and lines that begin with # are passed over too.

All accounts are made in one step. If a line is wrong none is made, and every
wrong line is named with its number.`,
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
	return t.Flags(cmd)
}

// openInput opens a file, or the standard input for "-".
func openInput(cmd *cobra.Command, path string) (io.ReadCloser, error) {
	if path == "-" {
		return io.NopCloser(cmd.InOrStdin()), nil
	}
	f, err := os.Open(path)
	return f, sysexits.NoInput.With(err)
}

// newcomer is one line of an account file.
type newcomer struct {
	line    int
	account storage.NewAccount
	word    []byte // the password, unless the account has its hash
}

func importAccounts(ws *workspace.Workspace, cmd *cobra.Command, in io.Reader, from string) (int, error) {
	people, err := readPeople(ws, in, from)
	if err != nil {
		return 0, err
	}
	if err := hashAll(ws, cmd, people); err != nil {
		return 0, err
	}
	accounts := make([]storage.NewAccount, len(people))
	for i, p := range people {
		accounts[i] = p.account
	}
	if err := ws.AddAccounts(accounts); err != nil {
		return 0, fmt.Errorf("nothing was added: %w", err)
	}
	return len(people), nil
}

// faults gathers what is wrong with the lines of a file.
type faults struct {
	from string
	errs []error
}

func (f *faults) add(line int, format string, args ...any) {
	f.errs = append(f.errs, fmt.Errorf("%s:%d: %s", f.from, line, fmt.Sprintf(format, args...)))
}

// readPeople reads the lines and checks all of them against each other and the
// directory.
func readPeople(ws *workspace.Workspace, in io.Reader, from string) ([]newcomer, error) {
	wrong := faults{from: from}
	var people []newcomer
	seen := make(map[[2]string]int)
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 64<<10)
	n := 0
	for lines.Scan() {
		n++
		text := bytes.TrimRight(lines.Bytes(), "\r")
		if len(bytes.TrimSpace(text)) == 0 || text[0] == '#' {
			continue
		}
		p, err := readPerson(ws, string(text))
		if err != nil {
			wrong.add(n, "%v", err)
			continue
		}
		p.line = n
		name := [2]string{p.account.Name, p.account.Domain}
		if first, twice := seen[name]; twice {
			wrong.add(n, "%s stands in line %d already", router.Mailbox(name[0], name[1]), first)
			continue
		}
		seen[name] = n
		people = append(people, p)
	}
	if err := lines.Err(); err != nil {
		return nil, sysexits.IOErr.With(fmt.Errorf("%s:%d: %w: nothing was added", from, n+1, err))
	}
	if len(wrong.errs) > 0 {
		return nil, sysexits.DataErr.With(errors.Join(append(wrong.errs, errors.New("nothing was added"))...))
	}
	return people, nil
}

// readPerson reads one line. A quoted name may hold a colon.
func readPerson(ws *workspace.Workspace, text string) (p newcomer, err error) {
	from := 0
	if strings.HasPrefix(text, `"`) {
		from = max(strings.LastIndexByte(text, '"'), 0)
	}
	i := strings.IndexByte(text[from:], ':')
	if i < 0 {
		return p, errors.New("no colon: NAME[@DOMAIN]:PASSWORD is wanted")
	}
	name, word := text[:from+i], text[from+i+1:]
	local, domain, err := ws.ParseName(name)
	if err != nil {
		return p, err
	}
	if err := free(ws, local, domain); err != nil {
		return p, err
	}
	p.account = storage.NewAccount{Name: local, Domain: domain}
	if !password.IsHash(word) {
		p.word = []byte(word)
		if word == "" {
			err = errors.New("the password is empty")
		}
		return p, err
	}
	p.account.Hash, _, _ = strings.Cut(word, ":")
	return p, password.Check(p.account.Hash)
}

// hashAll hashes the passwords, as many at once as auth.workers says.
func hashAll(ws *workspace.Workspace, cmd *cobra.Command, people []newcomer) error {
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
				if p := &people[i]; p.word != nil {
					hash, err := password.Hash(p.word, ws.Config.HashCost())
					if err != nil {
						failed.Store(int64(p.line))
					}
					p.account.Hash = hash
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
