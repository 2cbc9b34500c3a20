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

// asked is a host of an attempt, and what came of it.
type asked struct {
	host    mx.Host
	channel string // what it was spoken to over; "": it was not reached
	said    string
}

// note takes in what a host said of a recipient. The last host's words count; that a
// host could not be asked takes no words away.
func (t *try) note(i int, r queue.Result, doubt bool) {
	last := &t.attempt.Results[i]
	if r.Verdict == queue.Temporary && r.Diagnostic == "" && last.Diagnostic != "" && !doubt {
		return
	}
	*last = r
}

// result says in the queue's words what the peer said of a recipient.
func (t *try) result(res *smtpclient.Result, out *smtpclient.Outcome) queue.Result {
	host := t.wire.host
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
	if t.wire.blamesClearText(res) {
		t.c.security.clear.remove(host.Addr)
		if r.Verdict == queue.Permanent {
			r.Verdict, r.Status = queue.Temporary, "4"+r.Status[1:]
			r.Reason += "; TLS failed before, and is tried again"
		}
	}
	return r
}

// inReplyTo is what the peer said, and of what.
func inReplyTo(res *smtpclient.Result) string {
	if res.Code == 0 || res.Verb == "" {
		return res.Reply
	}
	return res.Reply + " (in reply to " + res.Verb + " command)"
}

// nameOf is a host in the words of Postfix's log, without the port.
func nameOf(h mx.Host) string { return fmt.Sprintf("%s[%s]", h.Name, h.Addr.Addr()) }

// conclude gives a result to the recipients of which no host said a word, and tells
// of the hosts to those that are to be tried again.
func (t *try) conclude(fault queue.Fault) {
	for _, i := range t.left {
		r := &t.attempt.Results[i]
		if r.Diagnostic == "" {
			*r = queue.Result{Status: fault.Status, Reason: fault.Text, Peer: r.Peer}
		}
		if r.Verdict == queue.Permanent { // of the host, not of the message
			r.Verdict, r.Status = queue.Temporary, "4"+r.Status[1:]
		}
	}
	for i := range t.attempt.Results {
		if r := &t.attempt.Results[i]; r.Verdict == queue.Temporary {
			tail := atMost(t.others(r), storage.MaxReason/2)
			r.Reason = atMost(r.Reason, storage.MaxReason-len(tail)) + tail
		}
	}
}

// atMost is a text cut to a number of octets, between two characters.
func atMost(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// mostNamed bounds the hosts that a reason names: the history has them all.
const mostNamed = 4

// others names the hosts that a reason does not speak of: which else were tried, and
// which were not.
func (t *try) others(r *queue.Result) string {
	var tried, untried []string
	add := func(to *[]string, h mx.Host) {
		if name := nameOf(h); !strings.Contains(r.Reason, name) && !slices.Contains(*to, name) {
			*to = append(*to, name)
		}
	}
	for _, a := range t.asked {
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
		n := min(len(list.names), mostNamed)
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

// isDeferred says whether a recipient is to be tried again.
func (t *try) isDeferred() bool {
	return slices.ContainsFunc(t.attempt.Results, func(r queue.Result) bool { return r.Verdict == queue.Temporary })
}

// channelTo is what a host was spoken to over, the last time.
func (t *try) channelTo(peer string) string {
	for _, h := range slices.Backward(t.asked) {
		if h.host.String() == peer {
			return h.channel
		}
	}
	return ""
}

// recordOf is the attempt in words, for the history. One that delivers at once
// leaves none: the log has it, and most mail goes that way.
func (t *try) recordOf() string {
	e, a := t.entry, t.attempt
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
	if waits := t.isDeferred(); len(t.asked) > 1 || waits && len(t.untried) > 0 {
		for _, h := range t.asked {
			fmt.Fprintf(&b, "\ntried %s%s: %s", h.host, h.channel, oneLine(h.said))
		}
		for i, h := range t.untried {
			if !waits {
				break
			}
			if i == mostNamed {
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
