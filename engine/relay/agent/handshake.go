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

	"postrider/engine/relay/mx"
	"postrider/engine/relay/tlspolicy"
	"postrider/storage"
)

// handshakeLimit is how long a TLS handshake may take, where a command may take
// longer.
const handshakeLimit = 2 * time.Minute

// facts are what is known of a connection under TLS.
type facts struct {
	version, cipher, group string
	trust                  tlspolicy.Trust
	chain                  []*x509.Certificate // only where a policy in testing is to be rehearsed
}

// String is the facts in Postfix's words.
func (f *facts) String() string {
	s := f.version + " with cipher " + f.cipher + " (" + f.group + ")"
	if f.trust.Verified {
		s += ", verified by " + f.trust.How
	}
	return s
}

// startTLS makes the handshake that the machine wants, and tells it how that went.
func (w *wire) startTLS(c *Courier, id storage.EntryID) {
	w.e.StartTLS = false
	if len(w.in) > 0 {
		w.feed() // octets came after the 220: that is the end
		return
	}
	var distrust error
	f := new(facts)
	conn := tls.Client(w.conn, &tls.Config{
		ServerName: serverName(w.host),
		MinVersion: tls.VersionTLS12,
		// Most hosts are not to show anything; of the others the demand is checked.
		InsecureSkipVerify: true,
		VerifyConnection: func(cs tls.ConnectionState) error {
			f.trust, distrust = w.demand.Check(cs.PeerCertificates, c.security.roots, time.Now())
			return distrust
		},
	})
	ctx, cancel := context.WithDeadline(c.ctx, w.times.handshake(time.Now()))
	defer cancel()
	_ = w.conn.SetDeadline(time.Time{})
	err := conn.HandshakeContext(ctx)
	switch {
	case distrust != nil:
		c.Stats.TLSFailures.Add(1)
		w.distrusted = true
		w.m.TLSFailed("Server certificate not trusted: "+distrust.Error(), &w.e)
	case err != nil:
		w.noTLS = true
		c.Stats.TLSFailures.Add(1)
		w.m.TLSFailed("Cannot start TLS: handshake failure: "+plainTLS(err), &w.e)
	default:
		w.secured(conn, f)
		c.Stats.OverTLS.Add(1)
		if f.trust.Verified {
			c.Stats.Verified.Add(1)
		}
		c.info(f.trust.Word()+" TLS connection established to "+w.host.String()+": "+f.String(), smtpAgent, slog.String("id", id.String()))
	}
}

// secured puts the rest of the session under TLS.
func (w *wire) secured(conn *tls.Conn, f *facts) {
	cs := conn.ConnectionState()
	f.version = strings.Replace(tls.VersionName(cs.Version), "TLS ", "TLSv", 1)
	f.cipher, f.group = tls.CipherSuiteName(cs.CipherSuite), cs.CurveID.String()
	if w.demand.Testing {
		f.chain = cs.PeerCertificates
	}
	w.conn, w.tls = conn, f
	w.m.Secured(&w.e)
}

// serverName is the name that the host is asked for (RFC 7672 section 8.1).
func serverName(h mx.Host) string { return strings.TrimSuffix(h.Name, ".") }

// plainTLS says what is wrong with a handshake in few words.
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
			return "the host says: " + op.Err.Error()
		}
		return plainDial(err).Error()
	}
	return err.Error()
}

// channel says what the connection is, after the name of the host.
func (w *wire) channel() string {
	switch {
	case w.tls != nil:
		return ", " + w.tls.trust.Word() + " " + w.tls.String()
	case w.noTLS || w.distrusted:
		return ", no TLS came of it"
	}
	return ", in clear text"
}

// brokenByTLS says whether it was TLS that ended the session: STARTTLS, the handshake,
// or what came of it before the host said a word under it.
func (w *wire) brokenByTLS() bool {
	return w.noTLS || w.tls != nil && !w.m.OverTLS() || w.m.BrokeAtSTARTTLS()
}
