package storage

import "time"

// Directory is the store's knowledge of who has mail here. Names are kept in
// lower case: domains as they go over the wire (A-labels, or UTF-8), local parts
// unquoted. Reads are answered from memory and never block; changes are synced
// before they return.
type Directory interface {
	// HostsDomain says whether the domain is one of ours. Never blocks.
	HostsDomain(domain string) bool
	// Lookup finds what stands under local@domain exactly as given, both in lower
	// case; an empty local is the domain's catch-all. ErrNotFound when nothing
	// does. The Address must not be changed. Never blocks.
	Lookup(local, domain string) (Address, error)

	// Account returns an account by its id; ErrNotFound. Never blocks.
	Account(id AccountID) (Account, error)
	// AddAccount makes an account; ErrExists, ErrNotFound (its domain), ErrInvalid.
	AddAccount(a NewAccount) (AccountID, error)
	// AddAccounts makes many in one synced step: all, or none and the first error.
	AddAccounts(as []NewAccount) error
	// SetPassword replaces the stored password hash and the APOP secret ("": none).
	SetPassword(id AccountID, hash, secret string) error
	// RemoveAccount deletes the account, its mail and its address. ErrInUse while
	// a session holds the maildrop.
	RemoveAccount(id AccountID) error
	// Accounts calls f for each account by domain and name, until f returns false.
	Accounts(f func(Account) bool) error

	// AddDomain makes the domain ours; ErrExists. RemoveDomain: ErrNotFound, or
	// ErrInUse while accounts or aliases stand under it.
	AddDomain(domain string) error
	RemoveDomain(domain string) error
	Domains() []string

	// SetAliases stores each alias in one synced step, over what stood under its
	// name; ErrExists when an account has the name.
	SetAliases(as []Alias) error
	// RemoveAlias: ErrNotFound.
	RemoveAlias(local, domain string) error
	// Aliases calls f for each alias by domain and name, until f returns false.
	Aliases(f func(Alias) bool) error
}

// Address is what an address stands for: an account, or an alias.
type Address struct {
	Account AccountID // 0: an alias
	Targets []string  // of an alias: whole addresses local@domain, lower case
}

// Account is one maildrop with a name and a password.
type Account struct {
	ID           AccountID
	Name, Domain string // lower case
	Hash         string // of the password, with its scheme; "" when nobody can log in
	Secret       string // clear text for APOP (RFC 1939 section 7); "" unless asked for
	Quota        int64  // octets; 0: no limit
	Created      time.Time
}

// NewAccount is an account to be made.
type NewAccount struct {
	Name, Domain, Hash, Secret string
	Quota                      int64
}

// Alias is an address that stands for others. An empty Name is the domain's
// catch-all.
type Alias struct {
	Name, Domain string   // lower case
	Targets      []string // whole addresses, lower case
}
