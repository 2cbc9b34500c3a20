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

// Security finds what TLS the connections to other hosts have to show: by the
// configuration, by TLSA records and by MTA-STS policies. It is safe for use by many
// goroutines.
type Security struct {
	ctx   context.Context
	rules *tlspolicy.Rules
	hosts *mx.Finder
	sts   *mtasts.Cache // nil: not looked for
	roots *x509.CertPool
	log   *slog.Logger
	clear clearHosts
	told  sync.Once
}

// NewSecurity reads the authorities; what it fetches later ends with ctx.
func NewSecurity(ctx context.Context, set SecuritySettings, hosts *mx.Finder, log *slog.Logger) (*Security, error) {
	roots, err := readRoots(set.Roots)
	if err != nil {
		return nil, err
	}
	s := &Security{ctx: ctx, rules: set.Rules, hosts: hosts, roots: roots, log: log}
	if set.MTASTS {
		s.sts = mtasts.New(ctx, mtasts.Options{Names: hosts.Names(), Hosts: hosts.Addrs, Roots: roots, Log: log})
	}
	return s, nil
}

// readRoots reads the authorities of a file, "" those of the system. Without any,
// no certificate is valid.
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
		return nil, fmt.Errorf("relay.tls_roots: there is no certificate in %s: it has to be a PEM file", path)
	}
	return roots, nil
}

// Bearing is what is known of a next hop before its hosts are tried.
type Bearing struct {
	s     *Security
	Level tlspolicy.Level
	Rule  string         // the key that it comes from
	STS   *tlspolicy.STS // nil: none, or it is not looked for
	Note  string         // what went wrong with the policy; or ""

	domain string // "" for a hop that the configuration names
}

// Bearing finds what is demanded of a next hop. It may wait for a policy, but not
// for long.
func (s *Security) Bearing(ctx context.Context, hop router.Hop) *Bearing {
	b := &Bearing{s: s}
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

// Demand is what a host of the answer about the next hop has to show. The error says
// why the host must not be used now.
func (b *Bearing) Demand(ctx context.Context, answer *mx.Answer, host mx.Host) (tlspolicy.Demand, error) {
	c := tlspolicy.Case{Level: b.Level, Rule: b.Rule, Domain: b.domain, Host: host.Name, STS: b.STS}
	if b.Level != tlspolicy.None && answer.Secure && host.Secure {
		c.Found, c.TLSA = b.s.tlsa(ctx, host)
	}
	return tlspolicy.Decide(c)
}

// tlsa finds the records about the certificate of a host.
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

// tell logs, once, whether TLSA records can count: without a name server
// that is believed, no host seems to have any.
func (s *Security) tell() {
	s.told.Do(func() {
		go func() {
			if yes, why := s.hosts.Names().Vouches(s.ctx); yes {
				s.log.Info("DANE is on", "because", why, slog.String("daemon", "smtp"))
			} else {
				s.log.Info("DANE is off", "because", why, slog.String("daemon", "smtp"))
			}
		}()
	})
}
