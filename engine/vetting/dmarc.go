package vetting

import (
	"errors"
	"strings"

	"github.com/emersion/go-msgauth/dmarc"
	"golang.org/x/net/publicsuffix"

	"postrider/engine/policy"
)

// DMARCResult is the outcome of DMARC (RFC 7489) for the author that fares worst.
type DMARCResult struct {
	Result      Result
	From        string             // the author's domain
	Disposition policy.Disposition // that the owner of the domain wants
}

// maxAuthors bounds the domains of one From field that are looked at.
const maxAuthors = 5

// dmarc checks the authors. A message with several gets what the worst of them gets:
// otherwise one more author would be the way around every policy (section 6.6.1).
func (c *Check) dmarc(froms []string) DMARCResult {
	if len(froms) == 0 || len(froms) > maxAuthors {
		return DMARCResult{Result: PermError}
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
	pass, d := policy.EvaluateDMARC(record, found, c.verdict.facts(from), organization, c.roll)
	switch {
	case pass:
		r.Result = Pass
	case c.verdict.unsure():
		r.Result = TempError
	default:
		r.Result, r.Disposition = Fail, d
	}
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
