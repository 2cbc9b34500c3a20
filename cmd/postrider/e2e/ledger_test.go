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

// settle wants every acknowledged message to have come out, after which it
// forgets those and tells their number and that of the messages that came out
// without a 250, which is allowed: their reply was lost with the connection.
func (l *ledger) settle(t *testing.T) (acknowledged, others int) {
	t.Helper()
	lost := 0
	for n := range l.acknowledged {
		if l.seen[n] == 0 {
			lost++
		}
	}
	if lost > 0 {
		t.Fatalf("%d of %d acknowledged messages are lost", lost, len(l.acknowledged))
	}
	for n := range l.seen {
		if l.acknowledged[n] {
			acknowledged++
		} else {
			others++
		}
	}
	// Numbers seen stay, so that one that comes back after its DELE is noticed.
	clear(l.acknowledged)
	return acknowledged, others
}
