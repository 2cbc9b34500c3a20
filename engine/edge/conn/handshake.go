package conn

import (
	"bytes"
	"crypto/tls"
	"time"

	"postrider/engine/edge/loop"
	"postrider/engine/edge/tlsio"
)

// handshaking is the handler of a connection while its session agrees on TLS. The
// session's own handler is away meanwhile: it sees nothing that was said in clear
// text after the decision, and begins anew with what comes through the layer.
type handshaking struct {
	s   *Session
	cfg *tls.Config

	hs    *tlsio.Handshake // nil: nothing came yet
	busy  bool             // hs belongs to its goroutine
	began time.Time
}

// handshake returns the handler that speaks TLS with the peer as server, and then gives way
// to the session. Until the first octet nothing is made for it.
func (s *Session) handshake(cfg *tls.Config) *handshaking {
	h := &handshaking{s: s, cfg: cfg}
	s.ender = h
	s.WaitFor(ForHandshake, s.edge.TLS.Limit) // for all of it
	return h
}

// Input implements loop.Handler. Nothing is read while the handshake computes.
func (h *handshaking) Input(c *loop.Conn, in []byte) int {
	octets := bytes.Clone(in)
	if h.hs != nil {
		h.busy = true
		h.hs.Feed(octets)
	} else {
		h.began = time.Now()
		if h.s.Port.TLS != nil && h.s.TLSTooOften() { // that after STARTTLS was counted with its reply
			h.fail("too many TLS handshakes from this client (tls.client_handshakes)")
			return len(in)
		}
		h.hs = h.s.edge.TLS.Handshaker.Start(h.cfg, octets, &h.s.loop.tls, h.report)
		if h.hs == nil {
			h.s.edge.Stats.TLSBusy.Add(1)
			h.fail("too many TLS handshakes (tls.max_handshakes)")
			return len(in)
		}
		h.busy = true
	}
	c.Pause()
	return len(in)
}

// report runs on the handshake's goroutine: it has come to a halt.
func (h *handshaking) report() {
	if !h.s.loop.loop.Post(h) {
		h.hs.Abort()
	}
}

// Run implements loop.Task: the handshake is the loop's again.
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
		h.s.edge.Stats.TLSFailed.Add(1)
		h.fail("TLS handshake failed: " + err.Error())
		return
	}
	h.succeed(session)
}

// succeed brings the session back, on top of its layer.
func (h *handshaking) succeed(session *tlsio.Session) {
	s := h.s
	s.TLS = session
	s.edge.Stats.TLSHandshakes.Add(1)
	s.edge.logSecured(h)
	s.ender = s
	s.Conn.SetHandler(s)
	s.Conn.SetLayer(session)
	s.Conn.Resume()
	s.secured()
}

// fail ends the connection in order: an alert is on its way.
func (h *handshaking) fail(reason string) {
	h.s.Reason = reason
	h.s.Conn.Close()
}

// Drained implements loop.Handler.
func (h *handshaking) Drained(*loop.Conn) {}

// EOF implements loop.Handler: half a handshake leads nowhere.
func (h *handshaking) EOF(c *loop.Conn) { c.Abort() }

// Timeout implements loop.Handler.
func (h *handshaking) Timeout(c *loop.Conn) {
	h.s.edge.Stats.Timeouts.Add(1)
	h.s.Reason = "timeout in the TLS handshake"
	c.Abort()
}

// Closed implements loop.Handler. A handshake that computes is aborted when it
// comes back.
func (h *handshaking) Closed(c *loop.Conn, err error) {
	if h.hs != nil && !h.busy {
		h.hs.Abort()
	}
	h.s.Closed(c, err)
}

// shutdown implements ender.
func (h *handshaking) shutdown() { h.s.Conn.Abort() }

// TLSBusy says whether a handshake that begins now would be cut off. A refusal is cheaper
// for both sides: the client goes on in clear text or comes back.
func (s *Session) TLSBusy() bool {
	busy := s.edge.TLS.Handshaker.Busy()
	if busy {
		s.edge.Stats.TLSBusy.Add(1)
	}
	return busy
}
