package router

import (
	"postrider/codec/smtp"
	"postrider/storage"
)

// Owns reports whether an address, as text, is one of the account's: mail for it gets
// there.
func (r *Router) Owns(account storage.AccountID, address string) bool {
	path, refused := smtp.ParseRcpt([]byte("TO:<"+address+">"), 0, true)
	if refused != nil {
		return false
	}
	targets, outcome := r.Route(path.To.Local(), path.To.Domain(), nil)
	if outcome != Local {
		return false
	}
	for i := range targets {
		if targets[i].Account == account {
			return true
		}
	}
	return false
}
