package engine

import (
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"

	"postrider/codec/sasl"
)

// channelBinding makes the function that SCRAM-SHA-256-PLUS is bound with: what
// both ends of a TLS session know, and nobody between them. ours is the
// certificate that the session was begun with; nil: there is only the exporter.
// It computes on demand, in microseconds: few sessions ask.
func channelBinding(state *tls.ConnectionState, ours *x509.Certificate) func(kind string) []byte {
	return func(kind string) []byte {
		switch {
		case kind == sasl.TLSExporter:
			// RFC 9266 section 2. TLS 1.2 without the extended master secret has none.
			data, err := state.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32)
			if err != nil {
				return nil
			}
			return data
		case kind == sasl.TLSServerEndPoint && ours != nil:
			return endPoint(ours)
		}
		return nil
	}
}

// endPoint is tls-server-end-point (RFC 5929 section 4.1): the certificate hashed
// as its signature says, but never by less than SHA-256.
func endPoint(c *x509.Certificate) []byte {
	switch c.SignatureAlgorithm {
	case x509.SHA384WithRSA, x509.SHA384WithRSAPSS, x509.ECDSAWithSHA384:
		sum := sha512.Sum384(c.Raw)
		return sum[:]
	case x509.SHA512WithRSA, x509.SHA512WithRSAPSS, x509.ECDSAWithSHA512:
		sum := sha512.Sum512(c.Raw)
		return sum[:]
	case x509.UnknownSignatureAlgorithm, x509.PureEd25519:
		return nil // the RFC defines none
	}
	sum := sha256.Sum256(c.Raw)
	return sum[:]
}
