package e2e

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"postrider/bench"
)

// While 50 sessions deliver, backups are made. Each is restored elsewhere, check finds
// nothing, and a server there gives out every message that was acknowledged before the
// backup began, once and whole.
func TestABackupWhile50SessionsDeliver(t *testing.T) {
	t.Parallel()
	heavy(t)
	accounts := make([]string, 10)
	for i := range accounts {
		accounts[i] = fmt.Sprintf("user%d", i)
	}
	s := newServer(t, accounts...)
	s.start()
	books := newLedger()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	over := make(chan bench.Report, 1)
	load := books.load(s, 50, 4000, accounts)
	go func() {
		report, _ := load.Run(ctx)
		over <- report
	}()

	backups := filepath.Join(t.TempDir(), "backups")
	var dirs []string
	var before []map[int]bool // what was acknowledged, by backup
	for round := range 3 {
		eventually(t, "messages are acknowledged", func() bool {
			books.mu.Lock()
			defer books.mu.Unlock()
			return len(books.acknowledged) >= 1000*(round+1)
		})
		books.mu.Lock()
		before = append(before, maps.Clone(books.acknowledged))
		books.mu.Unlock()
		out := s.run("backup", backups)
		t.Logf("%d messages are acknowledged; %s", len(before[round]), strings.TrimSpace(out))
		dir, _, ok := strings.Cut(out, ": ")
		if !ok {
			t.Fatalf("backup says %q", out)
		}
		dirs = append(dirs, dir)
	}
	cancel()
	if report := <-over; len(report.Refused) > 0 {
		t.Errorf("refused under load: %v", report.Refused)
	}
	s.terminate()

	for round, dir := range dirs {
		again := &server{t: t, data: filepath.Join(t.TempDir(), "restored")}
		again.run("restore", dir)
		if out := again.run("check"); !strings.Contains(out, ": 0 faults") {
			t.Errorf("check of backup %d: %s", round, out)
		}
		again.start()
		there := newLedger()
		there.acknowledged = before[round]
		there.collect(t, again, accounts)
		n := there.settle(t)
		t.Logf("backup %d has the %d messages that were acknowledged, and %d more", round, n, len(there.seen)-n)
		again.terminate()
	}
}
