package tlsio

import "crypto/tls"

// Policy is what the listeners of one protocol do differently.
type Policy struct {
	// MinVersion is the oldest version that is spoken, tls.VersionTLS12 for one.
	MinVersion uint16
	// Tickets: clients may resume. Never at port 25: Exchange Online gives up when
	// Go sends its ticket, and falls back to nothing (golang/go#70232).
	Tickets bool
	// Protocols of ALPN. With any, a client that offers others only is refused; one
	// that offers none is not.
	Protocols []string
}

// Config makes the configuration of those listeners. It is shared by all their
// sessions and never cloned. Certificates come from store alone: with a list in the
// Config, a client that asks for no name would be served from that.
func (p Policy) Config(store *CertStore) *tls.Config {
	return &tls.Config{
		GetCertificate:         store.Pick,
		MinVersion:             p.MinVersion,
		NextProtos:             p.Protocols,
		SessionTicketsDisabled: !p.Tickets,
		// Records of 16 KiB from the start: the others save a browser some
		// milliseconds and cost a mail server half as much again.
		DynamicRecordSizingDisabled: true,
	}
}
