package conn

import (
	"bytes"
	"crypto/tls"
	"time"

	"postrider/engine/edge/loop"
	"postrider/engine/edge/tlsio"
)

// handshaking is the handler for a connection during the TLS handshake. The session gets no
// octet that came in clear text after STARTTLS; it continues with what comes through the TLS
// layer.
type handshaking struct {
	s   *Session
	cfg *tls.Config

	hs    *tlsio.Handshake // nil until the first octet
	busy  bool             // hs belongs to its goroutine
	ends  bool             // the session is to end after the handshake
	began time.Time
}

// lastHandshake is how long a handshake may take once the session is to end: its client may
// just have connected, and is told in TLS that the server ends.
const lastHandshake = 2 * time.Second

// handshake returns the handler that makes the TLS handshake as server. After it the session
// is the handler again. Memory for the handshake is allocated at the first octet.
func (s *Session) handshake(cfg *tls.Config) *handshaking {
	h := &handshaking{s: s, cfg: cfg}
	s.ender = h
	s.WaitFor(ForHandshake, time.Duration(s.Port.Edge.TLS.Limit.Load())) // for the whole handshake
	return h
}

// Input implements loop.Handler. Reading pauses while the handshake computes.
func (h *handshaking) Input(c *loop.Conn, in []byte) int {
	octets := bytes.Clone(in)
	if h.hs != nil {
		h.busy = true
		h.hs.Feed(octets)
	} else {
		h.began = time.Now()
		if h.s.Port.TLS != nil && h.s.TLSTooOften() { // STARTTLS has counted its own handshakes
			h.fail("too many TLS handshakes from this client (tls.client_handshakes)")
			return len(in)
		}
		h.hs = h.s.Port.Edge.TLS.Handshaker.Start(h.cfg, octets, &h.s.loop.tls, h.report)
		if h.hs == nil {
			h.s.Port.Edge.Stats.TLSBusy.Add(1)
			h.fail("too many TLS handshakes (tls.max_handshakes)")
			return len(in)
		}
		h.busy = true
	}
	c.Pause()
	return len(in)
}

// report runs on the handshake's goroutine when it needs more octets or has ended.
func (h *handshaking) report() {
	if !h.s.loop.loop.Post(h) {
		h.hs.Abort()
	}
}

// Run implements loop.Task. The handshake belongs to the loop again.
func (h *handshaking) Run() {
	h.busy = false
	c := h.s.Conn
	if !c.Alive() {
		h.hs.Abort()
		return
	}
	c.Write(h.hs.Output())
	if !h.hs.Done() {
		c.Resume()
		return
	}
	session, err := h.hs.Session()
	if err != nil {
		h.s.Port.Edge.Stats.TLSFailed.Add(1)
		h.fail("TLS handshake failed: " + err.Error())
		return
	}
	h.succeed(session)
}

// succeed makes the session the handler again, on top of its TLS layer.
func (h *handshaking) succeed(session *tlsio.Session) {
	s := h.s
	s.TLS = session
	s.Port.Edge.Stats.TLSHandshakes.Add(1)
	s.Port.Edge.logSecured(h)
	if traced := s.tapped(); traced != nil {
		traced.emit("=== TLS started: " + session.Facts().Version + " " + session.Facts().Cipher)
		traced.scribe.Secured()
	}
	s.ender = s
	s.Conn.SetHandler(s)
	s.Conn.SetLayer(session)
	s.Conn.Resume()
	s.secured()
	if h.ends {
		s.shutdown()
	}
}

// fail closes the connection after the TLS alert was sent.
func (h *handshaking) fail(reason string) {
	h.s.Reason = reason
	h.s.Conn.Close()
}

// Drained implements loop.Handler.
func (h *handshaking) Drained(*loop.Conn) {}

// EOF implements loop.Handler: the handshake can't complete.
func (h *handshaking) EOF(c *loop.Conn) { c.Abort() }

// Timeout implements loop.Handler.
func (h *handshaking) Timeout(c *loop.Conn) {
	h.s.Port.Edge.Stats.Timeouts.Add(1)
	h.s.Port.Edge.Stats.TLSTimeouts.Add(1)
	h.s.Reason = "timeout in the TLS handshake"
	c.Abort()
}

// Closed implements loop.Handler. A handshake that computes is aborted by Run.
func (h *handshaking) Closed(c *loop.Conn, err error) {
	if h.hs != nil && !h.busy {
		h.hs.Abort()
	}
	h.s.Closed(c, err)
}

// shutdown implements ender.
func (h *handshaking) shutdown() {
	if !h.ends {
		h.ends = true
		h.s.Conn.SetDeadline(min(lastHandshake, time.Duration(h.s.Port.Edge.TLS.Limit.Load())))
	}
}

// TLSBusy reports whether a handshake that begins now would be cut off. A 454 is cheaper for
// both sides: the client continues in clear text or tries again later.
func (s *Session) TLSBusy() bool {
	busy := s.Port.Edge.TLS.Handshaker.Busy()
	if busy {
		s.Port.Edge.Stats.TLSBusy.Add(1)
	}
	return busy
}
