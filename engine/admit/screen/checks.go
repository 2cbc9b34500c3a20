package screen

import (
	"net/netip"
	"sync"
	"time"

	"postrider/codec/smtp"
	"postrider/engine/admit/policy"
	"postrider/engine/edge/limit"
)

// maxChecksOfClient is how many messages of one client are checked at once: a client whose
// name servers are silent keeps each check for VerifyTimeout, and the mail of all other
// clients would wait.
const maxChecksOfClient = 32

// openChecks counts the checks that each client has open. It is safe for use by many
// goroutines.
type openChecks struct {
	mu sync.Mutex
	of map[netip.Prefix]int // only the clients that have one
}

// isFull reports whether the client may have no more.
func (o *openChecks) isFull(ip netip.Addr) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.of[limit.Client(ip)] >= maxChecksOfClient
}

// begin counts one more, if there may be one more.
func (o *openChecks) begin(ip netip.Addr) bool {
	client := limit.Client(ip)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.of[client] >= maxChecksOfClient {
		return false
	}
	o.of[client]++
	return true
}

// end counts one less.
func (o *openChecks) end(ip netip.Addr) {
	client := limit.Client(ip)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.of[client]--; o.of[client] == 0 {
		delete(o.of, client)
	}
}

// Checks is how many messages are being checked.
func (g *Guard) Checks() int64 { return g.checks.Load() }

// HasRoomForCheck reports whether one more message of the client can be checked now, if it
// would be checked. tight: there is little memory left for checks.
func (g *Guard) HasRoomForCheck(ip netip.Addr, tight bool) bool {
	set := g.set.Load()
	return !set.Verify || !tight && g.checks.Load() < int64(set.Verifications) && !g.open.isFull(ip)
}

// refuses counts a message that has a verdict, and returns why it is refused.
func (g *Guard) refuses(v *Verdict) *smtp.Reply {
	g.Stats.Checked.Add(1)
	if v.DMARC.Disposition != policy.Reject {
		return nil
	}
	g.Stats.DMARCFailed.Add(1)
	if !g.set.Load().RefuseDMARC {
		return nil
	}
	g.Stats.DMARCRefused.Add(1)
	if v.DMARC.TooManyAuthors {
		return &smtp.Reply{Code: 550, Enhanced: "5.7.1", Reason: smtp.DMARCRejected, Text: "The From field names too many domains or is too long: the DMARC policies of its authors can't be looked at"}
	}
	return &smtp.Reply{Code: 550, Enhanced: "5.7.1", Reason: smtp.DMARCRejected, Text: "Unauthenticated mail from " + v.DMARC.From +
		" is not taken: its DMARC policy says reject (SPF " + string(v.SPF.Result) + ", DKIM " + v.Signed() + ")"}
}

// mayNotify reports whether the sender of a client's message is notified of its success.
// v is the verdict on the message.
//
// A notification goes to the reverse-path, which an untrusted client may have forged. So
// SPF has to pass for it, not only for the name in HELO: then the owner of the domain
// answers for it. Settings.Notifications bounds the notifications of one client. Other
// messages are taken, and the request is ignored, as RFC 3461 section 4.1 lets a server
// that would otherwise offer no DSN at all.
func (g *Guard) mayNotify(ip netip.Addr, v *Verdict) bool {
	if v.SPF.Result == Pass && !v.SPF.Helo && g.hasNotifications(ip) {
		return true
	}
	g.Stats.SuccessIgnored.Add(1)
	return false
}

func (g *Guard) hasNotifications(ip netip.Addr) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.notifying.Has(limit.Client(ip), time.Now())
}

// notified counts notifications of success that will be sent because of a client's mail.
func (g *Guard) notified(ip netip.Addr, n int) {
	g.Stats.SuccessSent.Add(int64(n))
	g.mu.Lock()
	defer g.mu.Unlock()
	g.notifying.Owe(limit.Client(ip), n, time.Now())
}
