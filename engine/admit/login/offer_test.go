package login

import (
	"strings"
	"testing"

	"postrider/codec/sasl"
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
