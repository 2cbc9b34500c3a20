package storage

import (
	"strings"
	"time"

	"postrider/codec/address"
)

// Directory has the domains, accounts and aliases of the store. Names are kept folded, as
// package codec/address has it: domains as A-labels, local parts unquoted in lower case
// and NFC; other names are ErrInvalid. Reads are answered from memory and never block;
// changes are synced before they return.
type Directory interface {
	// HostsDomain reports whether the domain is one of ours. Never blocks.
	HostsDomain(domain string) bool
	// Lookup finds what is stored under local@domain exactly as given, both folded; an
	// empty local is the domain's catch-all. ErrNotFound when nothing is. The Address
	// must not be changed. Never blocks.
	Lookup(local, domain string) (Address, error)

	// Account returns an account by its id; ErrNotFound. Never blocks.
	Account(id AccountID) (Account, error)
	// AddAccount makes an account; ErrExists, ErrNotFound (its domain), ErrInvalid. An
	// alias may have its name if it names itself: then the account gets a copy.
	AddAccount(a NewAccount) (AccountID, error)
	// AddAccounts makes many in one synced step: all, or none and the first error.
	AddAccounts(as []NewAccount) error
	// SetPassword replaces the stored password hash and the APOP secret ("": none).
	SetPassword(id AccountID, hash, secret string) error
	// RemoveAccount deletes the account and its mail; an alias of its name stays. It
	// waits for no session: one that holds the maildrop has lost its lock (ErrFenced).
	RemoveAccount(id AccountID) error
	// Accounts calls f for each account by domain and name, until f returns false.
	Accounts(f func(Account) bool) error

	// AddDomain makes the domain ours; ErrExists. RemoveDomain: ErrNotFound, or
	// ErrInUse while it has accounts or aliases.
	AddDomain(domain string) error
	RemoveDomain(domain string) error
	Domains() []string

	// SetAliases stores each alias in one synced step, in place of the alias of its
	// name; ErrExists when an account has the name and the alias does not name itself.
	SetAliases(as []Alias) error
	// RemoveAlias: ErrNotFound. An account of the name stays.
	RemoveAlias(local, domain string) error
	// Aliases calls f for each alias by domain and name, until f returns false.
	Aliases(f func(Alias) bool) error
}

// Address is what an address leads to: an account, an alias, or both: then the
// account gets what the alias's own name among the targets leads to.
type Address struct {
	Account AccountID // 0: an alias alone
	Targets []string  // the alias's, see Alias; empty: an account alone
}

// Account is one maildrop with a name and a password.
type Account struct {
	ID           AccountID
	Name, Domain string // folded
	Hash         string // the password's, with its scheme; "": no login is possible
	Secret       string // clear text for APOP (RFC 1939 section 7); "" unless asked for
	Quota        int64  // octets; 0: no limit
	Created      time.Time
}

// Proofs counts the accounts with what a login needs that proves the password without
// sending it.
type Proofs struct {
	Verifiers int // accounts with a verifier in Account.Hash: see HasVerifier
	Secrets   int // accounts with an Account.Secret
}

// Verifier is the scheme of a hash that serves SCRAM-SHA-256.
const Verifier = "{SCRAM-SHA-256}"

// HasVerifier reports whether a hash has a verifier among its schemes: they are separated by
// blanks, and each begins with its name in any case.
func HasVerifier[T string | []byte](hash T) bool {
	for i := 0; i+len(Verifier) <= len(hash); i++ {
		if (i == 0 || hash[i-1] == ' ') && strings.EqualFold(string(hash[i:i+len(Verifier)]), Verifier) {
			return true
		}
	}
	return false
}

// NewAccount is an account to be made.
type NewAccount struct {
	Name, Domain, Hash, Secret string
	Quota                      int64
}

// Alias is an address that forwards to others. An empty Name is the domain's
// catch-all.
type Alias struct {
	Name, Domain string // folded
	// Targets are whole addresses as RFC 5321 writes them. A local part elsewhere is in
	// the case that it was written in.
	Targets []string
}

// NamesItself reports whether the alias is one of its own targets: the account with its
// name gets a copy then.
func (a *Alias) NamesItself() bool {
	for _, t := range a.Targets {
		local, domain, _ := address.Cut(t)
		if address.FoldDomain(domain) == a.Domain && address.FoldLocal(address.Unquote(local)) == a.Name {
			return true
		}
	}
	return false
}
