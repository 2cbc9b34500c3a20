package courier

import (
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"

	"postrider/engine/relay"
	"postrider/engine/resolver"
	"postrider/engine/router"
	"postrider/engine/smtpclient"
	"postrider/engine/tlspolicy"
	"postrider/storage"
)

// try is one attempt to deliver an entry: over the connection that the session
// has, or to the hosts of the next hop in turn, until one has taken part in it.
type try struct {
	*session
	c       *Courier
	entry   *storage.QueueEntry
	hop     router.Hop
	attempt *relay.Attempt
	left    []int // recipients without a result
	bearing *Bearing
	answer  *resolver.Answer
	channel string // what the host was spoken to over, for the history
	doubt   bool   // the host broke off behind the message, and may have it
}

// Of a next hop's hosts, so many are tried in one attempt (Postfix:
// smtp_mx_address_limit).
const mostHosts = 5

func (t *try) run() (relay.HostVerdict, relay.Fault) {
	for i := range t.entry.Recipients {
		t.left = append(t.left, i)
	}
	if t.wire != nil {
		t.c.Stats.Reused.Add(1)
		if fault, down := t.transact(); !down {
			return t.verdict(), fault
		}
		t.drop() // most often it was closed while it was idle, which says nothing of the host
	}
	answer, err := t.c.hosts.Hosts(t.c.ctx, t.hop)
	if err != nil {
		return t.unresolved(err)
	}
	t.answer, t.bearing = answer, t.c.security.Bearing(t.c.ctx, t.hop)
	t.c.security.tell()
	fault := relay.Fault{Status: "4.4.1", Text: "no host was tried"}
	for i, host := range answer.Hosts {
		if i == mostHosts || t.c.ctx.Err() != nil {
			break
		}
		var down bool
		if fault, down = t.tryHost(host); !down {
			return t.verdict(), fault
		}
		t.drop()
	}
	t.all(relay.Result{Verdict: relay.Temporary, Status: fault.Status, Reason: fault.Text})
	if t.c.ctx.Err() != nil {
		return relay.HostUnknown, fault
	}
	return relay.HostDown, fault
}

// verdict is what the session can do next.
func (t *try) verdict() relay.HostVerdict {
	if t.doubt {
		return relay.HostDown
	}
	if t.wire == nil || !t.wire.m.Ready() || t.c.closing.Load() {
		return relay.HostDone
	}
	return relay.HostOK
}

// unresolved is the end of an attempt without hosts.
func (t *try) unresolved(err error) (relay.HostVerdict, relay.Fault) {
	res := relay.Result{Verdict: relay.Temporary, Status: "4.4.3", Reason: err.Error()}
	var e *resolver.Error
	if errors.As(err, &e) {
		if t.hop.Kind == router.ByMX && t.hop.Host != t.entry.Domain {
			e = e.Softened() // the operator named it
		}
		res.Status = e.Status
		if e.Permanent {
			res.Verdict = relay.Permanent
		}
	}
	t.all(res)
	if res.Verdict == relay.Permanent || t.c.ctx.Err() != nil {
		return relay.HostUnknown, relay.Fault{}
	}
	return relay.HostDown, relay.Fault{Status: res.Status, Text: res.Reason}
}

// all gives every recipient that has none this result.
func (t *try) all(res relay.Result) {
	for _, i := range t.left {
		t.attempt.Results[i] = res
	}
	t.left = nil
}

// tryHost connects and sends the message. down: the host took no part in it, and
// another may.
func (t *try) tryHost(host resolver.Host) (relay.Fault, bool) {
	login := t.c.passwords.For(t.hop)
	demand, err := t.demand(host, login != nil)
	if err != nil {
		return relay.Fault{Status: "4.7.5", Text: "host " + host.String() + " is not used: " + err.Error()}, true
	}
	fault, down, again := t.overWire(host, demand, login)
	if again && t.c.ctx.Err() == nil {
		t.c.security.clear.add(host.Addr, time.Now())
		t.c.log.Info("mail goes to "+host.String()+" in clear text for a while: "+fault.Text, smtpAgent, "id", t.entry.ID.String())
		fault, down, _ = t.overWire(host, demand, login)
	}
	return fault, down
}

// demand is what a host has to show. A password is not told in clear text, but to
// this machine.
func (t *try) demand(host resolver.Host, login bool) (tlspolicy.Demand, error) {
	d, err := t.bearing.Demand(t.c.ctx, t.answer, host)
	if login && !t.c.cfg.Relay.AuthWithoutTLS && !host.Addr.Addr().IsLoopback() {
		d.Raise(tlspolicy.Encrypt, "relay.passwords")
	}
	return d, err
}

// overWire is tryHost with one connection. again: TLS broke it, and may be left out.
func (t *try) overWire(host resolver.Host, demand tlspolicy.Demand, login *smtpclient.Credentials) (fault relay.Fault, down, again bool) {
	w, err := t.c.connect(host, demand, login)
	if err != nil {
		return relay.Fault{Status: "4.4.1", Text: "connect to " + host.String() + ": " + err.Error()}, true, false
	}
	t.wire = w
	t.c.Stats.Sessions.Add(1)
	fault, down = t.transact()
	if demand.Testing {
		t.rehearse(w)
	}
	return fault, down, down && demand.Optional() && w.brokenByTLS()
}

