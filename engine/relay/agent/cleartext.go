package agent

import (
	"net/netip"
	"strings"
	"sync"
	"time"

	"postrider/engine/edge/limit"
	"postrider/engine/protocol/smtpclient"
)

// clearHosts remembers hosts that offer TLS which does not work, and that took mail in
// clear text. They get it so at once, where that may be, and not after a handshake
// that fails. A handshake that was broken once, which anybody on the way can do, adds
// no host: it needs a broken one for mail that has waited, and mail that was taken. A
// refusal that may be about the clear text takes the host out.
type clearHosts struct {
	mu    sync.Mutex
	until *limit.Map[netip.AddrPort, time.Time] // under mu; nil: none
}

const (
	clearFor  = time.Hour // then TLS is tried again
	mostClear = 10_000
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
		c.until = limit.NewMap[netip.AddrPort](mostClear, time.Time.Before, isOver)
	}
	c.until.Set(a, now.Add(clearFor), now) // one that is forgotten costs one handshake
}

func (c *clearHosts) remove(a netip.AddrPort) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.until != nil {
		c.until.Delete(a)
	}
}

// clearTextWorks says that the host took mail over the connection. Only the first time
// counts, so that the memory ends though the connection lives on.
func (w *wire) clearTextWorks(c *clearHosts) {
	if w.plain && !w.remembered {
		c.add(w.host.Addr, time.Now())
		w.remembered = true
	}
}

// blamesClearText says whether a refusal may be about the connection, which is in clear
// text though the host offered TLS: 530 is, but hosts say it in many ways, and what a
// host offers may differ too. Under TLS the answer may be another, so this one is not
// final. Codes that can only be about an address, a mailbox or the size are.
func (w *wire) blamesClearText(res *smtpclient.Result) bool {
	if !w.plain && !w.m.TLSDeclined() || res.Verdict == smtpclient.Delivered {
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

// isOfAddress says whether an enhanced status code, without its class, is about an
// address, a mailbox or the size of the message (RFC 3463).
func isOfAddress(detail string) bool {
	switch detail {
	case "1.1", "1.2", "1.3", "1.4", "1.6", "1.7", "1.8", "1.10", "3.4":
		return true
	}
	return strings.HasPrefix(detail, "2.")
}
