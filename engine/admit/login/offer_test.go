package login

import (
	"strings"
	"testing"

	"postrider/codec/sasl"
	"postrider/storage"
)

// SCRAM-SHA-256-PLUS, of TLS, goes with SCRAM-SHA-256.
func TestOffer(t *testing.T) {
	all := sasl.SetOf(sasl.ScramSHA256Plus, sasl.ScramSHA256, sasl.CramMD5, sasl.Plain, sasl.Login)
	for o, want := range []string{"PLAIN LOGIN", "SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN", "CRAM-MD5 PLAIN LOGIN", "SCRAM-SHA-256-PLUS SCRAM-SHA-256 CRAM-MD5 PLAIN LOGIN"} {
		if got := strings.TrimSpace(string(Offer(o).Of(all).AppendTo(nil))); got != want {
			t.Errorf("offer %d: %q, want %q", o, got, want)
		}
		if got := Offer(o).Of(sasl.SetOf(sasl.Plain)); got != sasl.SetOf(sasl.Plain) {
			t.Errorf("offer %d of PLAIN alone: %v", o, got)
		}
	}
}

// SCRAM is offered when all accounts with a password have a verifier, or when some have, as
// the settings say.
func TestOfferWaitsForTheLastVerifier(t *testing.T) {
	for _, c := range []struct {
		have      storage.Proofs
		all, some Offer
	}{
		{storage.Proofs{}, 0, 0},
		{storage.Proofs{Without: 2}, 0, 0},
		{storage.Proofs{Verifiers: 2}, OfVerifiers, OfVerifiers},
		{storage.Proofs{Verifiers: 2, Without: 1, Secrets: 1}, OfSecrets, OfSecrets | OfVerifiers},
	} {
		for some, want := range map[bool]Offer{false: c.all, true: c.some} {
			b := newBed(t, func(s *Settings) { s.OfferToSome = some })
			b.accounts.proofs = c.have
			if got := b.Offer(); got != want {
				t.Errorf("%+v, some %v: offer %d, want %d", c.have, some, got, want)
			}
		}
	}
}
