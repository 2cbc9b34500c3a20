package server

import (
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"postrider/codec/address"
	"postrider/codec/smtp"
	"postrider/engine/admit/policy"
	"postrider/engine/admit/screen"
	"postrider/engine/config"
	"postrider/engine/edge/dns"
	"postrider/engine/edge/limit"
	"postrider/engine/host/maillog"
)

// guard is what all sessions know together of strangers: the rates at which they
// come, who was seen before, and how to find out more.
type guard struct {
	cfg  *config.Policy
	host string
	vet  screen.Vetter

	lookups atomic.Int64 // strangers who are being looked up
	checks  atomic.Int64 // messages that are being checked
	open    opened       // those of them of each client

	mu         sync.Mutex // of what follows
	connecting [2]*limit.Buckets[netip.Prefix]
	mailing    [2]*limit.Buckets[netip.Prefix]
	asking     *limit.Buckets[netip.Prefix] // questions to name servers because of a client's mail
	notifying  *limit.Buckets[netip.Prefix] // notifications of success because of a client's mail
	grey       policy.Greylist

	stats guardStats
}

// guardStats are the counters of refusals, one for each reason.
type guardStats struct {
	connectionRate, messageRate, early, eager  atomic.Int64
	questionRate                               atomic.Int64
	listed, greylisted, dmarcFailed            atomic.Int64
	dmarcRefused                               atomic.Int64
	earlySeen, eagerSeen, checked, overLookups atomic.Int64
	successTold, successPassed                 atomic.Int64
}

// newGuard makes the guard of a configuration that was checked when it was read.
func newGuard(cfg *config.Config, names *dns.Resolver, memory screen.Memory, log maillog.Log) *guard {
	p := &cfg.Policy
	rates := func(client, network string) [2]*limit.Buckets[netip.Prefix] {
		c, _ := limit.ParseRate(client)
		n, _ := limit.ParseRate(network)
		return [2]*limit.Buckets[netip.Prefix]{limit.NewBuckets[netip.Prefix](c, p.RateEntries), limit.NewBuckets[netip.Prefix](n, p.RateEntries)}
	}
	g := &guard{
		cfg: p, host: cfg.Server.Hostname, vet: screen.Vetter{Names: names, Memory: memory, Panicked: func(p any) { _ = log.Panicked("the check of a message", p) }},
		connecting: rates(p.ClientConnections, p.NetworkConnections),
		mailing:    rates(p.ClientMessages, p.NetworkMessages),
		open:       opened{of: make(map[netip.Prefix]int)},
		grey:       policy.Greylist{Delay: p.GreylistDelay, Window: p.GreylistWindow, Keep: p.GreylistKeep, Max: p.GreylistEntries},
	}
	questions, _ := limit.ParseRate(p.Questions)
	g.asking = limit.NewBuckets[netip.Prefix](questions, p.RateEntries)
	notifications, _ := limit.ParseRate(p.Notifications)
	g.notifying = limit.NewBuckets[netip.Prefix](notifications, p.RateEntries)
	for _, s := range p.Blocklists {
		if l, err := policy.ParseBlocklist(s); err == nil {
			g.vet.Lists = append(g.vet.Lists, l)
		}
	}
	return g
}

// take takes a token of the client and one of its network. It says which limit is
// reached, or nothing.
func (g *guard) take(rates [2]*limit.Buckets[netip.Prefix], ip netip.Addr) string {
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	if !rates[0].Take(limit.Client(ip), now) {
		return "your address, limit " + rates[0].Rate().String()
	}
	if !rates[1].Take(limit.Network(ip), now) {
		return "your network " + limit.Network(ip).String() + ", limit " + rates[1].Rate().String()
	}
	return ""
}

// mayConnect says why a client can't be served now; nil: it can.
func (g *guard) mayConnect(ip netip.Addr) *smtp.Reply {
	reached := g.take(g.connecting, ip)
	if reached == "" {
		return nil
	}
	g.stats.connectionRate.Add(1)
	return &smtp.Reply{Code: 421, Enhanced: "4.7.0", Text: g.host + " Too many connections from " + reached + "; come back later"}
}

// mayMail says why a client may not begin a message now; nil: it may.
func (g *guard) mayMail(ip netip.Addr) *smtp.Reply {
	if !g.mayAsk(ip) {
		g.stats.questionRate.Add(1)
		return &smtp.Reply{Code: 450, Enhanced: "4.7.1", Text: "Too many DNS questions because of mail from your address, limit " +
			g.asking.Rate().String() + "; come back later"}
	}
	reached := g.take(g.mailing, ip)
	if reached == "" {
		return nil
	}
	g.stats.messageRate.Add(1)
	return &smtp.Reply{Code: 450, Enhanced: "4.7.1", Text: "Too many messages from " + reached + "; come back later"}
}

