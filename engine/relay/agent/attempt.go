package agent

import (
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"postrider/engine/host/maillog"
	"postrider/engine/mail/router"
	"postrider/engine/protocol/smtpclient"
	"postrider/engine/relay/mx"
	"postrider/engine/relay/queue"
	"postrider/engine/relay/tlspolicy"
	"postrider/storage"
)

// attempt is one attempt to deliver an entry: first over the connection that the session
// has, then to the next hop's hosts in turn, until each recipient is delivered or
// refused for good. After a temporary refusal the next host is tried (RFC 5321 section
// 5.1): the first one may have a full disk, and the next one may not.
type attempt struct {
	*session
	c        *Courier
	set      *rules // that counted when the attempt began
	entry    *storage.QueueEntry
	hop      router.Hop
	outcome  *queue.Attempt
	left     []int // indexes of the recipients for which another host may be tried
	tried    []triedHost
	untried  []mx.Host // hosts that were not tried: too many, or a host may have the message
	security *NextHopSecurity
	answer   *mx.Answer
	waited   bool // see hasWaited
	utf8     need // whether the message's header needs SMTPUTF8
	took     bool // a host completed the dialogue: the site is alive
	began    time.Time
	full     int  // hosts that were not tried because of maxPerAddress
	doubt    bool // a host broke off after the message, and may have it
}

func (t *attempt) run() (queue.HostVerdict, queue.Fault) {
	t.waited = t.hasWaited(time.Now())
	t.began = time.Now()
	for i := range t.entry.Recipients {
		t.left = append(t.left, i)
	}
	var except netip.AddrPort
	if t.peer != nil {
		except = t.peer.host.Addr
		t.c.Stats.Reused.Add(1)
		fault, down := t.transact()
		if !down && len(t.left) == 0 {
			return t.verdict(), fault
		}
		if down {
			// Most often the peer closed the idle connection. The host may be up.
			t.drop()
			t.tried, except = nil, netip.AddrPort{}
			for _, i := range t.left {
				t.outcome.Results[i] = queue.Result{}
			}
		}
		t.took = !down
	}
	answer, err := t.c.hosts.Hosts(t.c.ctx, t.hop)
	if err != nil {
		if t.took {
			return t.verdict(), queue.Fault{} // the results keep the host's replies
		}
		return t.unresolved(err)
	}
	t.answer, t.security = answer, t.set.security.ForNextHop(t.c.ctx, t.hop)
	t.set.security.logDANEOnce()
	fault := t.tryInTurn(except)
	t.conclude(fault)
	switch {
	case t.took:
		return t.verdict(), fault
	case t.full > 0 && t.full == len(t.tried):
		return queue.HostBusy, fault
	case t.c.ctx.Err() != nil:
		return queue.HostUnknown, fault
	}
	return queue.HostDown, fault
}

// tryInTurn tries the hosts for the recipients that are left, except for the address that
// was tried already. The fault is about the last host that was down.
func (t *attempt) tryInTurn(except netip.AddrPort) queue.Fault {
	fault := queue.Fault{Status: "4.4.1", Text: "no host was tried"}
	hosts, places := inOrder(t.answer.Hosts, except), maxHosts
	if except.IsValid() {
		places--
	}
	for i, host := range hosts {
		if len(t.left) == 0 || places == 0 || i == maxLooked || t.c.ctx.Err() != nil || i > 0 && time.Since(t.began) > dialogueReplies*t.set.Command {
			t.untried = hosts[i:]
			break
		}
		t.logNextHost(host)
		t.hangUp() // the last host is not tried again
		f, down, counts := t.tryHost(host)
		if counts {
			places--
		}
		if down {
			t.drop()
			fault = f
			continue
		}
		t.took = true
	}
	return fault
}

// logNextHost logs the last host's reply before another one is tried.
func (t *attempt) logNextHost(host mx.Host) {
	if len(t.tried) == 0 || !t.took {
		return
	}
	last := t.tried[len(t.tried)-1]
	t.c.info("host "+nameOf(last.host)+": "+oneLine(last.said)+"; trying host "+nameOf(host)+" next", maillog.SMTP, slog.String("id", t.entry.ID.Message.String()))
}

// verdict tells the scheduler whether the session can go on, after a host has replied.
func (t *attempt) verdict() queue.HostVerdict {
	if t.doubt {
		return queue.HostDown
	}
	if t.peer == nil || !t.peer.m.Ready() || t.c.closing.Load() {
		return queue.HostDone
	}
	return queue.HostOK
}

// unresolved ends an attempt for which DNS gave no hosts.
func (t *attempt) unresolved(err error) (queue.HostVerdict, queue.Fault) {
	res := queue.Result{Verdict: queue.Temporary, Status: "4.4.3", Reason: err.Error()}
	var e *mx.Error
	if errors.As(err, &e) {
		if t.hop.Kind == router.ByMX && t.hop.Host != t.entry.Domain {
			e = e.Softened() // the operator named the next hop
		}
		res.Status = e.Status
		if e.Permanent {
			res.Verdict = queue.Permanent
		}
	}
	for _, i := range t.left {
		t.outcome.Results[i] = res
	}
	if res.Verdict == queue.Permanent || t.c.ctx.Err() != nil {
		return queue.HostUnknown, queue.Fault{}
	}
	return queue.HostDown, queue.Fault{Status: res.Status, Text: res.Reason}
}

