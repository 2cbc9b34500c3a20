package policy

import (
	"strings"
	"testing"
)

// organization takes the last two labels.
func organization(domain string) string {
	labels := strings.Split(domain, ".")
	return strings.Join(labels[max(0, len(labels)-2):], ".")
}

// RFC 7489 appendix B.1, and sections 6.6.2 and 6.6.4.
func TestEvaluateDMARC(t *testing.T) {
	reject := DMARCRecord{Policy: Reject, Subdomain: Quarantine, Percent: 100}
	strict := DMARCRecord{Policy: Reject, StrictDKIM: true, StrictSPF: true, Percent: 100}
	half := DMARCRecord{Policy: Reject, Subdomain: DoNothing, Percent: 50}
	f := func(r DMARCRecord, found, from, spf, dkim string, roll int, pass bool, want Disposition) {
		t.Helper()
		got, d := EvaluateDMARC(r, found, DMARCFacts{from, spf, strings.Fields(dkim)}, organization, roll)
		if got != pass || d != want {
			t.Errorf("from %s spf %s dkim %s: %v %s", from, spf, dkim, got, d)
		}
	}
	f(reject, "example.com", "example.com", "example.com", "", 99, true, DoNothing)
	f(reject, "example.com", "example.com", "child.example.com", "", 99, true, DoNothing)
	f(reject, "example.com", "child.example.com", "Example.com", "", 99, true, DoNothing)
	f(reject, "example.com", "example.com", "sample.net", "", 0, false, Reject)
	f(reject, "example.com", "example.com", "", "sample.net mail.example.com", 0, true, DoNothing)
	f(reject, "example.com", "example.com", "", "badexample.com", 0, false, Reject)
	f(reject, "example.com", "child.example.com", "", "", 0, false, Quarantine)
	f(strict, "example.com", "example.com", "child.example.com", "mail.example.com", 0, false, Reject)
	f(strict, "example.com", "example.com", "example.com", "", 0, true, DoNothing)
	f(strict, "example.com", "example.com", "", "EXAMPLE.com", 0, true, DoNothing)
	f(half, "example.com", "example.com", "", "", 49, false, Reject)
	f(half, "example.com", "example.com", "", "", 50, false, Quarantine)
	f(half, "example.com", "a.example.com", "", "", 99, false, DoNothing)
	if Reject.String() != "reject" || DoNothing.String() != "none" {
		t.Error("words")
	}
}
