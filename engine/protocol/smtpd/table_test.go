package smtpd

import (
	"testing"

	"postrider/codec/smtp"
)

// A phase that a row does not name refuses, and so does one in which no command is read.
func TestAPhaseThatIsNotNamedRefuses(t *testing.T) {
	c := command{order: [phases]*smtp.Reply{Greeted: ok, Mailed: &nested}}
	for p := range phases {
		want := &badSequence
		switch p {
		case Greeted:
			want = nil
		case Mailed:
			want = &nested
		}
		if got := c.refusal(p); got != want {
			t.Errorf("phase %d: %v", p, got)
		}
	}
}

// Each row that has a function names its phases, and HELP lists it.
func TestRows(t *testing.T) {
	rows := 0
	for v := range smtp.Verbs {
		c := &commands[v]
		if c.do == nil {
			if c.help != "" || c.order != [phases]*smtp.Reply{} {
				t.Errorf("%v does nothing and has a row", v)
			}
			continue
		}
		rows++
		may := 0
		for p := range phases {
			if c.refusal(p) == nil {
				may++
			}
		}
		if may == 0 || (c.help == "") != (v == smtp.Unknown || v == smtp.HTTP) {
			t.Errorf("%v may come in %d phases; help: %q", v, may, c.help)
		}
	}
	if rows < 18 {
		t.Errorf("%d rows", rows)
	}
}
