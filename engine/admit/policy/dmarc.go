package policy

import "strings"

// Disposition is what the owner of a domain wants done with mail that fails DMARC.
type Disposition uint8

// The dispositions.
const (
	DoNothing  Disposition = iota // p=none, or no record
	Quarantine                    // p=quarantine
	Reject                        // p=reject
)

// String is the word of the record.
func (d Disposition) String() string { return [...]string{"none", "quarantine", "reject"}[d] }

// DMARCRecord is what counts of the record of a domain (RFC 7489 section 6.3).
type DMARCRecord struct {
	Policy     Disposition
	Subdomain  Disposition // for its subdomains without a record
	StrictDKIM bool
	StrictSPF  bool
	Percent    int // share of messages that the policy is meant for
}

// DMARCFacts is what a message has proven.
type DMARCFacts struct {
	From string   // the domain of the author, in lower case
	SPF  string   // the domain that passed SPF; "": none
	DKIM []string // the domains whose signatures are good
}

// EvaluateDMARC reports whether the author's domain is proven and, if not, what its
// owner wants (RFC 7489 section 6.6.2). found is the domain that has the record:
// From itself, or its organizational domain, which organization returns for a domain.
// roll, 0 to 99, decides whether the message is one of Percent; the others get the
// next milder disposition (section 6.6.4).
func EvaluateDMARC(r DMARCRecord, found string, f DMARCFacts, organization func(string) string, roll int) (pass bool, d Disposition) {
	if f.SPF != "" && aligned(f.SPF, f.From, r.StrictSPF, organization) {
		return true, DoNothing
	}
	for _, domain := range f.DKIM {
		if aligned(domain, f.From, r.StrictDKIM, organization) {
			return true, DoNothing
		}
	}
	d = r.Policy
	if !strings.EqualFold(found, f.From) {
		d = r.Subdomain
	}
	if d != DoNothing && roll >= r.Percent {
		d--
	}
	return false, d
}

// aligned is identifier alignment (section 3.1).
func aligned(proven, from string, strict bool, organization func(string) string) bool {
	proven, from = strings.ToLower(proven), strings.ToLower(from)
	if strict || proven == from {
		return proven == from
	}
	return organization(proven) == organization(from)
}