// tryHost connects to a host and sends the message. down means that the host accepted and
// refused nothing, counts that the try is one of maxHosts.
func (t *attempt) tryHost(host mx.Host) (fault queue.Fault, down, counts bool) {
	login := t.set.passwords.For(t.hop)
	demand, err := t.demand(host, login != nil)
	if err != nil {
		t.tried = append(t.tried, triedHost{host: host, said: "not used: " + err.Error()})
		return queue.Fault{Status: "4.7.5", Text: "host " + host.String() + " is not used: " + err.Error()}, true, false
	}
	plain := demand.Level == tlspolicy.May && t.set.security.clear.has(host.Addr, time.Now())
	end := t.tryConnection(host, demand, login, plain)
	if end.noTLS && t.waited && t.c.ctx.Err() == nil {
		t.c.log.Info("mail goes to "+host.String()+" in clear text now: "+end.fault.Text, maillog.SMTP, "id", t.entry.ID.Message.String())
		t.drop()
		end = t.tryConnection(host, demand, login, true)
	}
	return end.fault, end.down, !end.local
}

// hasWaited reports whether the message may go in clear text where TLS is offered and
// broken. Most breaks are a restart or a lost packet, and TLS works the next time. So
// clear text is for mail that has waited once, as with Postfix. A wait for a dead site
// counts too.
func (t *attempt) hasWaited(now time.Time) bool {
	return t.entry.Attempts > 0 || now.Sub(t.entry.Arrival) >= t.set.Policy.Wait(1, 0)
}

// demand returns what TLS a host has to show. A login demands encryption, except on this
// machine.
func (t *attempt) demand(host mx.Host, login bool) (tlspolicy.Demand, error) {
	d, err := t.security.Demand(t.c.ctx, t.answer, host)
	if login && !t.set.AuthWithoutTLS && !host.Addr.Addr().IsLoopback() {
		d.Raise(tlspolicy.Encrypt, "relay.passwords")
	}
	return d, err
}

// ending is the outcome of one connection to a host.
type ending struct {
	fault queue.Fault
	down  bool // the host accepted and refused nothing
	noTLS bool // TLS broke the connection, and is optional
	local bool // this machine can't reach such an address: nothing was sent
}

// tryConnection makes one connection for tryHost. plain means clear text, though the host
// may offer TLS.
func (t *attempt) tryConnection(host mx.Host, demand tlspolicy.Demand, login *smtpclient.Credentials, plain bool) ending {
	leave, bound := t.enter(host)
	if leave == nil {
		t.full++
		text := fmt.Sprintf("%d connections to %s are open: the limit for one address", bound, host.Addr.Addr())
		t.tried = append(t.tried, triedHost{host: host, said: text})
		return ending{fault: queue.Fault{Status: "4.4.5", Text: text}, down: true, local: true}
	}
	p, err := t.c.connect(t.set, host, demand, login, plain, leave)
	if err != nil {
		t.tried = append(t.tried, triedHost{host: host, said: err.Error()})
		return ending{
			fault: queue.Fault{Status: "4.4.1", Text: "connect to " + host.String() + ": " + err.Error()},
			down:  true, local: isLocalFault(err),
		}
	}
	p.remembered = plain && t.set.security.clear.has(host.Addr, time.Now())
	t.peer = p
	t.c.Stats.Sessions.Add(1)
	var end ending
	end.fault, end.down = t.transact()
	if demand.Testing {
		t.testPolicy(p)
	}
	end.noTLS = end.down && demand.Optional() && p.brokenByTLS()
	return end
}

// testPolicy logs what an MTA-STS policy in testing mode finds wrong with a connection.
func (t *attempt) testPolicy(p *peer) {
	var chain []*x509.Certificate
	if p.tls != nil {
		chain = p.tls.chain
	}
	if err := p.demand.TestPolicy(t.security.STS, chain, t.set.security.roots, time.Now()); err != nil {
		t.c.log.Warn("MTA-STS policy in testing: "+p.host.String()+" would not be used: "+err.Error(), maillog.SMTP, "id", t.entry.ID.Message.String())
	}
}

// transact sends the message over the connection, in as many transactions as the host
// needs for the recipients. For the recipients that are left another host may be tried.
// down means that the connection or the host failed for all of them.
func (t *attempt) transact() (fault queue.Fault, down bool) {
	p := t.peer
	t.outcome.Peer = p.host.String()
	utf8, said := t.needsUTF8(), "took the message"
	var elsewhere, broken []int
	for first := true; len(t.left) > 0 && len(broken) == 0 && (first || time.Since(t.began) < maxAttempt); first = false {
		p.kept = t.kept
		out := p.send(t.c, t.entry, t.left, utf8)
		t.outcome.Handed, t.outcome.Uses = p.handed, p.uses
		var again []int
		for k, i := range t.left {
			res := &out.Results[k]
			r := t.result(res, out)
			t.note(i, r, out.Doubt)
			if r.Verdict == queue.Delivered {
				p.clearTextWorks(t.set.security.clear)
				continue
			}
			said = inReplyTo(res)
			switch {
			case res.Again && p.m.Ready():
				again = append(again, i)
			case res.Scope == smtpclient.ScopeHost:
				broken = append(broken, i)
				fault = queue.Fault{Status: r.Status, Text: r.Reason}
			case r.Verdict == queue.Temporary && (res.Code != 0 || res.Again):
				elsewhere = append(elsewhere, i)
			}
		}
		t.left, t.doubt = again, out.Doubt
	}
	t.tried = append(t.tried, triedHost{p.host, p.channel(), said})
	t.left = append(append(elsewhere, t.left...), broken...)
	if len(broken) == 0 {
		return fault, false
	}
	t.drop()
	if t.doubt {
		t.left = nil // the host may have the message: no other one is tried now
		return fault, false
	}
	return fault, true
}
