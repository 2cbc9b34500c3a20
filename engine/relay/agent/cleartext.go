package agent

import (
	"net/netip"
	"strings"
	"sync"
	"time"

	"postrider/engine/edge/limit"
	"postrider/engine/protocol/smtpclient"
)

// clearHosts remembers hosts that offer TLS which does not work, and that accepted mail in
// clear text. Where clear text is allowed, they get mail so at once, without another
// handshake that fails. One broken handshake adds no host: any router on the way can break
// it. The handshake has to break for a message that has waited, and the host has to accept
// the message. A refusal that may be about clear text removes the host.
type clearHosts struct {
	mu    sync.Mutex
	until *limit.Map[netip.AddrPort, time.Time] // under mu; nil: none
}

const (
	clearFor = time.Hour // until TLS is tried again
	maxClear = 10_000
)

func (c *clearHosts) has(a netip.AddrPort, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.until == nil {
		return false
	}
	until, ok := c.until.Get(a)
	if ok && !now.Before(until) {
		c.until.Delete(a)
		return false
	}
	return ok
}

func isOver(until, now time.Time) bool { return !now.Before(until) }

func (c *clearHosts) add(a netip.AddrPort, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.until == nil {
		c.until = limit.NewMap[netip.AddrPort](maxClear, time.Time.Before, isOver)
	}
	c.until.Set(a, now.Add(clearFor), now) // forgetting a host costs one handshake
}

func (c *clearHosts) remove(a netip.AddrPort) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.until != nil {
		c.until.Delete(a)
	}
}

// clearTextWorks notes that the host accepted mail over the connection. Only the first
// message counts, so that the hour of clearHosts ends though the connection goes on.
func (p *peer) clearTextWorks(c *clearHosts) {
	if p.plain && !p.remembered {
		c.add(p.host.Addr, time.Now())
		p.remembered = true
	}
}

// blamesClearText reports whether a refusal may be about clear text, on a connection
// without TLS to a host that offers TLS. The code for it is 530, but hosts use many others,
// and may offer other extensions under TLS. Such a refusal is not final. A refusal whose
// code can only be about an address, a mailbox or the size is final.
func (p *peer) blamesClearText(res *smtpclient.Result) bool {
	if !p.plain && !p.m.TLSDeclined() || res.Verdict == smtpclient.Delivered {
		return false
	}
	_, detail, _ := strings.Cut(res.Status, ".")
	switch {
	case res.Code == 0:
		return res.Verdict == smtpclient.Permanent && !isOfAddress(detail)
	case res.Verb == "MAIL FROM", res.Verb == "RCPT TO", res.Verb == "DATA":
		return !isOfAddress(detail)
	case res.Verb == "end of DATA": // most are about the message, which the host has read
		return res.Code == 523 || res.Code == 530 || res.Code == 538 ||
			detail == "7.3" || detail == "7.10" || detail == "7.11" || detail == "7.30"
	}
	return false
}

// isOfAddress reports whether an enhanced status code, without its class, is about an
// address, a mailbox or the message's size (RFC 3463).
func isOfAddress(detail string) bool {
	switch detail {
	case "1.1", "1.2", "1.3", "1.4", "1.6", "1.7", "1.8", "1.10", "3.4":
		return true
	}
	return strings.HasPrefix(detail, "2.")
}
