package engine

import (
	"net/netip"
	"sync"
	"time"

	"postrider/engine/config"
	"postrider/engine/limit"
)

// pace bounds how often one client begins a TLS handshake: half a millisecond of CPU
// or two each, which a client has us spend for a few octets.
type pace struct {
	mu    sync.Mutex
	rates *limit.Buckets[netip.Prefix]
}

func newPace(cfg *config.Config) *pace {
	r, _ := limit.ParseRate(cfg.TLS.ClientHandshakes) // it was checked when it was read
	return &pace{rates: limit.NewBuckets[netip.Prefix](r, cfg.Policy.RateEntries)}
}

// take books a handshake of the client, or says that it has to wait.
func (p *pace) take(ip netip.Addr) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rates.Take(limit.Client(ip), time.Now())
}

// tlsTooOften says whether the client begins handshakes faster than
// tls.client_handshakes lets it.
func (s *session) tlsTooOften() bool {
	if s.trusted || s.ip.IsLoopback() || s.srv.tls.pace.take(s.ip) {
		return false
	}
	s.srv.stats.tlsPaced.Add(1)
	s.srv.log.info("too many TLS handshakes from " + s.client() + " (tls.client_handshakes " + s.srv.cfg.TLS.ClientHandshakes + ")")
	return true
}
