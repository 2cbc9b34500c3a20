package serve

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"

	"postrider/cmd/sysexits"
	"postrider/engine/admit/password"
	"postrider/engine/config"
	"postrider/storage"
)

// bootstrap makes what a server needs before it takes mail: its domains, a
// postmaster in the default domain (RFC 5321 section 4.5.1), and the accounts of
// --demo. It prints what to do next for a new store.
func bootstrap(store storage.Store, cfg *config.Config, demo bool, out io.Writer) error {
	for _, d := range cfg.Server.Domains {
		if err := store.AddDomain(d); err != nil && !errors.Is(err, storage.ErrExists) {
			return sysexits.IOErr.With(fmt.Errorf("domain %s: %w", d, err))
		}
	}
	domain := cfg.DefaultDomain()
	if _, err := store.Lookup("postmaster", domain); errors.Is(err, storage.ErrNotFound) {
		if _, err := store.AddAccount(storage.NewAccount{Name: "postmaster", Domain: domain}); err != nil {
			return sysexits.IOErr.With(fmt.Errorf("account postmaster@%s: %w", domain, err))
		}
	}
	if cfg.Capture.On {
		_, err := store.AddAccount(storage.NewAccount{Name: config.CaptureAccount, Domain: domain})
		if err != nil && !errors.Is(err, storage.ErrExists) {
			return sysexits.IOErr.With(fmt.Errorf("account %s@%s: %w", config.CaptureAccount, domain, err))
		}
		return nil
	}
	if demo {
		return bootstrapDemo(store, cfg, out)
	}
	people := 0
	err := store.Accounts(func(a storage.Account) bool {
		if a.Name != "postmaster" {
			people++
		}
		return people == 0
	})
	if err != nil {
		return sysexits.IOErr.With(err)
	}
	if people == 0 {
		fmt.Fprintf(out, `No accounts yet. In another terminal:
  postrider account add NAME --data %s
or start with --demo for the accounts mbrain and jsmith.
`, cfg.Server.Data)
	}
	return warnOfPostmaster(store, domain, out)
}

// warnOfPostmaster prints when mail waits in the account that was made for the
// postmaster: it has no password, so the mail can't be read. It is mail for the
// postmaster, and notifications that could not be delivered.
func warnOfPostmaster(store storage.Store, domain string, out io.Writer) error {
	at, err := store.Lookup("postmaster", domain)
	if err != nil || at.Account == 0 {
		return nil
	}
	a, err := store.Account(at.Account)
	if err != nil || a.Hash != "" || a.Secret != "" {
		return nil
	}
	messages, _, err := store.Usage(at.Account)
	if err != nil {
		return sysexits.IOErr.With(err)
	}
	if messages > 0 {
		fmt.Fprintf(out, `Mail waits for postmaster@%s, which has no password (messages: %d). To read it:
  postrider account passwd postmaster@%s
`, domain, messages, domain)
	}
	return nil
}

// bootstrapDemo makes the accounts mbrain and jsmith and prints their passwords;
// where they are there already, new passwords.
func bootstrapDemo(store storage.Store, cfg *config.Config, out io.Writer) error {
	for _, name := range []string{"mbrain", "jsmith"} {
		word := strings.ToLower(rand.Text()[:12])
		hash, err := password.Hash([]byte(word), cfg.HashCost())
		if err != nil {
			return err
		}
		switch a, err := store.Lookup(name, cfg.DefaultDomain()); {
		case errors.Is(err, storage.ErrNotFound):
			_, err = store.AddAccount(storage.NewAccount{Name: name, Domain: cfg.DefaultDomain(), Hash: hash})
			if err != nil {
				return sysexits.IOErr.With(fmt.Errorf("account %s: %w", name, err))
			}
		case err != nil:
			return sysexits.IOErr.With(err)
		case a.Account == 0:
			continue // the alias was made by the operator
		default:
			if err := store.SetPassword(a.Account, hash, ""); err != nil {
				return sysexits.IOErr.With(fmt.Errorf("account %s: %w", name, err))
			}
		}
		fmt.Fprintf(out, "demo account %s@%s, password %s\n", name, cfg.DefaultDomain(), word)
	}
	return nil
}
