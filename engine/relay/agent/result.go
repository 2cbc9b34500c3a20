package agent

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"postrider/engine/protocol/smtpclient"
	"postrider/engine/relay/mx"
	"postrider/engine/relay/queue"
	"postrider/storage"
)

// triedHost is a host that an attempt has tried, and its reply.
type triedHost struct {
	host    mx.Host
	channel string // TLS or clear text: see peer.channel; "": no connection
	said    string // the last reply, or why there was none
}

// note stores the result of a recipient at one host. The last reply of a host counts; a
// host that could not be reached does not replace it.
func (t *attempt) note(i int, r queue.Result, doubt bool) {
	last := &t.outcome.Results[i]
	if r.Verdict == queue.Temporary && r.Diagnostic == "" && last.Diagnostic != "" && !doubt {
		return
	}
	*last = r
}

// result makes the scheduler's result of the peer's reply about a recipient.
func (t *attempt) result(res *smtpclient.Result, out *smtpclient.Outcome) queue.Result {
	host := t.peer.host
	name := nameOf(host)
	r := queue.Result{Status: res.Status, Peer: host.String()}
	if res.Code != 0 {
		r.Diagnostic, r.Remote = res.Reply, host.Name
	}
	switch res.Verdict {
	case smtpclient.Delivered:
		r.Verdict, r.Reason, r.PeerNotifies = queue.Delivered, res.Reply, out.DSN
		return r
	case smtpclient.Permanent:
		r.Verdict = queue.Permanent
	}
	r.Reason = "host " + name + ": " + res.Reply
	if res.Code != 0 {
		r.Reason = "host " + name + " said: " + inReplyTo(res)
	}
	if t.peer.blamesClearText(res) {
		t.set.security.clear.remove(host.Addr)
		if r.Verdict == queue.Permanent {
			r.Verdict, r.Status = queue.Temporary, "4"+r.Status[1:]
			r.Reason += "; TLS failed before, and is tried again"
		}
	}
	return r
}

// inReplyTo returns the peer's reply and the command that it answers.
func inReplyTo(res *smtpclient.Result) string {
	if res.Code == 0 || res.Verb == "" {
		return res.Reply
	}
	return res.Reply + " (in reply to " + res.Verb + " command)"
}

// nameOf returns a host as in Postfix's log, without the port.
func nameOf(h mx.Host) string { return fmt.Sprintf("%s[%s]", h.Name, h.Addr.Addr()) }

// conclude gives a result to the recipients about which no host has replied, and adds the
// names of other hosts to deferred results.
func (t *attempt) conclude(fault queue.Fault) {
	for _, i := range t.left {
		r := &t.outcome.Results[i]
		if r.Diagnostic == "" {
			*r = queue.Result{Status: fault.Status, Reason: fault.Text, Peer: r.Peer}
		}
		if r.Verdict == queue.Permanent { // the refusal is about this host, not the message
			r.Verdict, r.Status = queue.Temporary, "4"+r.Status[1:]
		}
	}
	for i := range t.outcome.Results {
		if r := &t.outcome.Results[i]; r.Verdict == queue.Temporary {
			tail := atMost(t.others(r), storage.MaxReason/2)
			r.Reason = atMost(r.Reason, storage.MaxReason-len(tail)) + tail
		}
	}
}

// atMost cuts a text to n octets, between two characters.
func atMost(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// maxNamed bounds the hosts that a reason names. The history has all of them.
const maxNamed = 4

// others names the hosts that a reason does not contain: other hosts that were tried, and
// hosts that were not.
func (t *attempt) others(r *queue.Result) string {
	var tried, untried []string
	add := func(to *[]string, h mx.Host) {
		if name := nameOf(h); !strings.Contains(r.Reason, name) && !slices.Contains(*to, name) {
			*to = append(*to, name)
		}
	}
	for _, a := range t.tried {
		add(&tried, a.host)
	}
	for _, h := range t.untried {
		add(&untried, h)
	}
	tail := ""
	for _, list := range []struct {
		lead  string
		names []string
	}{{"; also tried: ", tried}, {"; not tried: ", untried}} {
		n := min(len(list.names), maxNamed)
		if n == 0 {
			continue
		}
		tail += list.lead + strings.Join(list.names[:n], ", ")
		if more := len(list.names) - n; more > 0 {
			tail += fmt.Sprintf(" and %d more", more)
		}
	}
	return tail
}

// isDeferred reports whether any recipient is deferred.
func (t *attempt) isDeferred() bool {
	return slices.ContainsFunc(t.outcome.Results, func(r queue.Result) bool { return r.Verdict == queue.Temporary })
}

// channelTo returns the channel that was last used to a host.
func (t *attempt) channelTo(peer string) string {
	for _, h := range slices.Backward(t.tried) {
		if h.host.String() == peer {
			return h.channel
		}
	}
	return ""
}

// recordOf describes the attempt for the records of the store. It returns "" for a first
// attempt that delivers to all recipients, as most do: see keep.
func (t *attempt) recordOf() string {
	e, a := t.entry, t.outcome
	delivered := 0
	for i := range a.Results {
		if a.Results[i].Verdict == queue.Delivered {
			delivered++
		}
	}
	if delivered == len(a.Results) && e.Attempts == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "attempt %d, ", e.Attempts+1)
	if a.Peer == "" {
		b.WriteString("no host")
	} else {
		b.WriteString(a.Peer + t.channelTo(a.Peer))
	}
	if waits := t.isDeferred(); len(t.tried) > 1 || waits && len(t.untried) > 0 {
		for _, h := range t.tried {
			fmt.Fprintf(&b, "\ntried %s%s: %s", h.host, h.channel, oneLine(h.said))
		}
		for i, h := range t.untried {
			if !waits {
				break
			}
			if i == maxNamed {
				fmt.Fprintf(&b, "\nnot tried: %d more", len(t.untried)-i)
				break
			}
			fmt.Fprintf(&b, "\nnot tried: %s", h)
		}
	}
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

var verdictWords = map[queue.Verdict]string{
	queue.Temporary: "deferred", queue.Permanent: "failed", queue.Delivered: "delivered",
}
