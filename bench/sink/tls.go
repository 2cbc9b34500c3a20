package sink

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"time"
)

// patience bounds each wait for a client in TLS.
const patience = 5 * time.Minute

// serveTLS goes on with a session after its STARTTLS or STLS was answered. delay is
// before the handshake.
func (s *Sink) serveTLS(wire net.Conn, session machine, delay time.Duration) {
	defer wire.Close()
	time.Sleep(delay)
	wire.SetDeadline(time.Now().Add(patience))
	conn := tls.Server(wire, s.options.TLS)
	if conn.Handshake() != nil {
		s.counts[broken].Add(1)
		return
	}
	var in, out []byte
	buffer := make([]byte, 16<<10)
	for {
		var step Step
		out, step = session.Feed(time.Now(), in, out[:0])
		in = in[:copy(in, in[step.Consumed:])]
		time.Sleep(step.Wait)
		wire.SetDeadline(time.Now().Add(patience))
		if len(out) > 0 {
			if _, err := conn.Write(out); err != nil {
				return
			}
		}
		switch step.Effect {
		case Close:
			conn.Close()
			return
		case Reset:
			if tcp, ok := wire.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0)
			}
			return
		case Silence:
			_, _ = io.Copy(io.Discard, wire) // up to the deadline
			return
		}
		if step.More || step.Wait > 0 && len(in) > 0 {
			continue
		}
		n, err := conn.Read(buffer)
		if err != nil {
			return
		}
		in = append(in, buffer[:n]...)
	}
}

// Certificate makes a certificate for a name, signed by itself. A wrong one is
// for another name, and has expired.
func Certificate(name string, wrong bool) (*tls.Config, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0), BasicConstraintsValid: true,
	}
	if wrong {
		template.DNSNames = []string{"wrong.example"}
		template.NotBefore, template.NotAfter = now.AddDate(-2, 0, 0), now.AddDate(-1, 0, 0)
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, nil
}
