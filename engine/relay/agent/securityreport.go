package agent

import (
	"context"
	"fmt"
	"strings"

	"postrider/engine/mail/router"
	"postrider/engine/relay/mx"
	"postrider/engine/relay/tlspolicy"
)

// SecurityReport is what TLS a next hop's hosts would have to show, for "route": as
// text, or as JSON for programs.
type SecurityReport struct {
	Level  string         `json:"level"`
	Rule   string         `json:"rule"`
	Policy string         `json:"mta_sts,omitempty"`
	DNSSEC string         `json:"dnssec"`
	Hosts  []HostSecurity `json:"hosts,omitempty"`
	Notes  []string       `json:"notes,omitempty"`
}

// HostSecurity is what TLS one host would have to show.
type HostSecurity struct {
	Host   string `json:"host"`
	Demand string `json:"demand,omitempty"`
	Fault  string `json:"fault,omitempty"` // why it would not be used
}

// Explain finds what a next hop's hosts would have to show. It connects to none.
func (s *Security) Explain(ctx context.Context, hop router.Hop, found *mx.Explanation) SecurityReport {
	b := s.ForNextHop(ctx, hop)
	o := SecurityReport{Level: b.Level.String(), Rule: b.Rule}
	if b.STS != nil {
		o.Policy = b.STS.String()
	}
	if b.Note != "" {
		o.Notes = append(o.Notes, "MTA-STS: "+b.Note)
	}
	if b.Level != tlspolicy.None {
		_, o.DNSSEC = s.hosts.Names().Validates(ctx)
	}
	answer := &mx.Answer{Hosts: found.Hosts, Secure: found.Secure}
	seen := make(map[string]bool)
	for _, host := range found.Hosts {
		if seen[host.Name] {
			continue
		}
		seen[host.Name] = true
		d, err := b.Demand(ctx, answer, host)
		one := HostSecurity{Host: host.Name, Demand: d.String()}
		if err != nil {
			one.Demand, one.Fault = "", err.Error()
		}
		o.Hosts = append(o.Hosts, one)
	}
	return o
}

// String returns a line for the next hop, one for its policy, one for each host and note.
func (o SecurityReport) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "tls: %s, by %s\n", o.Level, o.Rule)
	if o.Policy != "" {
		fmt.Fprintf(&b, "    MTA-STS: %s\n", o.Policy)
	}
	for _, h := range o.Hosts {
		if h.Fault != "" {
			fmt.Fprintf(&b, "    %s is not used: %s\n", h.Host, h.Fault)
		} else {
			fmt.Fprintf(&b, "    %s: %s\n", h.Host, h.Demand)
		}
	}
	if o.DNSSEC != "" {
		fmt.Fprintf(&b, "    note: DNSSEC: %s\n", o.DNSSEC)
	}
	for _, note := range o.Notes {
		fmt.Fprintf(&b, "    note: %s\n", note)
	}
	return b.String()
}