// mayAsk says whether name servers may be asked because of a client's mail.
func (g *guard) mayAsk(ip netip.Addr) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.asking.Has(limit.Client(ip), time.Now())
}

// asked books questions that were asked.
func (g *guard) asked(ip netip.Addr, questions int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asking.Owe(limit.Client(ip), questions, time.Now())
}

// greylisted says that a recipient has to wait; nil: not.
func (g *guard) greylisted(ip netip.Addr, sender, recipient string) *smtp.Reply {
	if !g.cfg.Greylist {
		return nil
	}
	g.mu.Lock()
	outcome := g.grey.Judge(ip, address.Fold(sender), address.Fold(recipient), time.Now())
	g.mu.Unlock()
	if !outcome.Wait() {
		return nil
	}
	g.stats.greylisted.Add(1)
	return &smtp.Reply{Code: 450, Enhanced: "4.7.1", Text: "Greylisted: you were not seen here before, come back in " + g.cfg.GreylistDelay.String()}
}

// turnedAway says why a client is refused for what DNS lists say of it; nil: it is not.
func (g *guard) turnedAway(ip netip.Addr, c *screen.Client) *smtp.Reply {
	sum, against := policy.Score(c.On)
	if len(against) == 0 || sum < g.cfg.BlockThreshold {
		return nil
	}
	g.stats.listed.Add(1)
	return &smtp.Reply{Code: 554, Enhanced: "5.7.1", Text: "Service refused: " + ip.String() + " is listed by " +
		strings.Join(against, ", ") + " (score " + strconv.Itoa(sum) + ")"}
}

// maxLookups bounds the strangers who are being looked up. Beyond it they are served
// as if DNS had been silent.
const maxLookups = 1000

// mayLookUp books a lookup, if there is something to look up.
func (g *guard) mayLookUp() bool {
	if !g.cfg.ReverseDNS && len(g.vet.Lists) == 0 {
		return false
	}
	if g.lookups.Add(1) > maxLookups {
		g.lookups.Add(-1)
		g.stats.overLookups.Add(1)
		return false
	}
	return true
}

// metrics are those of strangers: one counter for each reason to refuse.
func (g *guard) metrics(gauge func(name, help string, f func() float64), counter func(name, help string, v *atomic.Int64)) {
	st := &g.stats
	gauge("policy_lookups_open", "Strangers who are being looked up.", func() float64 { return float64(g.lookups.Load()) })
	gauge("policy_checks_open", "Messages that are being checked, of policy.verifications.", func() float64 { return float64(g.checks.Load()) })
	counter("policy_connection_rate_total", "Clients refused by policy.client_connections or network_connections.", &st.connectionRate)
	counter("policy_message_rate_total", "Messages refused by policy.client_messages or network_messages.", &st.messageRate)
	counter("policy_question_rate_total", "Messages refused by policy.client_questions.", &st.questionRate)
	counter("policy_early_talkers_total", "Clients that spoke before the greeting.", &st.earlySeen)
	counter("policy_early_refused_total", "Those of them that were refused.", &st.early)
	counter("policy_pipelining_total", "Clients that sent more before the reply to EHLO, HELO or DATA.", &st.eagerSeen)
	counter("policy_pipelining_refused_total", "Commands and messages refused for it.", &st.eager)
	counter("policy_listed_total", "Clients refused because of DNS lists.", &st.listed)
	counter("policy_lookups_skipped_total", "Clients served without a lookup because too many were under way.", &st.overLookups)
	counter("policy_greylisted_total", "Recipients that had to wait by greylisting.", &st.greylisted)
	counter("policy_success_notifications_total", "Notifications of success because of strangers' mail, which passed SPF.", &st.successTold)
	counter("policy_success_passed_over_total", "Strangers' messages with NOTIFY=SUCCESS of whose success nobody is told.", &st.successPassed)
	counter("policy_checked_total", "Messages checked for SPF, DKIM and DMARC.", &st.checked)
	counter("policy_dmarc_failed_total", "Messages that their domain wants rejected.", &st.dmarcFailed)
	counter("policy_dmarc_refused_total", "Those of them that were refused.", &st.dmarcRefused)
}
