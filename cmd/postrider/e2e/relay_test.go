package e2e

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"postrider/bench"
	"postrider/engine/edge/dns/dnstest"
)

// startRelay starts a server that asks dns about the hosts of other domains,
// reaches them at port, and does not wait long. more are lines of [relay] that
// come last, and may be empty. Accounts are made for the senders.
func startRelay(t *testing.T, dns *dnstest.Server, port int, more string, accounts ...string) *server {
	t.Helper()
	s := newServer(t, accounts...)
	s.configure(relayConfig(dns, port, more))
	s.start()
	return s
}

// relayConfig is the configuration that startRelay writes.
func relayConfig(dns *dnstest.Server, port int, more string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "[relay]\nresolvers = [%q]\nport = %d\njitter = 0\nfamilies = \"ipv4\"\n", dns.Addr(), port)
	for _, line := range []string{
		`retry = ["1s"]`, `connect_timeout = "5s"`, `command_timeout = "20s"`, `data_timeout = "20s"`, `reply_timeout = "20s"`,
		`complete_header = false`, // octets are compared
		`private_networks = ["127.0.0.0/8"]`,
	} {
		if key, _, _ := strings.Cut(line, " "); !strings.Contains(more, key+" ") {
			fmt.Fprintln(&b, line)
		}
	}
	return b.String() + more + "\n"
}

// submission is one message for submit.
type submission struct {
	from string   // "addr", or "addr> PARAMETERS"
	to   []string // each likewise
	text string   // in wire form, without the dot; "": a short one
}

// path is an argument of MAIL or RCPT.
func path(s string) string {
	if strings.Contains(s, ">") {
		return "<" + s
	}
	return "<" + s + ">"
}

var queuedAs = regexp.MustCompile(`(\w+) Message accepted`)

// submit hands a message to the server, wants a 250 for all of it, and returns
// its id.
func (s *server) submit(m submission) string {
	s.t.Helper()
	c, err := bench.DialSMTP(s.smtp[0])
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	id, err := m.send(c)
	if err != nil {
		s.t.Fatalf("submitting mail from %s to %v: %v", m.from, m.to, err)
	}
	if err := c.Quit(); err != nil {
		s.t.Fatal(err)
	}
	return id
}

func (m submission) send(c *bench.SMTPConn) (id string, err error) {
	if err := c.Cmd(250, "MAIL FROM:"+path(m.from)); err != nil {
		return "", err
	}
	for _, to := range m.to {
		if err := c.Cmd(250, "RCPT TO:"+path(to)); err != nil {
			return "", err
		}
	}
	if err := c.Cmd(354, "DATA"); err != nil {
		return "", err
	}
	text := m.text
	if text == "" {
		text = "From: <writer@localhost>\r\nTo: <reader@elsewhere.test>\r\nSubject: a word\r\nMessage-ID: <word@localhost>\r\n\r\nHello there.\r\n"
	}
	if err := c.Send([]byte(text + ".\r\n")); err != nil {
		return "", err
	}
	reply, err := c.ReadReply()
	if err != nil {
		return "", err
	}
	found := queuedAs.FindStringSubmatch(reply.String())
	if reply.Code != 250 || found == nil {
		return "", &bench.Refused{Reply: reply}
	}
	return found[1], nil
}

// eventually waits until f holds.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !f(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("after %s still not: %s", patience, what)
		}
	}
}

// queued is a message in "queue list --json", as far as the tests read it.
type queued struct {
	QueueName   string `json:"queue_name"`
	QueueID     string `json:"queue_id"`
	ArrivalTime int64  `json:"arrival_time"`
	MessageSize int64  `json:"message_size"`
	Sender      string `json:"sender"`
	Recipients  []struct {
		Address     string `json:"address"`
		DelayReason string `json:"delay_reason"`
		Entry       string `json:"entry"`
		Domain      string `json:"domain"`
		State       string `json:"state"`
		Status      string `json:"status"`
		Attempts    int    `json:"attempts"`
	} `json:"recipients"`
}

// queue lists the queue; args narrow it down.
func (s *server) queue(args ...string) (all []queued) {
	s.t.Helper()
	for line := range strings.Lines(s.run(append([]string{"queue", "list", "--json"}, args...)...)) {
		var q queued
		if err := json.Unmarshal([]byte(line), &q); err != nil {
			s.t.Fatalf("queue list --json: %v in the line %s", err, line)
		}
		all = append(all, q)
	}
	return all
}

// deferred waits until an attempt for a recipient was put off, and returns its
// status and why.
func (s *server) deferred(domain, to string) (status, reason string) {
	s.t.Helper()
	eventually(s.t, to+" is deferred", func() bool {
		for _, q := range s.queue("--to-domain", domain) {
			for _, r := range q.Recipients {
				if r.Address == to && r.Attempts > 0 {
					status, reason = r.Status, r.DelayReason
					return true
				}
			}
		}
		return false
	})
	return status, reason
}

// emptied waits until nothing is queued.
func (s *server) emptied() {
	s.t.Helper()
	eventually(s.t, "the queue is empty", func() bool { return len(s.queue()) == 0 })
}
