package screen

import (
	"errors"
	"strings"

	"github.com/emersion/go-msgauth/dmarc"
	"golang.org/x/net/publicsuffix"

	"postrider/engine/admit/policy"
)

// DMARCResult is the outcome of DMARC (RFC 7489) for the author that fares worst.
type DMARCResult struct {
	Result      Result
	From        string             // the author's domain
	Disposition policy.Disposition // that the owner of the domain wants; see TooManyAuthors
	// TooManyAuthors means that the From fields have more domains than are looked at, or
	// more octets. Then the Disposition is Reject, whatever their policies are.
	TooManyAuthors bool
}

// maxAuthors bounds the domains of one From field that are looked at.
const maxAuthors = 5

// dmarc checks the authors. A message with several gets what the worst of them gets:
// otherwise one more author would be the way around every policy (section 6.6.1). One
// with more than can be looked at is refused for the same reason: no legitimate mail
// has so many, and any author that is left out may have a policy.
func (c *Check) dmarc(froms []string) DMARCResult {
	if len(froms) == 0 {
		return DMARCResult{Result: PermError}
	}
	if len(froms) > maxAuthors {
		return DMARCResult{Result: PermError, Disposition: policy.Reject, TooManyAuthors: true}
	}
	worst := c.dmarcOf(froms[0])
	for _, from := range froms[1:] {
		r := c.dmarcOf(from)
		if r.Disposition > worst.Disposition || r.Disposition == worst.Disposition && worst.Result == Pass {
			worst = r
		}
	}
	return worst
}

func (c *Check) dmarcOf(from string) DMARCResult {
	r := DMARCResult{From: from}
	record, found, err := c.record(from)
	switch {
	case errors.Is(err, dmarc.ErrNoPolicy):
		r.Result = None
		return r
	case err != nil && dmarc.IsTempFail(err):
		r.Result = TempError
		return r
	case err != nil:
		r.Result = PermError
		return r
	}
	evaluate := func(outcome Result) (bool, policy.Disposition) {
		return policy.EvaluateDMARC(record, found, c.verdict.facts(from, outcome), organization, c.roll)
	}
	pass, d := evaluate(Pass)
	if pass {
		r.Result = Pass
		return r
	}
	// A failed lookup may be why nothing is proven, but only for a domain that could
	// prove this author: a signature of any other domain, whose name servers are silent,
	// would be a way around the policy (section 6.6.3).
	if unsure, _ := evaluate(TempError); unsure {
		r.Result = TempError
		return r
	}
	r.Result, r.Disposition = Fail, d
	return r
}

// record finds the record of a domain, or that of its organization.
func (c *Check) record(domain string) (r policy.DMARCRecord, found string, err error) {
	for _, found = range []string{domain, organization(domain)} {
		var record *dmarc.Record
		record, err = dmarc.LookupWithOptions(found, &dmarc.LookupOptions{
			LookupTXT: func(name string) ([]string, error) { return c.vetter.Names.LookupTXT(c.ctx, name) },
		})
		if err == nil {
			return translated(record), found, nil
		}
		if !errors.Is(err, dmarc.ErrNoPolicy) {
			break
		}
	}
	return r, "", err
}

func translated(r *dmarc.Record) policy.DMARCRecord {
	words := map[dmarc.Policy]policy.Disposition{dmarc.PolicyQuarantine: policy.Quarantine, dmarc.PolicyReject: policy.Reject}
	t := policy.DMARCRecord{
		Policy: words[r.Policy], Subdomain: words[r.Policy], Percent: 100,
		StrictDKIM: r.DKIMAlignment == dmarc.AlignmentStrict, StrictSPF: r.SPFAlignment == dmarc.AlignmentStrict,
	}
	if r.SubdomainPolicy != "" {
		t.Subdomain = words[r.SubdomainPolicy]
	}
	if r.Percent != nil {
		t.Percent = *r.Percent
	}
	return t
}

// organization is the organizational domain by the public suffix list (section 3.2).
func organization(domain string) string {
	o, err := publicsuffix.EffectiveTLDPlusOne(strings.ToLower(domain))
	if err != nil {
		return domain
	}
	return o
}
