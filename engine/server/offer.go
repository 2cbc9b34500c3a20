package server

import (
	"postrider/codec/sasl"
	"postrider/engine/config"
	"postrider/engine/protocol/pop3d"
	"postrider/engine/protocol/smtpd"
)

// offer says which ways of proving a password some account can go. Clients take the
// strongest mechanism that they are offered and often give up when it fails: one that no
// account has what it needs for would keep everybody out who has a password.
//
// The store counts the accounts, so that a changed password counts at once. A port has its
// configuration for each offer ready, and a session takes one when it opens.
type offer uint8

const (
	ofVerifiers offer = 1 << iota // accounts have verifiers, for SCRAM
	ofSecrets                     // an account has a secret, for CRAM-MD5 and APOP
	offers                        // how many there are
)

var (
	byVerifier = sasl.SetOf(sasl.ScramSHA256, sasl.ScramSHA256Plus)
	bySecret   = sasl.SetOf(sasl.CramMD5)
)

// offer is what the accounts make possible now. An account without a verifier gets one at
// its first login by password; a client that was offered SCRAM would never come to that.
func (srv *Server) offer() (o offer) {
	have := srv.store.Proofs()
	if have.Verifiers > 0 && (have.Without == 0 || srv.cfg.Auth.OfferSCRAM == config.OfferToSome) {
		o |= ofVerifiers
	}
	if have.Secrets > 0 {
		o |= ofSecrets
	}
	return o
}

// of takes out of a set what cannot be offered.
func (o offer) of(set sasl.Set) sasl.Set {
	if o&ofVerifiers == 0 {
		set = set.Without(byVerifier)
	}
	if o&ofSecrets == 0 {
		set = set.Without(bySecret)
	}
	return set
}

// smtpOffers are the configurations of a port of SMTP.
func smtpOffers(c smtpd.Config) (all [offers]smtpd.Config) {
	for o := range all {
		all[o] = c
		all[o].Auth.Mechanisms = offer(o).of(c.Auth.Mechanisms)
	}
	return all
}

// pop3Offers are the configurations of a port of POP3.
func pop3Offers(c pop3d.Config) (all [offers]pop3d.Config) {
	for o := range all {
		all[o] = c
		all[o].Mechanisms = offer(o).of(c.Mechanisms)
		all[o].APOP = c.APOP && offer(o)&ofSecrets != 0
	}
	return all
}
