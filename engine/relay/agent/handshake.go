package agent

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"postrider/engine/host/maillog"
	"postrider/engine/relay/mx"
	"postrider/engine/relay/tlspolicy"
	"postrider/storage"
)

// handshakeLimit is how long a TLS handshake may take, also where a command may take
// longer.
const handshakeLimit = 2 * time.Minute

// facts describe a connection under TLS.
type facts struct {
	version, cipher, group string
	trust                  tlspolicy.Trust
	chain                  []*x509.Certificate // for testPolicy; nil without a policy in testing
}

// String returns the facts in the words of Postfix's log.
func (f *facts) String() string {
	s := f.version + " with cipher " + f.cipher + " (" + f.group + ")"
	if f.trust.Verified {
		s += ", verified by " + f.trust.How
	}
	return s
}

// startTLS makes the TLS handshake and tells the machine the result.
func (p *peer) startTLS(c *Courier, id storage.EntryID) {
	p.e.StartTLS = false
	if len(p.in) > 0 {
		p.feed() // octets came after the 220: the machine ends the session
		return
	}
	var distrust error
	f := new(facts)
	conn := tls.Client(p.conn, &tls.Config{
		ServerName: serverName(p.host),
		MinVersion: tls.VersionTLS12,
		// VerifyConnection checks the demand. Most hosts have none.
		InsecureSkipVerify: true,
		VerifyConnection: func(cs tls.ConnectionState) error {
			f.trust, distrust = p.demand.Check(cs.PeerCertificates, p.set.security.roots, time.Now())
			return distrust
		},
	})
	ctx, cancel := context.WithDeadline(c.ctx, p.times.handshake(time.Now()))
	defer cancel()
	_ = p.conn.SetDeadline(time.Time{})
	err := conn.HandshakeContext(ctx)
	switch {
	case distrust != nil:
		c.Stats.TLSFailures.Add(1)
		p.distrusted = true
		p.m.TLSFailed("Server certificate not trusted: "+distrust.Error(), &p.e)
	case err != nil:
		p.noTLS = true
		c.Stats.TLSFailures.Add(1)
		p.m.TLSFailed("Cannot start TLS: handshake failure: "+plainTLS(err), &p.e)
	default:
		p.secured(conn, f)
		c.Stats.OverTLS.Add(1)
		if f.trust.Verified {
			c.Stats.Verified.Add(1)
		}
		c.info(f.trust.Word()+" TLS connection established to "+p.host.String()+": "+f.String(), maillog.SMTP, slog.String("id", id.String()))
	}
}

// secured continues the session over TLS.
func (p *peer) secured(conn *tls.Conn, f *facts) {
	cs := conn.ConnectionState()
	f.version = strings.Replace(tls.VersionName(cs.Version), "TLS ", "TLSv", 1)
	f.cipher, f.group = tls.CipherSuiteName(cs.CipherSuite), cs.CurveID.String()
	if p.demand.Testing {
		f.chain = cs.PeerCertificates
	}
	p.conn, p.tls = conn, f
	for _, d := range p.traced {
		d.Note("TLS started: " + f.version + " " + f.cipher)
		d.Secured()
	}
	p.m.Secured(&p.e)
}

// serverName is the name that the client sends in SNI (RFC 7672 section 8.1).
func serverName(h mx.Host) string { return strings.TrimSuffix(h.Name, ".") }

// plainTLS describes an error of a handshake in few words.
func plainTLS(err error) string {
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return "timed out"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "the host closed the connection"
	}
	if record, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return record.Msg
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		if op.Op == "remote error" {
			return "the host sent an alert: " + op.Err.Error()
		}
		return plainDial(err).Error()
	}
	return err.Error()
}

// channel describes the connection, for a text that has named the host.
func (p *peer) channel() string {
	switch {
	case p.tls != nil:
		return ", " + p.tls.trust.Word() + " " + p.tls.String()
	case p.noTLS || p.distrusted:
		return ", TLS failed"
	}
	return ", in clear text"
}

// brokenByTLS reports whether TLS ended the session: at STARTTLS, in the handshake, or
// before the host's first reply under TLS.
func (p *peer) brokenByTLS() bool {
	return p.noTLS || p.tls != nil && !p.m.OverTLS() || p.m.BrokeAtSTARTTLS()
}
