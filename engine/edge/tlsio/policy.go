package tlsio

import "crypto/tls"

// Policy is the TLS configuration for the listeners of one protocol.
type Policy struct {
	// MinVersion is the oldest version that is spoken, tls.VersionTLS12 for one.
	MinVersion uint16
	// Tickets: clients may resume. Never at port 25: Exchange Online gives up when
	// Go sends its ticket, and falls back to nothing (golang/go#70232).
	Tickets bool
	// Protocols are offered by ALPN. If there are any, a client that offers only others is
	// refused; a client that offers none is not.
	Protocols []string
	// Clients has the authorities for certificates of clients; nil: clients are not asked
	// for one. Demanded: clients without one are turned away.
	Clients  *ClientStore
	Demanded bool
}

// Config makes the configuration for the listeners with this policy. It is shared by all their
// sessions and never cloned. Certificates come from store alone: with a list in the
// Config, a client that asks for no name would be served from that.
func (p Policy) Config(store *CertStore) *tls.Config {
	cfg := &tls.Config{
		GetCertificate:         store.Pick,
		MinVersion:             p.MinVersion,
		CipherSuites:           p.suites(),
		NextProtos:             p.Protocols,
		SessionTicketsDisabled: !p.Tickets,
		// Records of 16 KiB from the start: the others save a browser some
		// milliseconds and cost a mail server half as much again.
		DynamicRecordSizingDisabled: true,
	}
	if p.Clients != nil {
		p.Clients.ask(cfg, p.Demanded)
	}
	return cfg
}

// suites returns the cipher suites of TLS 1.2 with forward secrecy and authenticated
// encryption; all suites of TLS 1.3 have both. Where older versions are allowed it
// returns the default of crypto/tls, since they know CBC alone.
func (p Policy) suites() []uint16 {
	if p.MinVersion < tls.VersionTLS12 {
		return nil
	}
	return []uint16{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	}
}
