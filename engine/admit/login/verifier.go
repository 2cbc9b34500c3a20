package login

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"

	"postrider/engine/admit/password"
	"postrider/storage"
)

// A verifier for SCRAM can be made of the password only. An account whose hash was imported,
// or that was made by an import of many, gets one after its first good login by password: in
// the pool, after the client has its answer, so that no login waits for it.

// lacking is an account without a verifier, and its password.
type lacking struct {
	account storage.AccountID
	hash    string
	word    []byte
}

// lacks returns what a verifier is made from; nil: the account has one, or none is wanted.
func (d *Door) lacks(a *storage.Account, word []byte) *lacking {
	if d.set.Load().Cost.SCRAM == 0 || storage.HasVerifier(a.Hash) {
		return nil
	}
	return &lacking{a.ID, a.Hash, bytes.Clone(word)}
}

// addVerifier makes the verifier and stores it. The next good login tries again if that
// fails.
func (d *Door) addVerifier(l *lacking) {
	if l == nil || d.set.Load().Draining() {
		return
	}
	defer func() {
		if p := recover(); p != nil {
			d.set.Load().Log.Error(fmt.Sprintf("BUG: panic while a verifier was made: %v", p), slog.String("stack", string(debug.Stack())))
		}
	}()
	v, err := password.Verifier(l.word, d.set.Load().Cost.SCRAM)
	if err == nil {
		err = d.set.Load().Store.SetVerifier(l.account, l.hash, v)
	}
	switch {
	case err == nil:
		d.Stats.Verifiers.Add(1)
	case errors.Is(err, storage.ErrFenced), errors.Is(err, storage.ErrNotFound):
		// Another login has made one, the password was changed, or the account is gone.
	default:
		d.set.Load().Log.Warn(fmt.Sprintf("account %d has no verifier for SCRAM yet: %v", l.account, err))
	}
}
