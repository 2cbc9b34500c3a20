package screen

import (
	"context"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"postrider/codec/address"
	"postrider/codec/smtp"
	"postrider/engine/admit/policy"
	"postrider/engine/edge/limit"
)

// Settings are the rules for untrusted clients: [policy] of the configuration.
type Settings struct {
	Hostname string // this server's name, for replies

	ClientConnections, NetworkConnections limit.Rate // sessions that a client, or its network, may open
	ClientMessages, NetworkMessages       limit.Rate // transactions that they may begin
	Questions                             limit.Rate // questions to name servers, because of a client's mail
	Notifications                         limit.Rate // notifications of success, because of a client's mail
	RateEntries                           int        // clients remembered for each rate

	GreetDelay       time.Duration // before the greeting; 0: none
	RefuseEarly      bool          // refuse a client that speaks before its greeting
	RefusePipelining bool          // refuse mail of a client that does not wait for the replies to EHLO and DATA

	ReverseDNS     bool          // look up the name of a client
	LookupTimeout  time.Duration // for what is looked up before the greeting
	Lists          []policy.Blocklist
	BlockThreshold int // sum of the scores of DNS lists from which on a client is refused

	Verify        bool          // check SPF, DKIM and DMARC
	RefuseDMARC   bool          // refuse a message whose DMARC policy rejects it
	VerifyTimeout time.Duration // for a check, from the end of the message on
	Verifications int           // checks at once

	Greylist        bool
	GreylistDelay   time.Duration // see policy.Greylist
	GreylistWindow  time.Duration
	GreylistKeep    time.Duration
	GreylistEntries int
}

// Stats count what a Guard has found and refused, one counter for each reason.
type Stats struct {
	ConnectionRate, MessageRate   [Scopes]atomic.Int64 // refused: too many of one client or network
	QuestionRate                  atomic.Int64         // refused: too many questions because of the mail of a client
	EarlyTalkers, EarlyRefused    atomic.Int64         // clients that spoke before the greeting
	Pipelining, PipeliningRefused atomic.Int64         // clients that did not wait for replies; what was refused for it
	Listed                        atomic.Int64         // clients refused because of DNS lists
	LookupsSkipped                atomic.Int64         // clients served without a lookup
	Greylisted                    atomic.Int64         // recipients that had to wait
	Checked                       atomic.Int64         // messages that have a verdict
	DMARCFailed, DMARCRefused     atomic.Int64         // messages that their domain wants rejected
	SuccessSent, SuccessIgnored   atomic.Int64         // notifications of success; messages without the ones that they ask for
}

// Guard applies the Settings to untrusted clients. There is one for all sessions of a
// server. It counts how often clients come, remembers the greylist, and makes the checks.
// It is safe for use by many goroutines.
//
// A method that returns a reply returns nil when the client is not refused.
type Guard struct {
	// Stats are the counters of refusals.
	Stats Stats

	configuring sync.Mutex // held by Configure

	set    atomic.Pointer[Settings]
	vetter Vetter

	lookups atomic.Int64 // clients that are being looked up
	checks  atomic.Int64 // messages that are being checked
	open    openChecks   // the same, of each client

	mu         sync.Mutex // guards the fields below
	connecting [2]*limit.Buckets[netip.Prefix]
	mailing    [2]*limit.Buckets[netip.Prefix]
	asking     *limit.Buckets[netip.Prefix]
	notifying  *limit.Buckets[netip.Prefix]
	grey       policy.Greylist
}

// NewGuard returns a Guard that has seen no client. It asks v about clients and messages.
func NewGuard(s Settings, v Vetter) *Guard {
	g := &Guard{vetter: v, open: openChecks{of: make(map[netip.Prefix]int)}}
	for _, rates := range g.rates(&s) {
		*rates.of = limit.NewBuckets[netip.Prefix](rates.rate, s.RateEntries)
	}
	g.Configure(s)
	return g
}

// Configure replaces the settings. What was seen of clients stays remembered. Messages that
// are being checked keep the settings that they have used so far.
func (g *Guard) Configure(s Settings) {
	g.configuring.Lock()
	defer g.configuring.Unlock()
	now := time.Now()
	for _, rates := range g.rates(&s) {
		(*rates.of).Configure(rates.rate, s.RateEntries, rates.full*float64(rates.rate.Count), now, &g.mu)
	}
	g.grey.Configure(policy.GreylistRules{Delay: s.GreylistDelay, Window: s.GreylistWindow, Keep: s.GreylistKeep, Max: s.GreylistEntries}, now, &g.mu)
	g.set.Store(&s)
}

// Settings returns the settings that count now.
func (g *Guard) Settings() *Settings { return g.set.Load() }

// rates are the Buckets with the rate that s has for each.
func (g *Guard) rates(s *Settings) []ratesOf {
	return []ratesOf{
		{&g.connecting[0], s.ClientConnections, 1}, {&g.connecting[1], s.NetworkConnections, 1},
		{&g.mailing[0], s.ClientMessages, 1}, {&g.mailing[1], s.NetworkMessages, 1},
		{&g.asking, s.Questions, 2}, {&g.notifying, s.Notifications, 2}, // see limit.Bucket.Owe
	}
}

type ratesOf struct {
	of   **limit.Buckets[netip.Prefix]
	rate limit.Rate
	full float64 // how many times rate.Count tokens may be missing
}

// Scope tells the limits of a client and of its network apart.
type Scope uint8

// The scopes.
const (
	OfClient Scope = iota
	OfNetwork
	Scopes // how many there are
)

