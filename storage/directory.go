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
	// HostsDomain reports whether the domain is one of ours, or an alias of one. Never
	// blocks.
	HostsDomain(domain string) bool
	// DomainAlias is the domain of ours that a domain is an alias of; "": it is no alias.
	// Never blocks.
	DomainAlias(domain string) string
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
	// ChangeAccount changes what c names in one synced step: ErrNotFound, and for a new
	// name what AddAccount returns. An alias of the old name stays.
	ChangeAccount(id AccountID, c AccountChange) error
	// NoteLogin keeps when an account has logged in, to LoginGrain, for Account.LastLogin.
	// It is not synced: a crash may lose it. Never blocks.
	NoteLogin(id AccountID, at time.Time)
	// SetVerifier adds a verifier to an account's hash, made from the same password, if
	// the hash still is the one that is given. It is no change of credentials.
	// ErrNotFound; ErrFenced: the account has another hash by now.
	SetVerifier(id AccountID, hash, verifier string) error
	// RemoveAccount removes the account with its mail; an alias of its name stays. Both are
	// kept for Retention.RemovedAccounts, or are deleted if that is 0: see Keeper. It
	// waits for no session: one that holds the maildrop has lost its lock (ErrFenced).
	RemoveAccount(id AccountID) error
	// Accounts calls f for each account by domain and name, until f returns false.
	Accounts(f func(Account) bool) error

	// AddDomain makes the domain ours; ErrExists. RemoveDomain: ErrNotFound, or
	// ErrInUse while it has accounts, aliases or domain aliases. It removes a domain
	// alias too.
	AddDomain(domain string) error
	RemoveDomain(domain string) error
	Domains() []string
	// AddDomainAlias makes a domain an alias: each address in it is that of the same name
	// in of, a domain of ours. ErrExists: the domain is ours already; ErrNotFound.
	AddDomainAlias(domain, of string) error
	// SetDomainQuota bounds what all maildrops of a domain hold together. ErrNotFound.
	SetDomainQuota(domain string, q Quota) error
	// DomainSettings are the domains and domain aliases with what is set for them, sorted.
	// Never blocks.
	DomainSettings() []Domain

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
	Refused bool      // the account's Access is NoMail
	// Full: the account's maildrop had no room for any message when the last one came, and
	// nothing was deleted since.
	Full bool
}

// Account is one maildrop with a name and a password.
type Account struct {
	ID           AccountID
	Name, Domain string // folded
	Hash         string // the password's, with its scheme; "": no login is possible
	Secret       string // clear text for APOP (RFC 1939 section 7); "" unless asked for
	Quota        int64  // octets; 0: no limit
	MaxMessages  int64  // 0: no limit
	Access       Access
	// Expire is how long a message stays in the maildrop; 0: Retention.Mail; NeverExpire.
	Expire    time.Duration
	Created   time.Time
	LastLogin time.Time // to LoginGrain; zero: none is known
}

// ExpiresAfter is how long a message stays in the maildrop, where all is Retention.Mail; 0:
// for ever.
func (a *Account) ExpiresAfter(all time.Duration) time.Duration {
	switch a.Expire {
	case 0:
		return all
	case NeverExpire:
		return 0
	}
	return a.Expire
}

// NeverExpire is the Expire of an account whose messages stay for ever.
const NeverExpire time.Duration = -1

// MaxExpire and LeastExpire bound Account.Expire, which is in whole days.
const (
	LeastExpire = 24 * time.Hour
	MaxExpire   = 36500 * LeastExpire
)

// LoginGrain is how exact Account.LastLogin is.
const LoginGrain = 10 * time.Minute

// Access is what an account may do.
type Access uint8

// The kinds of access.
const (
	FullAccess Access = iota
	NoLogin           // it can't log in; mail for it is taken
	NoMail            // neither
)

// SameLogin reports whether what let a session in as a is that of b: the name, the access
// and the credentials.
func SameLogin(a, b *Account) bool {
	return a.Name == b.Name && a.Domain == b.Domain && a.Access == b.Access &&
		PasswordOf(a.Hash) == PasswordOf(b.Hash) && a.Secret == b.Secret
}

// AccountChange is what ChangeAccount changes; nil: that stays.
type AccountChange struct {
	Name, Domain       *string
	Quota, MaxMessages *int64
	Access             *Access
	Expire             *time.Duration
}

// Quota is how much may be held; 0: no limit.
type Quota struct{ Octets, Messages int64 }

// QuotaWarning is the part of a quota, in percent, that Delivery.Near tells of.
const QuotaWarning = 80

// NearQuota is a maildrop, or a domain, that a delivery has brought to QuotaWarning of its
// quota or more.
type NearQuota struct {
	Account AccountID // 0: the domain
	Domain  string
	Used    Quota
	Quota   Quota
}

// Domain is a domain of ours, or an alias of one.
type Domain struct {
	Name    string
	AliasOf string // "": it is no alias
	Quota   Quota  // for all its maildrops together
}

// Proofs counts the accounts with what a login needs that proves the password without
// sending it.
type Proofs struct {
	Verifiers int // accounts with a verifier in Account.Hash: see HasVerifier
	Secrets   int // accounts with an Account.Secret
	Without   int // accounts that may log in and have an Account.Hash without a verifier
}

// Verifier is the scheme of a hash that serves SCRAM-SHA-256.
const Verifier = "{SCRAM-SHA-256}"

// PasswordOf is the part of a hash that stays the same for the same password: its first
// scheme. SetVerifier adds the others.
func PasswordOf(hash string) string {
	first, _, _ := strings.Cut(hash, " ")
	return first
}

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
	Quota, MaxMessages         int64
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
