package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"postrider/bench"
)

// The process is killed again and again while it drains its queue to another host.
// Every message that it acknowledged arrives there, none is left, and each kill
// repeats at most the one message that each session had.
func TestRelayKillDashNine(t *testing.T) {
	heavy(t)
	messages := 20_000
	if env := os.Getenv("POSTRIDER_RELAY_MESSAGES"); env != "" {
		var err error
		if messages, err = strconv.Atoi(env); err != nil {
			t.Fatalf("POSTRIDER_RELAY_MESSAGES: %v", err)
		}
	}
	const domains, kills, connections = 200, 5, 50
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))

	port, hosts := startPeers(t, "127.0.0.1")
	sink := hosts[0]
	sink.behave(manners{pause: 5 * time.Millisecond})
	s := newServer(t, "writer")
	s.configure(fmt.Sprintf("[relay]\ntransports = [\".drain.test=[127.0.0.1]:%d\"]\nretry = [\"1s\"]\nconnections = %d\nconnections_per_destination = %d\ninitial_connections = %d\n",
		port, connections, connections, connections))
	s.start()
	acknowledged := enqueue(t, s, messages, domains)

	begin := time.Now()
	for kill := range kills {
		// Where in the drain it happens is chosen, and not when.
		at := (kill+1)*messages/(kills+1) + random.IntN(messages/(kills+1)/2)
		eventually(t, fmt.Sprintf("%d messages have left", at), func() bool { return sink.total() >= at })
		s.kill()
		s.check() // with the store to itself
		s.start()
	}
	s.emptied()
	s.check()
	s.terminate()

	came := make(map[int]int)
	for _, m := range sink.messages() {
		n, err := bench.CheckMessage(m.text)
		if err != nil {
			t.Fatal(err)
		}
		came[n]++
	}
	lost, twice := 0, 0
	for n := range acknowledged {
		if came[n] == 0 {
			lost++
		}
	}
	for _, times := range came {
		twice += times - 1
	}
	t.Logf("%d messages to %d domains, %d kills: %d acknowledged, %d lost, %d duplicates; drained in %.1f s, restarts included",
		messages, domains, kills, len(acknowledged), lost, twice, time.Since(begin).Seconds())
	if lost > 0 || len(acknowledged) != messages {
		t.Errorf("of %d acknowledged messages %d are lost", len(acknowledged), lost)
	}
	if bound := connections * kills; twice > bound {
		t.Errorf("%d duplicates; %d sessions and %d kills explain %d", twice, connections, kills, bound)
	}
}

// enqueue submits numbered messages for many domains, and returns the numbers that
// were acknowledged.
func enqueue(t *testing.T, s *server, messages, domains int) map[int]bool {
	t.Helper()
	acknowledged := make(map[int]bool)
	var mu sync.Mutex // guards acknowledged
	report, err := bench.Load{
		Addr: s.smtp[0], Sessions: 20, Messages: messages, Mode: bench.Pipelined, From: "writer@localhost",
		To:   func(n int) []string { return []string{fmt.Sprintf("r%d@d%d.drain.test", n, n%domains)} },
		Wire: func(n int) []byte { return bench.Message(n, 600) },
		Accepted: func(n int, _ bench.Reply) {
			mu.Lock()
			acknowledged[n] = true
			mu.Unlock()
		},
	}.Run(t.Context())
	if err != nil || len(report.Refused) > 0 {
		t.Fatalf("filling the queue: %v %v", err, report.Refused)
	}
	return acknowledged
}