// take takes a token of the client and one of its network. It returns which limit is
// reached, in words; "": none.
func (g *Guard) take(rates *[2]*limit.Buckets[netip.Prefix], ip netip.Addr) (Scope, string) {
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	if !rates[0].Take(limit.Client(ip), now) {
		return OfClient, "your address, limit " + rates[0].Rate().String()
	}
	if !rates[1].Take(limit.Network(ip), now) {
		return OfNetwork, "your network " + limit.Network(ip).String() + ", limit " + rates[1].Rate().String()
	}
	return OfClient, ""
}

// MayConnect counts a session of the client, or returns why there may not be one now.
func (g *Guard) MayConnect(ip netip.Addr) *smtp.Reply {
	of, reached := g.take(&g.connecting, ip)
	if reached == "" {
		return nil
	}
	g.Stats.ConnectionRate[of].Add(1)
	return &smtp.Reply{Reason: smtp.ClientConnectionRate + smtp.Reason(of), Code: 421, Enhanced: "4.7.0", Text: g.set.Load().Hostname + " Too many connections from " + reached + "; come back later"}
}

// MayMail counts a message of the client, or returns why it may not begin one now.
func (g *Guard) MayMail(ip netip.Addr) *smtp.Reply {
	if !g.mayAsk(ip) {
		g.Stats.QuestionRate.Add(1)
		return &smtp.Reply{Code: 450, Enhanced: "4.7.1", Reason: smtp.QuestionRate, Text: "Too many DNS questions because of mail from your address, limit " +
			g.set.Load().Questions.String() + "; come back later"}
	}
	of, reached := g.take(&g.mailing, ip)
	if reached == "" {
		return nil
	}
	g.Stats.MessageRate[of].Add(1)
	return &smtp.Reply{Reason: smtp.ClientMessageRate + smtp.Reason(of), Code: 450, Enhanced: "4.7.1", Text: "Too many messages from " + reached + "; come back later"}
}

// mayAsk reports whether name servers may be asked because of a client's mail.
func (g *Guard) mayAsk(ip netip.Addr) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.asking.Has(limit.Client(ip), time.Now())
}

// asked counts questions that were asked because of a client's mail.
func (g *Guard) asked(ip netip.Addr, questions int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asking.Owe(limit.Client(ip), questions, time.Now())
}

// GreetDelay is how long the greeting waits for a client that speaks too early.
func (g *Guard) GreetDelay() time.Duration { return g.set.Load().GreetDelay }

// Early counts a client that spoke before its greeting.
func (g *Guard) Early() *smtp.Reply {
	g.Stats.EarlyTalkers.Add(1)
	if !g.set.Load().RefuseEarly {
		return nil
	}
	g.Stats.EarlyRefused.Add(1)
	return &smtp.Reply{Code: 554, Enhanced: "5.5.1", Reason: smtp.EarlyTalker, Text: "You spoke before the greeting"}
}

// Pipelined counts that a client did not wait for the reply to EHLO or DATA. first: it is
// the first time in its session.
func (g *Guard) Pipelined(first bool) *smtp.Reply {
	if first {
		g.Stats.Pipelining.Add(1)
	}
	if !g.set.Load().RefusePipelining {
		return nil
	}
	g.Stats.PipeliningRefused.Add(1)
	return &smtp.Reply{Code: 503, Enhanced: "5.5.0", Reason: smtp.Pipelining, Text: "Improper pipelining: wait for the reply to EHLO and DATA"}
}

// HasGreylist reports whether recipients may have to wait.
func (g *Guard) HasGreylist() bool { return g.set.Load().Greylist }

// Greylisted remembers a recipient of a client, and returns why it has to wait.
func (g *Guard) Greylisted(ip netip.Addr, sender, recipient string) *smtp.Reply {
	if !g.set.Load().Greylist {
		return nil
	}
	g.mu.Lock()
	outcome := g.grey.Judge(ip, address.Fold(sender), address.Fold(recipient), time.Now())
	g.mu.Unlock()
	if !outcome.Wait() {
		return nil
	}
	g.Stats.Greylisted.Add(1)
	return &smtp.Reply{Code: 450, Enhanced: "4.7.1", Reason: smtp.Greylisted, Text: "Greylisted: you were not seen here before, come back in " + g.set.Load().GreylistDelay.String()}
}

// maxLookups bounds the clients that are being looked up. Beyond it clients are served as
// if DNS had been silent.
const maxLookups = 1000

// MayLookUp counts a lookup, if there is something to look up and room for it. LookUp has
// to be called then.
func (g *Guard) MayLookUp() bool {
	if set := g.set.Load(); !set.ReverseDNS && len(set.Lists) == 0 {
		return false
	}
	if g.lookups.Add(1) > maxLookups {
		g.lookups.Add(-1)
		g.Stats.LookupsSkipped.Add(1)
		return false
	}
	return true
}

// LookUp asks DNS about a client. It blocks, for LookupTimeout at most.
func (g *Guard) LookUp(ip netip.Addr) Client {
	defer g.lookups.Add(-1)
	set := g.set.Load()
	ctx, cancel := context.WithTimeout(context.Background(), set.LookupTimeout)
	defer cancel()
	return g.vetter.Client(ctx, ip, set.ReverseDNS, set.Lists)
}

// Lookups is how many clients are being looked up.
func (g *Guard) Lookups() int64 { return g.lookups.Load() }

// Blocked returns why a client is refused for the DNS lists that it is on.
func (g *Guard) Blocked(ip netip.Addr, c *Client) *smtp.Reply {
	sum, against := policy.Score(c.On)
	if len(against) == 0 || sum < g.set.Load().BlockThreshold {
		return nil
	}
	g.Stats.Listed.Add(1)
	return &smtp.Reply{Code: 554, Enhanced: "5.7.1", Reason: smtp.DNSList, Text: "Service refused: " + ip.String() + " is listed by " +
		strings.Join(against, ", ") + " (score " + strconv.Itoa(sum) + ")"}
}
