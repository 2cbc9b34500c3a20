package e2e

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"postrider/bench"
)

// ledger knows which messages of bench.Message the server acknowledged, and
// which have come out. It outlives the server's process.
type ledger struct {
	mu           sync.Mutex // guards the maps
	acknowledged map[int]bool
	seen         map[int]int
	first        int // the number of the next load's first message
}

func newLedger() *ledger { return &ledger{acknowledged: map[int]bool{}, seen: map[int]int{}} }

// load makes a load of numbered messages of about size octets that are spread
// over accounts. It books each 250.
func (l *ledger) load(s *server, sessions, size int, accounts []string) bench.Load {
	first := l.first
	l.first += 10_000_000
	return bench.Load{
		Addr: s.smtp[0], Sessions: sessions, From: "sender@client.example",
		To:   func(n int) []string { return []string{accounts[n%len(accounts)] + "@localhost"} },
		Wire: func(n int) []byte { return bench.Message(first+n, size) },
		Accepted: func(n int, _ bench.Reply) {
			l.mu.Lock()
			l.acknowledged[first+n] = true
			l.mu.Unlock()
		},
	}
}

// collect reads and deletes what is in the maildrops. Every message has to be
// whole, and none may have been there before.
func (l *ledger) collect(t *testing.T, s *server, accounts []string) {
	t.Helper()
	for _, account := range accounts {
		_, err := bench.Fetch{
			Addr: s.pop3[0], User: account, Password: password(account), Mode: bench.Pipelined, Delete: true,
			Each: func(_ int, message []byte) error {
				n, err := bench.CheckMessage(message)
				if err != nil {
					return err
				}
				if l.seen[n]++; l.seen[n] > 1 {
					return fmt.Errorf("number %d came out %d times", n, l.seen[n])
				}
				return nil
			},
		}.Run(context.Background())
		if err != nil {
			t.Fatalf("reading %s: %v", account, err)
		}
	}
}

// settle wants every acknowledged message to have come out, and returns their
// number. A message may come out without its 250: the reply was lost with the
// connection. What was seen stays on the books, so that a message that comes back
// after its DELE is noticed.
func (l *ledger) settle(t *testing.T) (acknowledged int) {
	t.Helper()
	lost := 0
	for n := range l.acknowledged {
		if l.seen[n] == 0 {
			lost++
		}
	}
	acknowledged = len(l.acknowledged)
	if lost > 0 {
		t.Fatalf("%d of %d acknowledged messages are lost", lost, acknowledged)
	}
	clear(l.acknowledged)
	return acknowledged
}
