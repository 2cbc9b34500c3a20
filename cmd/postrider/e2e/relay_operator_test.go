package e2e

import (
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"postrider/engine/edge/dns/dnstest"
)

// startOperated starts a server with a queue that moves only when an operator moves
// it: two hosts, busy.test refuses all recipients for now and dead.test is down, and an hour between two attempts.
func startOperated(t *testing.T) (s *server, busy, dead *peer) {
	t.Helper()
	port, hosts := startPeers(t, "127.0.0.2", "127.0.0.3")
	busy, dead = hosts[0], hosts[1]
	busy.behave(manners{refuse: func(string, int, time.Duration) string { return "450 4.2.1 busy" }})
	dead.close()
	names := dnstest.Start(t, "busy.test. 300 IN A 127.0.0.2", "dead.test. 300 IN A 127.0.0.3")
	return startRelay(t, names, port, "retry = [\"1h\"]\ninitial_connections = 1", "writer", "other"), busy, dead
}

// fails runs a command that has to fail, and returns its status and what it said.
func (s *server) fails(args ...string) (status int, said string) {
	s.t.Helper()
	out, err := exec.Command(binary, append(args, "--data", s.data)...).CombinedOutput()
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		s.t.Fatalf("postrider %s: %v, want a failure\n%s", strings.Join(args, " "), err, out)
	}
	return exit.ExitCode(), string(out)
}

// says runs a command and wants what it prints to match.
func (s *server) says(pattern string, args ...string) {
	s.t.Helper()
	if out := s.run(args...); !regexp.MustCompile(pattern).MatchString(out) {
		s.t.Errorf("postrider %s printed\n%s\nwhich does not match\n%s", strings.Join(args, " "), out, pattern)
	}
}

