package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"
)

// Security is how a connection comes under TLS.
type Security string

// The ways.
const (
	TLS      Security = "tls"      // from the first octet (RFC 8314)
	StartTLS Security = "starttls" // by STLS or STARTTLS, and not without
	Clear    Security = "none"     // not at all: with this host only, unless Host.ClearText
)

// Host is a server, and our account there.
type Host struct {
	Addr     string // host:port
	Security Security
	Roots    *x509.CertPool // whose certificates are believed; nil: the system's, and on this host any that signs itself
	// AnyCertificate accepts every certificate, so that an attacker on the way can read
	// the password and the mail.
	AnyCertificate bool
	// ClearText sends password and mail without TLS to other hosts too.
	ClearText      bool
	User, Password string
}

// The time limits: of making a connection with its TLS handshake, and of each wait for
// the host. A POP3 server may be slow with a large maildrop.
const (
	connectLimit = 30 * time.Second
	answerLimit  = 5 * time.Minute
)

// ErrRefused is a host's refusal to let us in: name, password or mechanism.
var ErrRefused = errors.New("the login was refused")

// timed is a connection on which no wait is longer than answerLimit.
type timed struct {
	net.Conn
	unhook func() bool // ends the watch over the context
}

func (t *timed) Read(p []byte) (int, error) {
	_ = t.SetReadDeadline(time.Now().Add(answerLimit))
	return t.Conn.Read(p)
}

func (t *timed) Write(p []byte) (int, error) {
	_ = t.SetWriteDeadline(time.Now().Add(answerLimit))
	return t.Conn.Write(p)
}

func (t *timed) Close() error {
	t.unhook()
	return t.Conn.Close()
}

// dial connects. The end of ctx ends the connection, whatever waits on it.
func (h *Host) dial(ctx context.Context) (net.Conn, error) {
	switch h.Security {
	case TLS, StartTLS, Clear:
	default:
		return nil, fmt.Errorf("%s: unknown security %q: expected tls, starttls or none", h.Addr, h.Security)
	}
	d := net.Dialer{Timeout: connectLimit}
	c, err := d.DialContext(ctx, "tcp", h.Addr)
	if err != nil {
		return nil, err
	}
	if !h.Security.private() && !h.ClearText && !isLoopback(c.RemoteAddr()) {
		_ = c.Close()
		return nil, fmt.Errorf("%s is another host, and without TLS the password and the mail can be read on the way: set the security to tls or starttls (or allow it, --clear-text)", h.Addr)
	}
	t := &timed{Conn: c, unhook: context.AfterFunc(ctx, func() { _ = c.Close() })}
	if h.Security != TLS {
		return t, nil
	}
	under, err := h.handshake(ctx, t)
	if err != nil {
		_ = t.Close()
		return nil, err
	}
	return under, nil
}

func (s Security) private() bool { return s == TLS || s == StartTLS }

// handshake puts a connection under TLS.
func (h *Host) handshake(ctx context.Context, c net.Conn) (*tls.Conn, error) {
	name, _, err := net.SplitHostPort(h.Addr)
	if err != nil {
		return nil, err
	}
	settings := &tls.Config{ServerName: name, RootCAs: h.Roots, MinVersion: tls.VersionTLS12, InsecureSkipVerify: h.AnyCertificate}
	if h.Roots == nil && !h.AnyCertificate && isLoopback(c.RemoteAddr()) {
		settings.InsecureSkipVerify, settings.VerifyConnection = true, verifyLocal
	}
	under := tls.Client(c, settings)
	ctx, cancel := context.WithTimeout(ctx, connectLimit)
	defer cancel()
	err = under.HandshakeContext(ctx)
	if _, untrusted := errors.AsType[*tls.CertificateVerificationError](err); untrusted {
		return nil, fmt.Errorf("the certificate of %s is not trusted: %w (name the authority's file with --ca-file)", h.Addr, err)
	}
	if err != nil {
		return nil, fmt.Errorf("TLS with %s: %w", h.Addr, err)
	}
	return under, nil
}

// verifyLocal verifies a server on this host. Besides certificates that the system trusts
// it accepts one that is signed by itself: the server made it at its first start, and there
// is no way to this host that an attacker could be on.
func verifyLocal(s tls.ConnectionState) error {
	leaf, now, between := s.PeerCertificates[0], time.Now(), x509.NewCertPool()
	if isSelfSigned(leaf) && now.After(leaf.NotBefore) && now.Before(leaf.NotAfter) {
		return nil
	}
	for _, c := range s.PeerCertificates[1:] {
		between.AddCert(c)
	}
	_, err := leaf.Verify(x509.VerifyOptions{DNSName: s.ServerName, Intermediates: between})
	if err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: s.PeerCertificates, Err: err}
	}
	return nil
}

func isSelfSigned(c *x509.Certificate) bool {
	return bytes.Equal(c.RawIssuer, c.RawSubject) && c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
}

func isLoopback(a net.Addr) bool {
	t, ok := a.(*net.TCPAddr)
	return ok && t.IP.IsLoopback()
}

// described describes a session: "TLS 1.3, SCRAM-SHA-256-PLUS".
func described(c net.Conn, mechanism string) string {
	how := "clear text"
	if under, ok := c.(*tls.Conn); ok {
		how = tls.VersionName(under.ConnectionState().Version)
	}
	if mechanism == "" {
		return how + ", without a login"
	}
	return how + ", " + mechanism
}
