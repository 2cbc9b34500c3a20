package tlsio

import (
	"crypto/tls"
	"net"
	"os"
	"time"
)

// recordHeader is the length of a record's header; its last two octets are the
// length of what follows (RFC 8446 section 5.1).
const recordHeader = 5

// wire is the net.Conn that crypto/tls believes to speak over: a slice to read
// from and a slice to write to, both lent for one call.
//
// Read never goes beyond the end of the record that it is in, so crypto/tls holds
// nothing read ahead, and its buffer is empty whenever no record is half there.
// Without input Read returns os.ErrDeadlineExceeded, as a socket does whose deadline
// has passed; after the handshake crypto/tls goes on from there at the next call.
// In the handshake every error is final for it, so there Read waits in more for
// the next octets. Write never fails, for that would be final at any time.
type wire struct {
	in, out []byte
	more    func() ([]byte, error) // in the handshake: waits for input; nil: don't wait
	chosen  *tls.Certificate       // what Pick has picked; nil: a session was resumed

	header [recordHeader]byte
	have   int8 // octets of header that were read; recordHeader: the body is being read
	left   int  // octets of the body still to be read
}

// Read implements net.Conn.
func (w *wire) Read(p []byte) (n int, err error) {
	for len(w.in) == 0 {
		if w.more == nil {
			return 0, os.ErrDeadlineExceeded
		}
		if w.in, err = w.more(); err != nil {
			return 0, err
		}
	}
	if w.have < recordHeader {
		k := copy(w.header[w.have:], w.in[:min(len(w.in), len(p))])
		copy(p, w.in[:k])
		w.in, w.have, n = w.in[k:], w.have+int8(k), k
		if w.have < recordHeader {
			return n, nil
		}
		w.left = int(w.header[3])<<8 | int(w.header[4])
	}
	k := min(len(w.in), len(p)-n, w.left)
	copy(p[n:], w.in[:k])
	w.in, w.left = w.in[k:], w.left-k
	if w.left == 0 {
		w.have = 0
	}
	return n + k, nil
}

// Write implements net.Conn.
func (w *wire) Write(p []byte) (int, error) {
	w.out = append(w.out, p...)
	return len(p), nil
}

// Close implements net.Conn: there is nothing to close, crypto/tls only thinks so.
func (w *wire) Close() error { return nil }

// LocalAddr implements net.Conn.
func (w *wire) LocalAddr() net.Addr { return nowhere{} }

// RemoteAddr implements net.Conn.
func (w *wire) RemoteAddr() net.Addr { return nowhere{} }

// SetDeadline implements net.Conn: time is the loop's business.
func (w *wire) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn.
func (w *wire) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements net.Conn.
func (w *wire) SetWriteDeadline(time.Time) error { return nil }

// nowhere is the address of a wire.
type nowhere struct{}

// Network implements net.Addr.
func (nowhere) Network() string { return "memory" }

// String implements net.Addr.
func (nowhere) String() string { return "memory" }
