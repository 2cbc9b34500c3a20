package conn

import (
	"net/netip"
	"sync"
	"time"

	"postrider/engine/edge/limit"
)

// Pace bounds how often one client begins a TLS handshake: half a millisecond of CPU
// or two each, which a client has us spend for a few octets.
type Pace struct {
	text string

	mu    sync.Mutex
	rates *limit.Buckets[netip.Prefix]
}

// NewPace returns a Pace for each client, which remembers max clients. rate is for
// limit.ParseRate, and was checked when it was read.
func NewPace(rate string, max int) *Pace {
	r, _ := limit.ParseRate(rate)
	return &Pace{text: rate, rates: limit.NewBuckets[netip.Prefix](r, max)}
}

// take books a handshake of the client, or says that it has to wait.
func (p *Pace) take(ip netip.Addr) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rates.Take(limit.Client(ip), time.Now())
}

// TLSTooOften says whether the client begins handshakes faster than
// tls.client_handshakes lets it.
func (s *Session) TLSTooOften() bool {
	if s.Trusted || s.IP.IsLoopback() || s.edge.TLS.Pace.take(s.IP) {
		return false
	}
	s.edge.Stats.TLSPaced.Add(1)
	s.edge.info("too many TLS handshakes from " + s.Client() + " (tls.client_handshakes " + s.edge.TLS.Pace.text + ")")
	return true
}