// recipients are the recipients that are listed, sorted.
func (s *server) recipients(args ...string) string {
	s.t.Helper()
	var all []string
	for _, q := range s.queue(args...) {
		for _, r := range q.Recipients {
			all = append(all, r.Address)
		}
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// What "postqueue -p" prints with long ids, and what "postqueue -j" does.
func TestQueueListing(t *testing.T) {
	t.Parallel()
	s, _, _ := startOperated(t)
	f := func(want string, args ...string) {
		t.Helper()
		if got := s.recipients(args...); got != want {
			t.Errorf("queue list %s: %s, want %s", strings.Join(args, " "), got, want)
		}
	}
	s.says(`^Mail queue is empty\n$`, "queue", "list")
	id := s.submit(submission{from: "writer@localhost", to: []string{"a@busy.test", "b@busy.test", "c@dead.test"}})
	s.deferred("busy.test", "a@busy.test")
	s.deferred("dead.test", "c@dead.test")
	other := s.submit(submission{from: "other@localhost", to: []string{"d@busy.test"}})
	s.submit(submission{from: "", to: []string{"e@busy.test"}})
	s.deferred("busy.test", "d@busy.test")
	s.deferred("busy.test", "e@busy.test")
	s.run("queue", "hold", other)

	listing := s.run("queue", "list")
	shape := `^----Queue ID----- --Size-- ---Arrival Time---- --Sender/Recipient------\n` +
		id + ` {4} +\d+ \w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d writer@localhost\n` +
		` *\(host busy\.test\[127\.0\.0\.2\] said: 450 4\.2\.1 busy \(in reply to RCPT TO command\)\)\n {46} a@busy\.test\n {46} b@busy\.test\n` +
		` *\(connect to dead\.test\[127\.0\.0\.3\]:\d+: [Cc]onnection refused\)\n {46} c@dead\.test\n\n` +
		other + `! {3} +\d+ \w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d other@localhost\n *\(host busy\.test.*\)\n {46} d@busy\.test\n\n` +
		`\w{13} {4} +\d+ .* MAILER-DAEMON\n *\(host busy\.test.*\)\n {46} e@busy\.test\n\n-- \d+ Kbytes in 3 Requests\.\n$`
	if !regexp.MustCompile(shape).MatchString(listing) {
		t.Errorf("queue list prints\n%s\nwhich is not of the shape\n%s", listing, shape)
	}
	if mailq := s.run("mailq"); mailq != listing {
		t.Errorf("mailq prints\n%s", mailq)
	}

	q := s.queue(id)
	if len(q) != 1 || q[0].QueueName != "deferred" || q[0].QueueID != id || q[0].Sender != "writer@localhost" || q[0].MessageSize == 0 ||
		time.Since(time.Unix(q[0].ArrivalTime, 0)) > time.Hour || len(q[0].Recipients) != 3 ||
		q[0].Recipients[2].Entry != id+"-1" || q[0].Recipients[2].Status != "4.4.1" || q[0].Recipients[0].Attempts != 1 {
		t.Errorf("queue list --json: %+v", q)
	}
	f("a@busy.test b@busy.test c@dead.test d@busy.test e@busy.test")
	f("a@busy.test b@busy.test d@busy.test e@busy.test", "--to-domain", "busy.test")
	f("c@dead.test", "--to-domain", "DEAD.test")
	f("a@busy.test b@busy.test c@dead.test", "--from", "Writer@localhost")
	f("e@busy.test", "--from", "<>")
	f("c@dead.test", "--error", "4.4")
	f("a@busy.test b@busy.test d@busy.test e@busy.test", "--error", "4.2.1")
	f("", "--error", "5")
	f("d@busy.test", "--held")
	f("", "--older", "1h")
	f("a@busy.test b@busy.test c@dead.test d@busy.test e@busy.test", "--younger", "1h")
	f("a@busy.test b@busy.test", "--from", "writer@localhost", "--error", "4.2")
	f("c@dead.test", id+"-1")
	if status, said := s.fails("queue", "list", "--error", "4.4.1.1"); status != 64 || !strings.Contains(said, "expected a status") {
		t.Errorf("nonsense for a status: exit status %d, %s", status, said)
	}
}

// A dead destination is seen, and waits; flush ends the wait.
func TestQueueDeadDestination(t *testing.T) {
	t.Parallel()
	s, _, dead := startOperated(t)
	id := s.submit(submission{from: "writer@localhost", to: []string{"a@dead.test"}})
	s.deferred("dead.test", "a@dead.test")
	for range 20 {
		s.submit(submission{from: "writer@localhost", to: []string{"b@dead.test"}})
	}
	s.says(`(?s)21 entries, \d+ octets in the queue\n.*relay: \d+ sessions, \d+ destinations awake, 1 dead\n  dead\.test: until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d: connect to dead\.test\[127\.0\.0\.3\]:\d+: [Cc]onnection refused\n`+
		`.* T +5 +10 +20 .*\n +TOTAL +21 +21 .*\n +dead\.test +21 +21 `, "queue", "stat")
	s.says(`(?m)^ +1  4\.4\.1 +connect to dead\.test`, "queue", "stat", "--errors")
	s.says(`(?s)`+id+`\n.*it came by smtp, client unknown\[127\.0\.0\.1\].*from <writer@localhost>.*attempt 1 to dead\.test.*4\.4\.1, relay=none: connect to dead\.test.*next attempt at .*, after 1 attempt\n`, "why", id)

	dead.reopen(t)
	s.says(`21 entries made due`, "queue", "flush")
	s.emptied()
	if a, b := dead.got("a@dead.test"), dead.got("b@dead.test"); a != 1 || b != 20 {
		t.Errorf("the host that came back has %d and %d messages, want 1 and 20", a, b)
	}
	s.says(`(?s)attempt 1.*made due by.*attempt 2.*sent <a@dead\.test>.*It has left the queue\.\n$`, "why", id)
	s.says(`(?s)0 entries.* 0 dead\n`, "queue", "stat")
}

// Flushing mail that is being sent sends it no second time.
func TestQueueFlushWhileSending(t *testing.T) {
	t.Parallel()
	s, busy, _ := startOperated(t)
	busy.behave(manners{pause: 300 * time.Millisecond})
	const many = 20
	for i := range many {
		s.submit(submission{from: "writer@localhost", to: []string{fmt.Sprintf("r%d@busy.test", i)}})
	}
	eventually(t, "all is sent", func() bool {
		s.run("queue", "flush")
		return len(s.queue()) == 0
	})
	for i := range many {
		if n := busy.got(fmt.Sprintf("r%d@busy.test", i)); n != 1 {
			t.Errorf("message %d came %d times", i, n)
		}
	}
}

// What an operator can do to mail while the server runs.
func TestQueueHands(t *testing.T) {
	t.Parallel()
	s, busy, _ := startOperated(t)
	one := s.submit(submission{from: "writer@localhost", to: []string{"a@busy.test"}})
	two := s.submit(submission{from: "writer@localhost", to: []string{"b@busy.test", "c@dead.test"}})
	s.submit(submission{from: "", to: []string{"d@busy.test"}})
	for _, to := range []string{"a", "b", "d"} {
		s.deferred("busy.test", to+"@busy.test")
	}
	s.deferred("dead.test", "c@dead.test")

	s.says(`^2 entries held\n$`, "queue", "hold", "--to-domain", "busy.test", "--from", "writer@localhost")
	s.says(`^0 entries held\n$`, "queue", "hold", one)
	busy.behave(manners{})
	s.says(`^1 entry requeued\n$`, "queue", "requeue", one+"!") // as the listing marks it
	eventually(t, "a requeued message has left", func() bool { return busy.got("a@busy.test") == 1 })
	s.says(`would be made due; nothing was changed\n$`, "queue", "flush", "--dry-run")
	s.says(`^2 entries made due\n$`, "queue", "flush")
	eventually(t, "what was not held has left", func() bool { return busy.got("d@busy.test") == 1 })
	if n := busy.got("b@busy.test"); n != 0 || busy.tried("b@busy.test") != 1 {
		t.Errorf("a held message was tried %d times and came %d times", busy.tried("b@busy.test"), n)
	}
	s.says(`(?s)^ID-0|`+two+`-0.*\nstate: +hold\n`, "queue", "show", two)
	s.says(`(?s)Hello there\.\r?\n`, "queue", "cat", two)
	s.says(`^1 entry released\n$`, "queue", "release", "ALL")
	eventually(t, "a released message has left", func() bool { return busy.got("b@busy.test") == 1 })

	s.says(`(?s)`+two+`-1 writer@localhost -> dead\.test\n1 entry, \d+ octets, would be returned; nothing was changed\n`, "queue", "bounce", "--dry-run", "--to-domain", "dead.test")
	s.says(`^1 entry returned\n$`, "queue", "bounce", "--to-domain", "dead.test", "--reason", "the domain is closed")
	n, about := s.notice("writer", "c@dead.test", "failed")
	if !strings.HasPrefix(about.Get("Status"), "5.") || !strings.Contains(n.words, "the domain is closed") {
		t.Errorf("the returned mail says %v\n%s", about, n.words)
	}
	s.emptied()

	three := s.submit(submission{from: "writer@localhost", to: []string{"e@dead.test"}})
	s.says(`1 entry, \d+ octets, would be deleted; nothing was changed\n$`, "queue", "delete", "--dry-run", three)
	s.says(`^1 entry deleted\n$`, "queue", "delete", three)
	s.says(`^Mail queue is empty\n$`, "queue", "list")
	if n := len(s.fetch("writer", false)); n != 1 {
		t.Errorf("%d notifications; deleting sends none", n)
	}
	if status, said := s.fails("queue", "hold", three); status != 67 || !strings.Contains(said, "not in the queue") {
		t.Errorf("holding what is gone: exit status %d, %s", status, said)
	}
	if status, said := s.fails("queue", "delete"); status != 64 || !strings.Contains(said, "nothing is selected") {
		t.Errorf("deleting nothing in particular: exit status %d, %s", status, said)
	}
	s.check()
}

// The same hands on the store of a server that does not run.
func TestQueueHandsOnStoppedServer(t *testing.T) {
	t.Parallel()
	s, busy, _ := startOperated(t)
	one := s.submit(submission{from: "writer@localhost", to: []string{"a@busy.test"}})
	two := s.submit(submission{from: "writer@localhost", to: []string{"b@busy.test"}})
	three := s.submit(submission{from: "writer@localhost", to: []string{"c@busy.test"}})
	for _, to := range []string{"a", "b", "c"} {
		s.deferred("busy.test", to+"@busy.test")
	}
	s.terminate()
	busy.behave(manners{})

	s.says(`^1 entry held\n$`, "queue", "hold", one)
	s.says(`^1 entry deleted\n$`, "queue", "delete", two)
	s.says(`^1 entry made due\nno server runs on .*: they are tried when one is started\n$`, "queue", "flush")
	if got := s.recipients(); got != "a@busy.test c@busy.test" {
		t.Errorf("queued are %s", got)
	}
	s.says(`(?s)attempt 1.*450 4\.2\.1 busy.*due now, after 1 attempt\n`, "why", three)
	s.says(`(?s)counted: 1 active, 0 deferred, 1 held\n`, "queue", "stat")
	s.says(`Hello there\.`, "queue", "cat", three)
	if status, said := s.fails("queue", "bounce", "ALL"); status != 69 || !strings.Contains(said, "no server runs") {
		t.Errorf("bouncing without a server: exit status %d, %s", status, said)
	}
	s.check()

	s.start()
	eventually(t, "what was made due has left", func() bool { return busy.got("c@busy.test") == 1 })
	eventually(t, "only the held message is left", func() bool { return s.recipients() == "a@busy.test" })
	s.terminate()
	s.says(`^1 entry released\n$`, "queue", "release", one)
	s.start()
	s.emptied()
	if a, b := busy.got("a@busy.test"), busy.got("b@busy.test"); a != 1 || b != 0 {
		t.Errorf("the released message came %d times, the deleted one %d times", a, b)
	}
}
