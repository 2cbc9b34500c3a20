package agent

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"sync"

	"postrider/engine/mail/router"
	"postrider/engine/relay/mtasts"
	"postrider/engine/relay/mx"
	"postrider/engine/relay/tlspolicy"
)

// Security finds what TLS the connections to other hosts have to show. The configuration,
// TLSA records and MTA-STS policies demand it. Security is safe for use by many goroutines.
type Security struct {
	ctx   context.Context
	rules *tlspolicy.Rules
	hosts *mx.Finder
	sts   *mtasts.Cache // nil: no MTA-STS
	roots *x509.CertPool
	log   *slog.Logger
	clear *clearHosts

	daneLogged sync.Once
}

// NewSecurity reads the file of authorities. The end of ctx cancels later fetches of
// policies.
func NewSecurity(ctx context.Context, set SecuritySettings, hosts *mx.Finder, log *slog.Logger) (*Security, error) {
	roots, err := readRoots(set.Roots)
	if err != nil {
		return nil, err
	}
	s := &Security{ctx: ctx, rules: set.Rules, hosts: hosts, roots: roots, log: log, clear: new(clearHosts)}
	if set.MTASTS {
		s.sts = mtasts.New(ctx, mtasts.Options{Names: hosts.Names(), Hosts: hosts.Addrs, Roots: roots, Log: log})
	}
	return s, nil
}

// resume takes over what is remembered of hosts, and with the same authorities the policies.
func (s *Security) resume(before *Security, sameRoots bool) {
	s.clear = before.clear
	if sameRoots && s.sts != nil && before.sts != nil {
		s.sts = before.sts
	}
}

// readRoots reads the authorities from a PEM file, or with "" from the system. Without
// authorities no certificate is valid.
func readRoots(path string) (*x509.CertPool, error) {
	if path == "" {
		roots, err := x509.SystemCertPool()
		if err != nil {
			roots = x509.NewCertPool()
		}
		return roots, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("relay.tls_roots: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("relay.tls_roots: no certificate in %s: expected a PEM file", path)
	}
	return roots, nil
}

// NextHopSecurity is what TLS a next hop has to show, as far as it is known before the
// hosts are tried.
type NextHopSecurity struct {
	s     *Security
	Level tlspolicy.Level
	Rule  string         // the key that Level comes from
	STS   *tlspolicy.STS // the MTA-STS policy; nil: none, or not looked for
	Note  string         // why the policy could not be fetched; or ""

	domain string // "" for a next hop that the configuration names
}

// ForNextHop finds what is demanded of a next hop. It may wait a short time for a policy.
func (s *Security) ForNextHop(ctx context.Context, hop router.Hop) *NextHopSecurity {
	b := &NextHopSecurity{s: s}
	b.Level, b.Rule = s.rules.Level(hop.String(), hop.Host)
	if hop.Kind != router.ByMX {
		return b
	}
	b.domain = hop.Host
	if s.sts == nil || b.Level == tlspolicy.None {
		return b
	}
	f := s.sts.For(ctx, hop.Host)
	b.STS, b.Note = f.Policy, f.Note
	return b
}

// Demand returns what a next hop's host has to show. The error is the reason why the
// host must not be used now.
func (b *NextHopSecurity) Demand(ctx context.Context, answer *mx.Answer, host mx.Host) (tlspolicy.Demand, error) {
	c := tlspolicy.Case{Level: b.Level, Rule: b.Rule, Domain: b.domain, Host: host.Name, STS: b.STS}
	if b.Level != tlspolicy.None && answer.Secure && host.Secure {
		c.Found, c.TLSA = b.s.tlsa(ctx, host)
	}
	return tlspolicy.Decide(c)
}

// tlsa looks up a host's TLSA records.
func (s *Security) tlsa(ctx context.Context, host mx.Host) (found []tlspolicy.TLSA, lookup tlspolicy.Lookup) {
	records, err := s.hosts.Names().TLSA(ctx, host.Name, host.Addr.Port())
	switch {
	case err != nil:
		return nil, tlspolicy.LookupFailed
	case len(records) == 0:
		return nil, tlspolicy.LookupNone
	}
	for _, r := range records {
		found = append(found, tlspolicy.TLSA(r))
	}
	return found, tlspolicy.LookupFound
}

// logDANEOnce logs once whether TLSA records count. Without a name server that validates
// DNSSEC they don't.
func (s *Security) logDANEOnce() {
	s.daneLogged.Do(func() {
		go func() {
			if yes, why := s.hosts.Names().Validates(s.ctx); yes {
				s.log.Info("DANE is on", "reason", why, slog.String("daemon", "smtp"))
			} else {
				s.log.Info("DANE is off", "reason", why, slog.String("daemon", "smtp"))
			}
		}()
	})
}
