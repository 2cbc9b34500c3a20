package agent

import "testing"

// What another host says decides about no more than which of a fixed number of counters counts.
func TestResults_add(t *testing.T) {
	f := func(o Outcome, status string, class, subject int) {
		t.Helper()
		var r Results
		r.add(ToOtherHosts, o, status)
		if r[ToOtherHosts][o][class][subject].Load() != 1 {
			t.Errorf("%s %q is not counted as class %d, subject %d", o, status, class, subject)
		}
	}
	f(Sent, "2.0.0", 0, 0)
	f(Sent, "2.6.0", 0, 6)
	f(Deferred, "4.4.1", 1, 4)
	f(Bounced, "5.1.1", 2, 1)
	f(Bounced, "5.7.999", 2, 7)
	f(Expired, "4.7.0", 1, 7)
	f(Deferred, "4.8.0", 1, Subjects-1)
	f(Deferred, "4.x.0", 1, Subjects-1)
	f(Deferred, "4.44.1", 1, Subjects-1)
	f(Sent, "", 0, Subjects-1)
	f(Bounced, "9.9.9", 1, Subjects-1)
	f(Bounced, "\xff\xff\xff\xff\xff\xff", 1, Subjects-1)
	for o := range Outcomes {
		if o.String() == "" {
			t.Errorf("outcome %d has no name", o)
		}
	}
}
