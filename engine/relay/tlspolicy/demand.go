package tlspolicy

import (
	"errors"
	"fmt"
)

// Lookup is the outcome of the lookup of a host's TLSA records.
type Lookup uint8

// The ends of it.
const (
	LookupNone   Lookup = iota // there are none, or none that DNSSEC vouches for
	LookupFound                // there are some, and DNSSEC vouches for them
	LookupFailed               // unknown now
)

// Case is what is known before a host is connected to.
type Case struct {
	Level  Level  // what the operator demands
	Rule   string // by which key
	Domain string // the destination, if its hosts were found by MX; or ""
	Host   string // the name of the mail host
	STS    *STS   // policy of Domain; nil: none is known
	TLSA   Lookup
	Found  []TLSA // with LookupFound
}

// Demand is what the connection to a host has to show.
type Demand struct {
	Level   Level
	By      string   // what demands it: a key, "MTA-STS", "DANE"
	Names   []string // that a certificate may be for; the first is the host's
	Records []TLSA   // at level DANE: the usable ones
	// Testing: an MTA-STS policy that is not enforced yet demands more. What it would
	// find wrong is only reported.
	Testing bool
}

// Decide returns what a host has to show. The error tells why it must not be used now.
func Decide(c Case) (Demand, error) {
	d := Demand{Level: c.Level, By: c.Rule, Names: []string{c.Host}}
	if c.Level == None {
		return d, nil
	}
	switch {
	case c.TLSA == LookupFailed:
		return d, fmt.Errorf("TLSA lookup error for %s: no answer from the name servers", c.Host)
	case c.TLSA == LookupFound:
		for _, r := range c.Found {
			if r.Usable() {
				d.Records = append(d.Records, r)
			}
		}
		if len(d.Records) > 0 {
			d.Level, d.By = DANE, "DANE"
			if c.Domain != "" && c.Domain != c.Host {
				d.Names = append(d.Names, c.Domain)
			}
			return d, nil
		}
		if c.Level == DANE {
			return d, fmt.Errorf("%s demands dane, and no TLSA record of %s is usable for SMTP", c.Rule, c.Host)
		}
		if d.Level < Encrypt {
			d.Level, d.By = Encrypt, "DANE"
		}
		return d, nil
	case c.Level == DANE:
		return d, fmt.Errorf("%s demands dane, and no TLSA records of %s are known that DNSSEC vouches for", c.Rule, c.Host)
	}
	return d, d.addSTS(c)
}

// errNotListed is what is wrong with a host that a policy does not name.
var errNotListed = errors.New("is not among the mx of the domain's MTA-STS policy")

// addSTS adds what the policy of the domain demands.
func (d *Demand) addSTS(c Case) error {
	if c.STS == nil || c.STS.Mode == ModeNone {
		return nil
	}
	if c.STS.Mode == ModeTesting {
		d.Testing = true
		return nil
	}
	if !c.STS.Allows(c.Host) {
		return fmt.Errorf("%s %w", c.Host, errNotListed)
	}
	if d.Level < Verify {
		d.Level, d.By = Verify, "MTA-STS"
	}
	return nil
}

// Optional reports whether mail may go in clear text when TLS can't be had.
func (d *Demand) Optional() bool { return d.Level <= May }

// Raise demands at least a level, by a rule.
func (d *Demand) Raise(level Level, by string) {
	if d.Level < level {
		d.Level, d.By = level, by
	}
}

// String is the demand in a line.
func (d *Demand) String() string {
	s := fmt.Sprintf("%s, by %s", d.Level, d.By)
	for i, r := range d.Records {
		lead := ", "
		if i == 0 {
			lead = ": "
		}
		s += lead + r.String()
	}
	if d.Testing {
		s += "; MTA-STS in testing"
	}
	return s
}
