package serve

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"postrider/cmd/sysexits"
	"postrider/engine/admit/password"
	"postrider/engine/config"
	"postrider/engine/host/disk"
	"postrider/engine/mail/router"
	"postrider/storage"
)

// demoNames are the accounts of --demo. The first one gets the postmaster's mail.
var demoNames = []string{"mbrain", "jsmith"}

// demoFile, in the data directory, has the passwords that --demo made: a line
// "ADDRESS PASSWORD" for each. Only its owner can read it.
const demoFile = "demo-passwords"

// bootstrapDemo makes the accounts of --demo and prints their passwords: at each start
// the same ones. An account that was there before keeps the password that it has.
func bootstrapDemo(store storage.Store, cfg *config.Config, out io.Writer) error {
	domain := cfg.DefaultDomain()
	file := filepath.Join(cfg.Server.Data, demoFile)
	known, err := readDemo(file)
	if err != nil {
		return sysexits.IOErr.With(err)
	}
	for _, name := range demoNames {
		address := router.Mailbox(name, domain)
		a, err := store.Lookup(name, domain)
		switch {
		case errors.Is(err, storage.ErrNotFound):
			known[address] = strings.ToLower(rand.Text()[:12])
			// The file comes first: an account with a password that is lost helps no user.
			if err := writeDemo(file, known); err != nil {
				return sysexits.CantCreate.With(err)
			}
			if err := addDemo(store, cfg, name, known[address]); err != nil {
				return err
			}
		case err != nil:
			return sysexits.IOErr.With(err)
		case a.Account == 0:
			continue // the alias was made by the operator
		}
		if err := printDemo(store, name, domain, known[address], out); err != nil {
			return err
		}
	}
	return aliasPostmaster(store, domain, demoNames[0])
}

func addDemo(store storage.Store, cfg *config.Config, name, word string) error {
	hash, err := password.Hash([]byte(word), cfg.HashCost())
	if err != nil {
		return err
	}
	if _, err := store.AddAccount(storage.NewAccount{Name: name, Domain: cfg.DefaultDomain(), Hash: hash}); err != nil {
		return sysexits.IOErr.With(fmt.Errorf("account %s: %w", name, err))
	}
	return nil
}

// printDemo prints the password that --demo gave to an account, if it still has that.
func printDemo(store storage.Store, name, domain, word string, out io.Writer) error {
	at, err := store.Lookup(name, domain)
	if err != nil {
		return sysexits.IOErr.With(err)
	}
	a, err := store.Account(at.Account)
	if err != nil {
		return sysexits.IOErr.With(err)
	}
	if same, err := password.Verify(a.Hash, []byte(word)); err != nil || !same || word == "" {
		fmt.Fprintf(out, "demo account %s, with the password that it was given (\"postrider account passwd\" sets another one)\n", router.Mailbox(name, domain))
		return nil
	}
	fmt.Fprintf(out, "demo account %s, password %s\n", router.Mailbox(name, domain), word)
	return nil
}

// aliasPostmaster has an account get the postmaster's mail, unless there is a postmaster
// that an operator made, or with mail.
func aliasPostmaster(store storage.Store, domain, to string) error {
	at, err := store.Lookup("postmaster", domain)
	switch {
	case errors.Is(err, storage.ErrNotFound):
	case err != nil:
		return sysexits.IOErr.With(err)
	case at.Account == 0:
		return nil
	default:
		a, err := store.Account(at.Account)
		if err != nil {
			return sysexits.IOErr.With(err)
		}
		messages, _, err := store.Usage(at.Account)
		if err != nil || messages > 0 || a.Hash != "" || a.Secret != "" {
			return sysexits.IOErr.With(err)
		}
		if err := store.PurgeAccount(at.Account); err != nil {
			return sysexits.IOErr.With(err)
		}
	}
	alias := storage.Alias{Name: "postmaster", Domain: domain, Targets: []string{router.Mailbox(to, domain)}}
	return sysexits.IOErr.With(store.SetAliases([]storage.Alias{alias}))
}

// readDemo reads the passwords by address. Without the file there are none.
func readDemo(file string) (map[string]string, error) {
	known := make(map[string]string)
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return known, nil
	}
	if err != nil {
		return nil, err
	}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		if address, word, ok := strings.Cut(lines.Text(), " "); ok {
			known[address] = word
		}
	}
	return known, nil
}

// writeDemo replaces the file.
func writeDemo(file string, known map[string]string) error {
	var text strings.Builder
	for address, word := range known {
		fmt.Fprintf(&text, "%s %s\n", address, word)
	}
	return disk.WriteFile(file, []byte(text.String()))
}
