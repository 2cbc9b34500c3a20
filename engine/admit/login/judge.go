package login

import (
	"crypto/md5" //nolint:gosec // RFC 1939 section 7 says MD5
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"

	"postrider/codec/sasl"
	"postrider/engine/admit/password"
	"postrider/storage"
)

// outcome judges a claim that was admitted, and settles, counts and logs what comes out. A
// panic is a failure of ours.
func (d *Door) outcome(a *Attempt) (o Outcome) {
	defer func() { d.took(a, o.Verdict) }()
	defer func() {
		if p := recover(); p != nil {
			d.set.Load().Log.Error(fmt.Sprintf("BUG: panic in a login: %v", p), slog.String("stack", string(debug.Stack())))
			d.settle(&a.guess, Failed)
			o = Outcome{Verdict: Failed}
		}
	}()
	account, right, err := d.judge(a)
	switch {
	case err != nil:
		d.set.Load().Log.Error("login of " + a.Claim.User + ": " + err.Error())
		d.settle(&a.guess, Failed)
		return Outcome{Verdict: Failed}
	case !right:
		d.settle(&a.guess, Denied)
		d.Stats.Denied.Add(1)
		d.logDenied(a)
		return Outcome{Verdict: Denied, Wait: d.penalty(a)}
	}
	d.settle(&a.guess, Granted)
	return d.grant(a, account)
}

// remember is the outcome of a claim whose password is remembered.
func (d *Door) remember(a *Attempt, account storage.Account) Outcome {
	d.Stats.Remembered.Add(1)
	d.took(a, Granted)
	return d.grant(a, account)
}

// took counts the time from the begin of a check to its outcome.
func (d *Door) took(a *Attempt, v Verdict) {
	set := d.set.Load()
	switch t := set.Now().Sub(a.looked); v {
	case Granted:
		set.Took.Granted.Observe(t)
	case Denied:
		set.Took.Denied.Observe(t)
	}
}

func (d *Door) grant(a *Attempt, account storage.Account) Outcome {
	d.Stats.granted(a.Protocol)
	d.set.Load().Store.NoteLogin(account.ID, d.set.Load().Now())
	return Outcome{Verdict: Granted, SignedIn: SignedIn{Account: account, changes: a.changes}}
}

// judge finds out whether a claim is right; an error is a failure of ours. A name without an
// account costs the same hash as a wrong password and gets the same answer, and so does an
// account that is disabled. For
// sasl.NeedPassword it runs in the pool.
func (d *Door) judge(a *Attempt) (account storage.Account, right bool, err error) {
	c := &a.Claim
	account, missing := d.set.Load().Router.Login([]byte(c.User))
	found := missing == nil
	switch {
	case a.Timestamp != "":
		right = found && account.Secret != "" && apopMatches(a.Timestamp, account.Secret, c.Digest)
	case c.Need == sasl.NeedPassword && (!found || account.Hash == ""):
		password.Dummy(c.Password, d.set.Load().Cost)
	case c.Need == sasl.NeedPassword:
		if right, err = password.VerifyTyped(account.Hash, c.Password); err != nil {
			return account, false, fmt.Errorf("the stored password of %s can't be used: %w", c.User, err)
		}
		if right {
			d.known.remember(&account, c.Password, d.set.Load().Now())
			a.lacking = d.lacks(&account, c.Password)
		}
	case c.Need == sasl.NeedDigest:
		right = found && account.Secret != "" && c.DigestFits(account.Secret)
	case c.Need == sasl.NeedConsent:
		right = found && c.Proven && hasVerifier(&account, &c.Verifier)
	}
	if right && account.Access != storage.FullAccess {
		d.set.Load().Log.Info("login of " + c.User + " with the right password: the account is disabled (\"postrider account enable\")")
		right = false
	}
	return account, right && d.mayActAs(account, c.Authzid), nil
}

// hasVerifier reports whether a verifier is that of the account now.
func hasVerifier(a *storage.Account, v *sasl.Verifier) bool {
	now, ok := password.SCRAM(a.Hash)
	return ok && now.StoredKey == v.StoredKey
}

// apopMatches reports whether digest is the MD5 of the greeting's timestamp and the
// secret (RFC 1939 section 7).
func apopMatches(timestamp, secret, digest string) bool {
	sum := md5.Sum([]byte(timestamp + secret))
	return subtle.ConstantTimeCompare([]byte(hex.EncodeToString(sum[:])), []byte(strings.ToLower(digest))) == 1
}

// mayActAs reports whether the account may act as authzid: as itself alone.
func (d *Door) mayActAs(account storage.Account, authzid string) bool {
	if authzid == "" {
		return true
	}
	other, err := d.set.Load().Router.Login([]byte(authzid))
	return err == nil && other.ID == account.ID
}

// Verifier is what SCRAM goes on with for a name (sasl.NeedVerifier): that of its account,
// or a decoy that looks like one. The decoy has the iterations of new passwords; an account
// that was imported with others can be told from a decoy by them.
func (d *Door) Verifier(user string) sasl.Verifier {
	if account, err := d.set.Load().Router.Login([]byte(user)); err == nil {
		if v, ok := password.SCRAM(account.Hash); ok {
			return v
		}
	}
	return sasl.Decoy(d.set.Load().Secret, d.set.Load().Router.LoginName([]byte(user)), d.set.Load().Iterations)
}
