package tlsio

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
)

// Scratch is the buffer that the sessions of one event loop write their records
// to. It belongs to the loop's goroutine.
type Scratch struct{ out []byte }

// maxScratch is what a Scratch keeps between two calls: 64 KiB in records.
const maxScratch = 80 << 10

// Session is the TLS session of one connection after its handshake: the layer
// between the handler and the wire, see loop.Layer. All its methods are called on
// the goroutine of the connection's loop; none of them waits.
type Session struct {
	conn    *tls.Conn
	wire    wire
	scratch *Scratch
	rest    []byte // wire octets that follow plaintext that found no room
	full    bool   // the last plaintext filled its room: there may be more of it
	client  *x509.Certificate
}

// identify keeps the client's certificate if it proves who the client is.
func (s *Session) identify(clients *ClientStore) {
	if chain := s.conn.ConnectionState().PeerCertificates; len(chain) > 0 && clients.Verify(chain) == nil {
		s.client = chain[0]
	}
}

// Open implements loop.Layer.
func (s *Session) Open(wire, plain []byte) (n int, reply []byte, err error) {
	if len(s.rest) > 0 {
		wire = append(s.rest, wire...)
		s.rest = nil
	}
	s.wire.in, s.wire.out = wire, s.scratch.out[:0]
	full := s.full // an empty Read would only cost an allocation
	for err == nil && n < len(plain) && (full || len(s.wire.in) > 0) {
		full = false
		var k int
		k, err = s.conn.Read(plain[n:])
		n += k
	}
	s.full = n == len(plain)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil
	}
	if len(s.wire.in) > 0 && err == nil {
		s.rest = append([]byte(nil), s.wire.in...)
	}
	return n, s.takeBack(), err
}

// Held implements loop.Layer.
func (s *Session) Held() bool { return s.full || len(s.rest) > 0 }

// Seal implements loop.Layer.
func (s *Session) Seal(p []byte) ([]byte, error) {
	s.wire.out = s.scratch.out[:0]
	_, err := s.conn.Write(p)
	return s.takeBack(), err
}

// End implements loop.Layer: close_notify.
func (s *Session) End() []byte {
	s.wire.out = s.scratch.out[:0]
	_ = s.conn.CloseWrite() // fails only after an alert of our own
	return s.takeBack()
}

// Idle implements loop.Layer: the buffers of crypto/tls go, 2 to 20 KB.
func (s *Session) Idle() {
	if !s.Held() {
		releaseIdle(s.conn)
	}
}

// takeBack ends a call: nothing of the loop's stays in the wire.
func (s *Session) takeBack() []byte {
	out := s.wire.out
	s.wire.in, s.wire.out = nil, nil
	s.scratch.out = nil
	if cap(out) <= maxScratch {
		s.scratch.out = out[:0]
	}
	return out
}

// Facts is what a handshake has agreed on.
type Facts struct {
	Version    string // "TLSv1.3"
	Cipher     string // "TLS_AES_128_GCM_SHA256"
	ServerName string // as the client asked for it (RFC 6066 section 3); or ""
	Protocol   string // chosen by ALPN (RFC 7301); or ""
	Resumed    bool
	Client     *x509.Certificate // verified; nil: none
}

// Facts returns what was agreed on.
func (s *Session) Facts() Facts {
	st := s.conn.ConnectionState()
	return Facts{
		Version: versions[st.Version], Cipher: tls.CipherSuiteName(st.CipherSuite),
		ServerName: st.ServerName, Protocol: st.NegotiatedProtocol, Resumed: st.DidResume, Client: s.client,
	}
}

// Client is the verified certificate of the client; nil: none.
func (s *Session) Client() *x509.Certificate { return s.client }

// versions are the names that Postfix and OpenSSL use.
var versions = map[uint16]string{
	tls.VersionTLS10: "TLSv1", tls.VersionTLS11: "TLSv1.1", tls.VersionTLS12: "TLSv1.2", tls.VersionTLS13: "TLSv1.3",
}
