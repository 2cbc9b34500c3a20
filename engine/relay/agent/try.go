package agent

import (
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"postrider/engine/mail/router"
	"postrider/engine/protocol/smtpclient"
	"postrider/engine/relay/mx"
	"postrider/engine/relay/queue"
	"postrider/engine/relay/tlspolicy"
	"postrider/storage"
)

// try is one attempt to deliver an entry: over the connection that the session has,
// and to the hosts of the next hop in turn, until each recipient is delivered or
// refused for good. A host's "not now" is a reason to ask the next host (RFC 5321
// section 5.1): its disk may be full, its scanner down, and the other one's not.
type try struct {
	*session
	c       *Courier
	entry   *storage.QueueEntry
	hop     router.Hop
	attempt *queue.Attempt
	left    []int // recipients that another host may be asked for
	asked   []asked
	untried []mx.Host // that were not asked: there are too many, or it must not be
	bearing *Bearing
	answer  *mx.Answer
	waited  bool // see hasWaited
	utf8    need // whether the message's header needs SMTPUTF8
	took    bool // a host took part to the end: the site is alive
	began   time.Time
	full    int  // hosts that were not asked because of mostOfPeer
	doubt   bool // a host broke off after the message, and may have it
}

func (t *try) run() (queue.HostVerdict, queue.Fault) {
	t.waited = t.hasWaited(time.Now())
	t.began = time.Now()
	for i := range t.entry.Recipients {
		t.left = append(t.left, i)
	}
	var been netip.AddrPort
	if t.wire != nil {
		been = t.wire.host.Addr
		t.c.Stats.Reused.Add(1)
		fault, down := t.transact()
		if !down && len(t.left) == 0 {
			return t.verdict(), fault
		}
		if down {
			// Most often it was closed while it was idle, which says nothing of the host.
			t.drop()
			t.asked, been = nil, netip.AddrPort{}
			for _, i := range t.left {
				t.attempt.Results[i] = queue.Result{}
			}
		}
		t.took = !down
	}
	answer, err := t.c.hosts.Hosts(t.c.ctx, t.hop)
	if err != nil {
		if t.took {
			return t.verdict(), queue.Fault{} // what the host said stays
		}
		return t.unresolved(err)
	}
	t.answer, t.bearing = answer, t.c.security.Bearing(t.c.ctx, t.hop)
	t.c.security.tell()
	fault := t.askInTurn(been)
	t.conclude(fault)
	switch {
	case t.took:
		return t.verdict(), fault
	case t.full > 0 && t.full == len(t.asked):
		return queue.HostBusy, fault
	case t.c.ctx.Err() != nil:
		return queue.HostUnknown, fault
	}
	return queue.HostDown, fault
}

