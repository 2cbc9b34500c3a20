package conn

import (
	"net/netip"
	"sync"
	"time"

	"postrider/engine/edge/limit"
)

// Pace bounds how often one client begins a TLS handshake. A handshake takes half a
// millisecond of CPU or more, and costs the client a few octets.
type Pace struct {
	mu    sync.Mutex
	text  string
	rates *limit.Buckets[netip.Prefix]
}

// NewPace makes a Pace that remembers max clients. rate is as limit.ParseRate reads it, and
// valid: the configuration has checked it.
func NewPace(rate string, max int) *Pace {
	r, _ := limit.ParseRate(rate)
	return &Pace{text: rate, rates: limit.NewBuckets[netip.Prefix](r, max)}
}

// Configure replaces the rate, as NewPace takes it. What clients have begun stays counted.
// One call at a time.
func (p *Pace) Configure(rate string, max int) {
	r, _ := limit.ParseRate(rate)
	p.mu.Lock()
	p.text = rate
	p.mu.Unlock()
	p.rates.Configure(r, max, float64(r.Count), time.Now(), &p.mu)
}

// Rate returns the rate that counts now.
func (p *Pace) Rate() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text
}

// take counts a handshake, and reports whether the client's rate allows it.
func (p *Pace) take(ip netip.Addr) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rates.Take(limit.Client(ip), time.Now())
}

// TLSTooOften reports whether the client begins handshakes faster than
// tls.client_handshakes allows.
func (s *Session) TLSTooOften() bool {
	if s.Trusted || s.IP.IsLoopback() || s.Port.Edge.TLS.Pace.take(s.IP) {
		return false
	}
	s.Port.Edge.Stats.TLSPaced.Add(1)
	if s.Logs() {
		s.Port.Edge.info("too many TLS handshakes from " + s.Client() + " (tls.client_handshakes " + s.Port.Edge.TLS.Pace.Rate() + ")")
	}
	return true
}
