package config

import (
	"fmt"
	"runtime"
	"strings"
	"time"

	"postrider/codec/address"
)

// TLS is the group [tls].
type TLS struct {
	Certificates     []CertFile // the first is the default one
	SelfSigned       bool       // make one when there is none
	MinVersion       TLSVersion // except at port 25
	SMTPMinVersion   TLSVersion // for STARTTLS at smtp.listen
	HandshakeTimeout time.Duration
	MaxHandshakes    int    // open at once
	ClientHandshakes string // a rate, for limit.ParseRate; "": no limit
	Tokens           int    // handshakes that compute at once; 0: half the cores
	ReloadEvery      time.Duration

	ClientCertificates ClientCertificates
	ClientRoots        string // path of a PEM file

	ACMEDomains   []string
	ACMEListen    []string // host:port
	ACMEDirectory string   // URL
	ACMETerms     bool     // accepted
	ACMEEmail     string
}

// CertFile is a certificate: PEM files of its chain, leaf first, and of its key.
type CertFile struct{ Cert, Key string }

// TLSVersion is a version of TLS.
type TLSVersion string

// The values of tls.min_version and tls.smtp_min_version.
const (
	TLS10 TLSVersion = "1.0"
	TLS11 TLSVersion = "1.1"
	TLS12 TLSVersion = "1.2"
	TLS13 TLSVersion = "1.3"
)

// ClientCertificates is what clients are asked for.
type ClientCertificates string

// The values of tls.client_certificates.
const (
	CertificatesOff      ClientCertificates = "off"
	CertificatesAsked    ClientCertificates = "ask"
	CertificatesRequired ClientCertificates = "require"
)

// certFile reads a file that holds both, or the two with a blank between.
func certFile(s string) (f CertFile, err error) {
	words := strings.Fields(s)
	switch len(words) {
	case 1:
		return CertFile{words[0], words[0]}, nil
	case 2:
		return CertFile{words[0], words[1]}, nil
	}
	return f, fmt.Errorf("%q: expected one file, or two separated by a space", s)
}

// String is the certificate as certFile reads it.
func (f CertFile) String() string {
	if f.Cert == f.Key {
		return f.Cert
	}
	return f.Cert + " " + f.Key
}

// HasTLS reports whether there is a certificate to speak TLS with.
func (c *Config) HasTLS() bool {
	return len(c.TLS.Certificates) > 0 || c.TLS.SelfSigned || len(c.TLS.ACMEDomains) > 0
}

// HandshakeTokens is how many TLS handshakes compute at once. The rest of the cores
// is for clients that are connected already.
func (c *Config) HandshakeTokens() int {
	if c.TLS.Tokens == 0 {
		return max(1, runtime.NumCPU()/2)
	}
	return c.TLS.Tokens
}

// keysOfTLS returns the keys of encryption towards clients.
func keysOfTLS(c *Config) []*Key {
	return []*Key{
		list("tls.certificates", &c.TLS.Certificates, nil, certFile, CertFile.String, "PEM files: \"CERTIFICATES KEY\", or one file with both").
			help("Certificates, chosen by the name that the client asks for (SNI); the first is for all other names. A name may have one with an ECDSA key and one with an RSA key: clients get the first if they support it. The files are read again when they change."),
		boolean("tls.self_signed", &c.TLS.SelfSigned, true).
			help("Without tls.certificates, create a self-signed certificate (in the data directory, once). False: no TLS without certificates."),
		choice("tls.min_version", &c.TLS.MinVersion, TLS12, TLS13).
			help("Minimum version of TLS."),
		choice("tls.smtp_min_version", &c.TLS.SMTPMinVersion, TLS12, TLS10, TLS11, TLS13).
			help("The same for STARTTLS at smtp.listen, where old servers fall back to no encryption at all (RFC 7435)."),
		duration("tls.handshake_timeout", &c.TLS.HandshakeTimeout, 30*time.Second, time.Second, 10*time.Minute).
			help("How long a handshake may take."),
		count("tls.max_handshakes", &c.TLS.MaxHandshakes, 4096, 1, 1_000_000).
			help("Maximum number of handshakes at once, 20 KiB each; over it STARTTLS gets 454, other connections are closed."),
		text("tls.client_handshakes", &c.TLS.ClientHandshakes, "", rate, "COUNT/TIME, such as 600/1m, or empty").
			help("How many TLS handshakes a client (an IPv4 address, an IPv6 /64) may begin in a time; over it STARTTLS gets 454, other connections are closed. This host and smtp.trusted_networks have no limit. Empty: no limit. Many clients may share one address."),
		count("tls.tokens", &c.TLS.Tokens, 0, 0, 1024).
			help("Maximum number of handshakes that use a CPU at once; 0: half the cores."),
		choice("tls.client_certificates", &c.TLS.ClientCertificates, CertificatesOff, CertificatesAsked, CertificatesRequired).
			help("Whether to ask clients for a certificate by an authority of tls.client_roots. \"ask\": a valid one is logged and named in the Received field, others are ignored. \"require\": clients without a valid one are refused, and there is no login without TLS; at smtp.listen, where other hosts deliver mail, it is asked for only, and there is no login. A login is needed in addition."),
		text("tls.client_roots", &c.TLS.ClientRoots, "", anyString, "a path, or empty").
			help("PEM file with the certificate authorities for tls.client_certificates. It is read again when it changes."),
		list("tls.acme_domains", &c.TLS.ACMEDomains, nil, address.ParseDomain, sameString, "host names").
			help("Names to get and renew certificates for by ACME (RFC 8555), from an authority such as Let's Encrypt. Each has to resolve to this host. Until the first certificate is issued, a self-signed one is used."),
		list("tls.acme_listen", &c.TLS.ACMEListen, nil, hostPort, sameString, "HOST:PORT, as 0.0.0.0:80").
			help("Addresses to listen on for the HTTP challenges by which the authority validates the names of tls.acme_domains. It connects to port 80; no other request is answered there."),
		boolean("tls.acme_accept_terms", &c.TLS.ACMETerms, false).
			help("Accept the authority's terms of service. Without it no certificates are requested."),
		text("tls.acme_email", &c.TLS.ACMEEmail, "", anyString, "an address, or empty").
			help("Contact address for the authority's messages about the certificates."),
		text("tls.acme_directory", &c.TLS.ACMEDirectory, "https://acme-v02.api.letsencrypt.org/directory", anyString, "a URL").
			help("URL of the authority's directory."),
		duration("tls.reload_every", &c.TLS.ReloadEvery, time.Minute, time.Second, day).
			help("How often the certificate files are checked for changes; SIGHUP reads them at once."),
	}
}