// askInTurn asks the hosts, but the one that was asked already, for the recipients
// that are left. The fault is that of the last host that was down.
func (t *try) askInTurn(been netip.AddrPort) queue.Fault {
	fault := queue.Fault{Status: "4.4.1", Text: "no host was tried"}
	hosts, places := inOrder(t.answer.Hosts, been), mostHosts
	if been.IsValid() {
		places--
	}
	for i, host := range hosts {
		if len(t.left) == 0 || places == 0 || i == mostLooked || t.c.ctx.Err() != nil || i > 0 && time.Since(t.began) > dialogueReplies*t.c.settings.Command {
			t.untried = hosts[i:]
			break
		}
		t.tellNext(host)
		t.hangUp() // the last host is not asked again
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

// tellNext logs what the last host said, when another one is asked.
func (t *try) tellNext(host mx.Host) {
	if len(t.asked) == 0 || !t.took {
		return
	}
	last := t.asked[len(t.asked)-1]
	t.c.info("host "+nameOf(last.host)+": "+oneLine(last.said)+"; host "+nameOf(host)+" is asked", smtpAgent, slog.String("id", t.entry.ID.String()))
}

// verdict is what the session can do next, after a host took part.
func (t *try) verdict() queue.HostVerdict {
	if t.doubt {
		return queue.HostDown
	}
	if t.wire == nil || !t.wire.m.Ready() || t.c.closing.Load() {
		return queue.HostDone
	}
	return queue.HostOK
}

// unresolved is the end of an attempt without hosts.
func (t *try) unresolved(err error) (queue.HostVerdict, queue.Fault) {
	res := queue.Result{Verdict: queue.Temporary, Status: "4.4.3", Reason: err.Error()}
	var e *mx.Error
	if errors.As(err, &e) {
		if t.hop.Kind == router.ByMX && t.hop.Host != t.entry.Domain {
			e = e.Softened() // the operator named it
		}
		res.Status = e.Status
		if e.Permanent {
			res.Verdict = queue.Permanent
		}
	}
	for _, i := range t.left {
		t.attempt.Results[i] = res
	}
	if res.Verdict == queue.Permanent || t.c.ctx.Err() != nil {
		return queue.HostUnknown, queue.Fault{}
	}
	return queue.HostDown, queue.Fault{Status: res.Status, Text: res.Reason}
}

// tryHost connects and sends the message. down: the host took no part in it. counts:
// it took time, and one of the places for hosts.
func (t *try) tryHost(host mx.Host) (fault queue.Fault, down, counts bool) {
	login := t.c.passwords.For(t.hop)
	demand, err := t.demand(host, login != nil)
	if err != nil {
		t.asked = append(t.asked, asked{host: host, said: "not used: " + err.Error()})
		return queue.Fault{Status: "4.7.5", Text: "host " + host.String() + " is not used: " + err.Error()}, true, false
	}
	plain := demand.Level == tlspolicy.May && t.c.security.clear.has(host.Addr, time.Now())
	end := t.overWire(host, demand, login, plain)
	if end.noTLS && t.waited && t.c.ctx.Err() == nil {
		t.c.log.Info("mail goes to "+host.String()+" in clear text now: "+end.fault.Text, smtpAgent, "id", t.entry.ID.String())
		t.drop()
		end = t.overWire(host, demand, login, true)
	}
	return end.fault, end.down, !end.local
}

// hasWaited says whether the message may go in clear text where TLS is offered and
// broken. Most breaks are a restart or a lost packet, and TLS works the next time; so
// clear text is for mail that has waited once, as with Postfix. What waited because
// its site was dead has done so too.
func (t *try) hasWaited(now time.Time) bool {
	return t.entry.Attempts > 0 || now.Sub(t.entry.Arrival) >= t.c.settings.Policy.Wait(1, 0)
}

// demand is what a host has to show. A password is not told in clear text, but to
// this machine.
func (t *try) demand(host mx.Host, login bool) (tlspolicy.Demand, error) {
	d, err := t.bearing.Demand(t.c.ctx, t.answer, host)
	if login && !t.c.settings.AuthWithoutTLS && !host.Addr.Addr().IsLoopback() {
		d.Raise(tlspolicy.Encrypt, "relay.passwords")
	}
	return d, err
}

// ending is how it went with one connection to a host.
type ending struct {
	fault queue.Fault
	down  bool // the host took no part
	noTLS bool // TLS broke it, and may be left out
	local bool // this machine can't reach such an address: nothing was sent
}

// overWire is tryHost with one connection. plain: in clear text, though the host may
// offer TLS.
func (t *try) overWire(host mx.Host, demand tlspolicy.Demand, login *smtpclient.Credentials, plain bool) ending {
	leave, most := t.enter(host)
	if leave == nil {
		t.full++
		text := fmt.Sprintf("%d connections to %s are open, as many as one address may have", most, host.Addr.Addr())
		t.asked = append(t.asked, asked{host: host, said: text})
		return ending{fault: queue.Fault{Status: "4.4.5", Text: text}, down: true, local: true}
	}
	w, err := t.c.connect(host, demand, login, plain, leave)
	if err != nil {
		t.asked = append(t.asked, asked{host: host, said: err.Error()})
		return ending{
			fault: queue.Fault{Status: "4.4.1", Text: "connect to " + host.String() + ": " + err.Error()},
			down:  true, local: isLocalFault(err),
		}
	}
	w.remembered = plain && t.c.security.clear.has(host.Addr, time.Now())
	t.wire = w
	t.c.Stats.Sessions.Add(1)
	var end ending
	end.fault, end.down = t.transact()
	if demand.Testing {
		t.rehearse(w)
	}
	end.noTLS = end.down && demand.Optional() && w.brokenByTLS()
	return end
}

// rehearse tells of what a policy in testing finds wrong with a connection.
func (t *try) rehearse(w *wire) {
	var chain []*x509.Certificate
	if w.tls != nil {
		chain = w.tls.chain
	}
	if err := w.demand.TestPolicy(t.bearing.STS, chain, t.c.security.roots, time.Now()); err != nil {
		t.c.log.Warn("MTA-STS policy in testing: "+w.host.String()+" would not be used: "+err.Error(), smtpAgent, "id", t.entry.ID.String())
	}
}

// transact sends the message over the connection, in as many transactions as its
// recipients take. What is left afterwards may be asked of another host. down: nothing
// came of it but that the host will do nothing.
func (t *try) transact() (fault queue.Fault, down bool) {
	w := t.wire
	t.attempt.Peer = w.host.String()
	utf8, said := t.needsUTF8(), "took the message"
	var elsewhere, broken []int
	for first := true; len(t.left) > 0 && len(broken) == 0 && (first || time.Since(t.began) < mostAttempt); first = false {
		out := w.send(t.c, t.entry, t.left, utf8)
		var again []int
		for k, i := range t.left {
			res := &out.Results[k]
			r := t.result(res, out)
			t.note(i, r, out.Doubt)
			if r.Verdict == queue.Delivered {
				w.clearTextWorks(&t.c.security.clear)
				continue
			}
			said = inReplyTo(res)
			switch {
			case res.Again && w.m.Ready():
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
	t.asked = append(t.asked, asked{w.host, w.channel(), said})
	t.left = append(append(elsewhere, t.left...), broken...)
	if len(broken) == 0 {
		return fault, false
	}
	t.drop()
	if t.doubt {
		t.left = nil // the host may have the message: no other one is asked now
		return fault, false
	}
	return fault, true
}
