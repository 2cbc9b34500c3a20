package smtpsrv

import (
	"crypto/tls"
	"testing"

	"postrider/codec/sasl"
	"postrider/engine/admit/login"
	"postrider/engine/protocol/smtpd"
)

// machineAt is what the machines of an address have, when the accounts make all mechanisms
// possible.
func machineAt(s *Service, at Address) smtpd.Config {
	return s.newPort(at).configs[login.OfVerifiers|login.OfSecrets]
}

// An address decides about AUTH, TLS and line ends; the rest is the same at all.
func TestMachinesOfAddresses(t *testing.T) {
	all := sasl.SetOf(sasl.ScramSHA256, sasl.CramMD5, sasl.Plain, sasl.Login)
	telling := sasl.SetOf(sasl.Plain, sasl.Login)
	set := Settings{Machine: smtpd.Config{Hostname: "mx.test", MaxErrors: 7, Auth: smtpd.Auth{Mechanisms: all, TLSFirst: true}}}
	capture := set
	capture.Capture = true
	for _, c := range []struct {
		name       string
		set        Settings
		at         Address
		mechanisms sasl.Set
		required   bool
		first      bool // no login without TLS
		plaintext  bool // a password may go in clear text
	}{
		{"AUTH is off", set, Address{}, 0, false, false, false},
		{"AUTH is offered", set, Address{Auth: OfferAuth}, all, false, true, false},
		{"AUTH is required", set, Address{Auth: RequireAuth}, all, true, true, false},
		{"capture, off", capture, Address{}, 0, false, false, false},
		{"capture, offered", capture, Address{Auth: OfferAuth}, telling, false, false, true},
		{"capture, required", capture, Address{Auth: RequireAuth}, telling, true, false, true},
	} {
		got := machineAt(New(c.set, Rooms{}), c.at)
		if a := got.Auth; a.Mechanisms != c.mechanisms || a.Required != c.required || a.TLSFirst != c.first || a.Plaintext != c.plaintext || (a.Nonce == nil) != (c.mechanisms == 0) {
			t.Errorf("%s: %+v", c.name, a)
		}
		if got.Hostname != "mx.test" || got.MaxErrors != 7 || got.OfferTLS || got.BareLF != smtpd.Reject {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
	srv := New(set, Rooms{})
	if got := machineAt(srv, Address{StartTLS: new(tls.Config), BareLF: smtpd.Normalize}); !got.OfferTLS || got.BareLF != smtpd.Normalize {
		t.Errorf("STARTTLS and bare LF: %+v", got)
	}
	if got := machineAt(srv, Address{TLS: new(tls.Config)}); got.OfferTLS {
		t.Error("STARTTLS is offered within TLS")
	}
}

// A mechanism that no account can use is not offered.
func TestMechanismsByOffer(t *testing.T) {
	srv := New(Settings{Machine: smtpd.Config{Auth: smtpd.Auth{Mechanisms: sasl.SetOf(sasl.ScramSHA256, sasl.CramMD5, sasl.Plain)}}}, Rooms{})
	p := srv.newPort(Address{Auth: OfferAuth})
	for offer, want := range map[login.Offer]sasl.Set{
		0:                 sasl.SetOf(sasl.Plain),
		login.OfVerifiers: sasl.SetOf(sasl.ScramSHA256, sasl.Plain),
		login.OfSecrets:   sasl.SetOf(sasl.CramMD5, sasl.Plain),
	} {
		if got := p.configs[offer].Auth.Mechanisms; got != want {
			t.Errorf("offer %d: %v, want %v", offer, got, want)
		}
	}
}

// The name that a client claims in capture mode goes into logs and replies: it has no line
// ends, and a bounded length.
func TestClaimedNames(t *testing.T) {
	long := make([]byte, 1000)
	for i := range long {
		long[i] = 'x'
	}
	for user, want := range map[string]string{
		"alice": "alice", "": "nobody", "a\r\n250 b": "a??250 b", "é\x00": "é?", string(long): string(long[:255]),
	} {
		if got := claimedName(user); got != want {
			t.Errorf("%.20q: %.20q, want %.20q", user, got, want)
		}
	}
}

// Each phase of a dialogue has a word for the log.
func TestEachPhaseHasAWord(t *testing.T) {
	for p := smtpd.Connected; p <= smtpd.Closed; p++ {
		if phaseWords[p] == "" {
			t.Errorf("no word for %v", p)
		}
	}
}
