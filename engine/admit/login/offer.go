package login

import "postrider/codec/sasl"

// Offer tells the ways of proving a password that some account can go. Clients take the
// strongest mechanism that they are offered and often give up when it fails: a mechanism
// that no account has what it needs for would keep out each client that has a password.
//
// The store counts the accounts, so that a changed password counts at once. A listener has
// its configuration for each Offer ready, and a session takes one when it opens.
type Offer uint8

const (
	// OfVerifiers: accounts have verifiers, for SCRAM; see Settings.OfferToSome.
	OfVerifiers Offer = 1 << iota
	// OfSecrets: an account has a secret, for CRAM-MD5 and APOP.
	OfSecrets
	// Offers is the number of different offers.
	Offers
)

var (
	byVerifier = sasl.SetOf(sasl.ScramSHA256, sasl.ScramSHA256Plus)
	bySecret   = sasl.SetOf(sasl.CramMD5)
)

// Offer is what the accounts make possible now. An account without a verifier gets one after
// its first login by password (verifier.go), and a client that is offered SCRAM never comes
// to that.
func (d *Door) Offer() (o Offer) {
	have := d.set.Load().Store.Proofs()
	if have.Verifiers > 0 && (have.Without == 0 || d.set.Load().OfferToSome) {
		o |= OfVerifiers
	}
	if have.Secrets > 0 {
		o |= OfSecrets
	}
	return o
}

// Of takes out of a set what cannot be offered.
func (o Offer) Of(set sasl.Set) sasl.Set {
	if o&OfVerifiers == 0 {
		set = set.Without(byVerifier)
	}
	if o&OfSecrets == 0 {
		set = set.Without(bySecret)
	}
	return set
}
