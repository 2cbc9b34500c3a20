package tlsio

import (
	"crypto"
	_ "crypto/sha512" // for SHA-384 and SHA-512 of certificates
	"crypto/x509"
)

// The types of channel bindings: RFC 9266, and RFC 5929 section 4.
const (
	tlsExporter       = "tls-exporter"
	tlsServerEndPoint = "tls-server-end-point"
)

// ChannelBinding returns the data of a channel binding of this type, which SCRAM's
// -PLUS mechanisms prove; nil: there is none. tls-exporter is missing in TLS 1.2 and
// older without the extended master secret (RFC 7627), tls-server-end-point in a
// resumed session, where no certificate is sent.
func (s *Session) ChannelBinding(kind string) []byte {
	switch kind {
	case tlsExporter:
		st := s.conn.ConnectionState()
		b, err := st.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32)
		if err != nil {
			return nil
		}
		return b
	case tlsServerEndPoint:
		if s.wire.chosen == nil {
			return nil
		}
		return endPoint(s.wire.chosen.Leaf)
	}
	return nil
}

// endPoint is the hash of the certificate, by the hash of its signature but never
// by MD5 or SHA-1. A signature of no single hash, Ed25519, has no binding.
func endPoint(leaf *x509.Certificate) []byte {
	h, ok := signatureHash[leaf.SignatureAlgorithm]
	if !ok {
		return nil
	}
	d := h.New()
	d.Write(leaf.Raw)
	return d.Sum(nil)
}

var signatureHash = map[x509.SignatureAlgorithm]crypto.Hash{
	x509.SHA1WithRSA: crypto.SHA256, x509.ECDSAWithSHA1: crypto.SHA256,
	x509.SHA256WithRSA: crypto.SHA256, x509.SHA256WithRSAPSS: crypto.SHA256, x509.ECDSAWithSHA256: crypto.SHA256,
	x509.SHA384WithRSA: crypto.SHA384, x509.SHA384WithRSAPSS: crypto.SHA384, x509.ECDSAWithSHA384: crypto.SHA384,
	x509.SHA512WithRSA: crypto.SHA512, x509.SHA512WithRSAPSS: crypto.SHA512, x509.ECDSAWithSHA512: crypto.SHA512,
}
