package login

import "postrider/storage"

// SignedIn is the account of a session as it was at the login. The session is let in by the
// password that the account had then: see Door.StillHolds.
type SignedIn struct {
	Account storage.Account
	changes uint64 // storage.Store.CredentialChanges before Account was looked up, or later
}

// Changed is the reason in the log for the end of a session whose login does not hold any more.
const Changed = "the account has another password or is gone"

// StillHolds reports whether the account has the credentials that it had at the login. While
// no account has changed that costs one look at a number.
func (d *Door) StillHolds(in *SignedIn) bool {
	changes := d.set.Load().Store.CredentialChanges()
	if changes == in.changes {
		return true
	}
	if !d.IsUnchanged(&in.Account) {
		return false
	}
	in.changes = changes
	return true
}

// IsUnchanged reports whether an account is there with the name, the access and the
// credentials that it had.
func (d *Door) IsUnchanged(was *storage.Account) bool {
	now, err := d.set.Load().Store.Account(was.ID)
	return err == nil && storage.SameLogin(&now, was)
}