// rehearse tells of what a policy in testing finds wrong with a connection.
func (t *try) rehearse(w *wire) {
	var chain []*x509.Certificate
	if w.tls != nil {
		chain = w.tls.chain
	}
	if err := w.demand.Rehearse(t.bearing.STS, chain, t.c.security.roots, time.Now()); err != nil {
		t.c.log.Warn("MTA-STS policy in testing: "+w.host.String()+" would not be used: "+err.Error(), smtpAgent, "id", t.entry.ID.String())
	}
}

// transact sends the message over the connection, in as many transactions as its
// recipients take. down: nothing came of it but that the host will do nothing.
func (t *try) transact() (fault relay.Fault, down bool) {
	t.attempt.Peer = t.wire.host.String()
	defer func(w *wire) { t.channel = w.channel() }(t.wire)
	for len(t.left) > 0 {
		out := t.wire.send(t.c, t.entry, t.left)
		t.attempt.PeerNotifies = out.DSN
		var again []int
		for k, i := range t.left {
			res := &out.Results[k]
			if res.Again && t.wire.m.Ready() {
				again = append(again, i)
			}
			t.attempt.Results[i] = t.result(res)
			if res.Verdict != smtpclient.Delivered && res.Scope == smtpclient.ScopeHost {
				down = true
				fault = relay.Fault{Status: t.attempt.Results[i].Status, Text: t.attempt.Results[i].Reason}
			}
		}
		if down {
			return t.broken(out, fault)
		}
		t.left = again
	}
	return fault, false
}

// broken says how bad it is that the host broke off.
func (t *try) broken(out *smtpclient.Outcome, fault relay.Fault) (relay.Fault, bool) {
	t.drop()
	if out.Doubt {
		t.left, t.doubt = nil, true // no other host is asked now
		return fault, false
	}
	kept := t.left[:0]
	for k, i := range t.left {
		if out.Results[k].Scope == smtpclient.ScopeHost && out.Results[k].Verdict != smtpclient.Delivered {
			kept = append(kept, i)
		}
	}
	t.left = kept
	return fault, true
}

// result says in the queue's words what the peer said of a recipient.
func (t *try) result(res *smtpclient.Result) relay.Result {
	host := t.wire.host
	name := fmt.Sprintf("%s[%s]", host.Name, host.Addr.Addr())
	r := relay.Result{Status: res.Status, Reason: res.Reply}
	switch res.Verdict {
	case smtpclient.Delivered:
		r.Verdict = relay.Delivered
		r.Diagnostic, r.Remote = res.Reply, host.Name
		return r
	case smtpclient.Permanent:
		r.Verdict = relay.Permanent
	}
	if res.Code == 0 {
		r.Reason = "host " + name + ": " + res.Reply
		return r
	}
	r.Diagnostic, r.Remote = res.Reply, host.Name
	r.Reason = "host " + name + " said: " + res.Reply
	if res.Verb != "" {
		r.Reason += " (in reply to " + res.Verb + " command)"
	}
	return r
}

// recordOf is the attempt in words, for the history. One that delivers at once
// leaves none: the log has it, and most mail goes that way.
func recordOf(e *storage.QueueEntry, a *relay.Attempt, channel string) string {
	delivered := 0
	for i := range a.Results {
		if a.Results[i].Verdict == relay.Delivered {
			delivered++
		}
	}
	if delivered == len(a.Results) && e.Attempts == 0 {
		return ""
	}
	var b strings.Builder
	peer := a.Peer
	if peer == "" {
		peer = "no host"
	}
	fmt.Fprintf(&b, "attempt %d, %s%s", e.Attempts+1, peer, channel)
	last := ""
	for i := range a.Results {
		r := &a.Results[i]
		line := fmt.Sprintf("%s %s: %s", verdictWords[r.Verdict], r.Status, oneLine(r.Reason))
		if line != last {
			fmt.Fprintf(&b, "\n%s", line)
			last = line
		}
		fmt.Fprintf(&b, "\n  <%s>", e.Recipients[i].ForwardPath)
	}
	return b.String()
}

var verdictWords = map[relay.Verdict]string{
	relay.Temporary: "deferred", relay.Permanent: "failed", relay.Delivered: "delivered",
}

// limitOf is how long each thing may take (RFC 5321 section 4.5.3.2).
func (c *Courier) limitOf(w smtpclient.Wait) time.Duration {
	r := &c.cfg.Relay
	switch w {
	case smtpclient.WaitDataInit:
		return min(r.CommandTimeout, 2*time.Minute)
	case smtpclient.WaitDataBlock:
		return r.DataTimeout
	case smtpclient.WaitDataDone:
		return r.ReplyTimeout
	}
	return r.CommandTimeout
}
