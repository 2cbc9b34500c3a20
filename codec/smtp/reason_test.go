package smtp

import "testing"

// Each reason has a name of its own, in the form that metrics want.
func TestReason_names(t *testing.T) {
	seen := make(map[string]Reason)
	for r := range Reasons {
		name := r.String()
		if other, twice := seen[name]; twice || name == "" {
			t.Errorf("reason %d is called %q, as %d is", r, name, other)
		}
		for _, c := range name {
			if (c < 'a' || c > 'z') && c != '_' {
				t.Errorf("%q has %q", name, c)
			}
		}
		seen[name] = r
	}
}

func TestReply_Because(t *testing.T) {
	f := func(r Reply, want Reason) {
		t.Helper()
		if got := r.Because(); got != want {
			t.Errorf("%s: %s, want %s", r.String(), got, want)
		}
	}
	f(Reply{Code: 550, Enhanced: "5.1.1"}, UnknownRecipient)
	f(Reply{Code: 452, Enhanced: "4.2.2"}, MailboxFull)
	f(Reply{Code: 552, Enhanced: "5.2.2"}, MailboxFull)
	f(Reply{Code: 538, Enhanced: "5.7.11"}, AuthRequired)
	f(Reply{Code: 550, Enhanced: "5.7.1"}, ReasonOther)
	f(Reply{Code: 421}, ReasonOther)
	f(Reply{Code: 550, Enhanced: "5.7.1", Reason: DMARCRejected}, DMARCRejected)
}
