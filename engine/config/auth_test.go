package config

import (
	"strings"
	"testing"

	"postrider/codec/sasl"
)

func TestMechanisms(t *testing.T) {
	c, err := load(t, "[auth]\nmechanisms = [\"plain\", \"Cram-MD5\", \"PLAIN\"]\n")
	if err != nil {
		t.Fatal(err)
	}
	k := c.Key("auth.mechanisms")
	if c.Auth.Mechanisms != sasl.SetOf(sasl.Plain, sasl.CramMD5) || k.Value() != `["CRAM-MD5", "PLAIN"]` || !k.Changed() {
		t.Errorf("%b %s", c.Auth.Mechanisms, k.Value())
	}
	if got := c.HashCost().SCRAM; got != 0 {
		t.Errorf("a verifier of %d iterations is made that no mechanism wants", got)
	}
	if got := Default().HashCost().SCRAM; got != 16384 {
		t.Errorf("%d iterations by default", got)
	}
	for _, word := range []string{"LOGIN", "scram-sha-256"} {
		if err := k.Set(word); err != nil {
			t.Error(err)
		}
	}
	if c.Auth.Mechanisms != sasl.SetOf(sasl.Login, sasl.ScramSHA256) {
		t.Errorf("the flag brought %b", c.Auth.Mechanisms)
	}
	if c, err = load(t, "[auth]\nmechanisms = []\n"); err != nil || c.Auth.Mechanisms != 0 {
		t.Errorf("%b %v", c.Auth.Mechanisms, err)
	}
	for _, wrong := range []string{`["GSSAPI"]`, `3`, `[3]`} {
		if _, err := load(t, "[auth]\nmechanisms = "+wrong+"\n"); err == nil || !strings.Contains(err.Error(), "SCRAM-SHA-256-PLUS") {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}

func TestListenersThatWantALogin(t *testing.T) {
	c, err := load(t, "[smtp]\nlisten = [\":25 auth=off\", \":587 bare_lf=normalize auth=required\"]\n[auth]\nmechanisms = []\n")
	if err != nil {
		t.Fatal(err)
	}
	if l := c.SMTP.Listen; l[0].Auth != AuthOff || l[1].Auth != AuthRequired || l[1].BareLF != BareLFNormalize ||
		l[1].String() != ":587 bare_lf=normalize auth=required" {
		t.Errorf("%+v", l)
	}
	if err := c.Check(); err == nil || !strings.Contains(err.Error(), "auth.mechanisms is empty") {
		t.Errorf("a listener that no client can use: %v", err)
	}
	if _, err := load(t, "[smtp]\nlisten = \":25 auth=maybe\"\n"); err == nil {
		t.Error("auth=maybe was taken")
	}
}

// The default cost of a password is not below the sets of OWASP's Password Storage Cheat
// Sheet that are equally strong: memory and passes, with one thread.
func TestPasswordsCostWhatOWASPAsksFor(t *testing.T) {
	least := map[int]int64{1: 46 * mib, 2: 19 * mib, 3: 12 * mib, 4: 9 * mib, 5: 7 * mib}
	c := Default()
	if memory, ok := least[c.Auth.Time]; !ok || c.Auth.Memory < memory || c.Auth.Threads != 1 {
		t.Errorf("%d passes over %s with %d threads is no set of OWASP", c.Auth.Time, writeOctets(c.Auth.Memory), c.Auth.Threads)
	}
}
