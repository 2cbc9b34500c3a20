package serve

import (
	"errors"
	"fmt"
	"io"

	"postrider/cmd/sysexits"
	"postrider/engine/config"
	"postrider/storage"
)

// bootstrap makes what a server needs before it takes mail: its domains, a
// postmaster in the default domain (RFC 5321 section 4.5.1), and the accounts of
// --demo.
func bootstrap(store storage.Store, cfg *config.Config, demo bool, out io.Writer) error {
	for _, d := range cfg.Server.Domains {
		if err := store.AddDomain(d); err != nil && !errors.Is(err, storage.ErrExists) {
			return sysexits.IOErr.With(fmt.Errorf("domain %s: %w", d, err))
		}
	}
	domain := cfg.DefaultDomain()
	if demo && !cfg.Capture.On {
		if err := bootstrapDemo(store, cfg, out); err != nil {
			return err
		}
	}
	if err := addPostmaster(store, domain); err != nil {
		return err
	}
	if cfg.Capture.On {
		_, err := store.AddAccount(storage.NewAccount{Name: config.CaptureAccount, Domain: domain})
		if err != nil && !errors.Is(err, storage.ErrExists) {
			return sysexits.IOErr.With(fmt.Errorf("account %s@%s: %w", config.CaptureAccount, domain, err))
		}
		return nil
	}
	return warnOfPostmaster(store, domain, out)
}

// addPostmaster makes the account of the postmaster, unless the name leads somewhere.
func addPostmaster(store storage.Directory, domain string) error {
	if _, err := store.Lookup("postmaster", domain); !errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	if _, err := store.AddAccount(storage.NewAccount{Name: "postmaster", Domain: domain}); err != nil && !errors.Is(err, storage.ErrExists) {
		return sysexits.IOErr.With(fmt.Errorf("account postmaster@%s: %w", domain, err))
	}
	return nil
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
