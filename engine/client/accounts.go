package client

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"postrider/engine/host/disk"
	"postrider/engine/host/perms"
)

// Accounts is the content of a user's file: the accounts to read and write mail with.
type Accounts struct {
	Default string              `toml:"default,omitempty"` // "": the only one
	Account map[string]*Account `toml:"account"`
}

// Account is one of them. The security of a server is tls, starttls or none; left out,
// it is tls at ports 465 and 995, else starttls.
type Account struct {
	From           string   `toml:"from" json:"from"` // as in a From field
	User           string   `toml:"user" json:"user"` // "": submission without a login
	Password       string   `toml:"password,omitempty" json:"-"`
	POP3           string   `toml:"pop3,omitempty" json:"pop3,omitempty"` // host:port
	POP3Security   Security `toml:"pop3_security,omitempty" json:"pop3_security,omitempty"`
	SMTP           string   `toml:"smtp,omitempty" json:"smtp,omitempty"` // host:port
	SMTPSecurity   Security `toml:"smtp_security,omitempty" json:"smtp_security,omitempty"`
	CAFile         string   `toml:"ca_file,omitempty" json:"ca_file,omitempty"` // PEM, in the place of the system's
	AnyCertificate bool     `toml:"any_certificate,omitempty" json:"any_certificate,omitempty"`
	ClearText      bool     `toml:"clear_text,omitempty" json:"clear_text,omitempty"`
}

// maxAccountsFile bounds the file.
const maxAccountsFile = 1 << 20

// LoadAccounts reads a file of accounts, and refuses one that others can read. Without
// the file there are no accounts.
func LoadAccounts(file string) (*Accounts, error) {
	a := &Accounts{Account: make(map[string]*Account)}
	info, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return a, nil
	}
	if err == nil {
		err = perms.Secret(file)
	}
	if err != nil {
		return nil, err
	}
	if info.Size() > maxAccountsFile {
		return nil, fmt.Errorf("%s has %d octets: not a file of accounts", file, info.Size())
	}
	meta, err := toml.DecodeFile(file, a)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		return nil, fmt.Errorf("%s: unknown key %s", file, unknown[0])
	}
	return a, nil
}

// Save writes the file, for its owner only: the whole of it or nothing.
func (a *Accounts) Save(file string) error {
	var text bytes.Buffer
	if err := toml.NewEncoder(&text).Encode(a); err != nil {
		return err
	}
	if err := disk.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	return disk.WriteFile(file, text.Bytes())
}

// Names are the accounts, sorted.
func (a *Accounts) Names() []string { return slices.Sorted(maps.Keys(a.Account)) }

// Pick finds an account; "" is the default one.
func (a *Accounts) Pick(name string) (*Account, error) {
	if name == "" {
		name = a.Default
	}
	switch {
	case len(a.Account) == 0:
		return nil, errors.New("no account yet: \"postrider mail account add\" makes one")
	case name == "" && len(a.Account) == 1:
		name = a.Names()[0]
	case name == "":
		return nil, fmt.Errorf("which account? --account takes one of %s", strings.Join(a.Names(), ", "))
	}
	account := a.Account[name]
	if account == nil {
		return nil, fmt.Errorf("no account %q; known accounts: %s", name, strings.Join(a.Names(), ", "))
	}
	return account, nil
}

// Maildrop is the host that the account's mail is read from.
func (a *Account) Maildrop() (*Host, error) {
	return a.host(a.POP3, a.POP3Security, "pop3", "995")
}

// Submission is the host that takes the account's mail.
func (a *Account) Submission() (*Host, error) {
	return a.host(a.SMTP, a.SMTPSecurity, "smtp", "465")
}

func (a *Account) host(addr string, s Security, key, tlsPort string) (*Host, error) {
	if addr == "" {
		return nil, fmt.Errorf("the account has no %s server: set %q to HOST:PORT", strings.ToUpper(key), key)
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("%s = %q: expected HOST:PORT: %w", key, addr, err)
	}
	switch {
	case s != "":
	case port == tlsPort:
		s = TLS
	default:
		s = StartTLS
	}
	h := &Host{Addr: addr, Security: s, AnyCertificate: a.AnyCertificate, ClearText: a.ClearText, User: a.User, Password: a.Password}
	if a.CAFile == "" {
		return h, nil
	}
	pem, err := os.ReadFile(a.CAFile)
	if err != nil {
		return nil, err
	}
	h.Roots = x509.NewCertPool()
	if !h.Roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s has no certificate in PEM form", a.CAFile)
	}
	return h, nil
}
