package lsm

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/storage"
)

// fillDirectory makes a directory of accounts, each with a hash of so many octets.
func fillDirectory(accounts, hash int) *directory {
	d := newDirectory()
	d.addDomain("example.org")
	for i := range accounts {
		putAccount(d, i, strings.Repeat("x", hash))
	}
	return d
}

// putAccount sets account i, as the committer does.
func putAccount(d *directory, i int, hash string) {
	a := storage.Account{ID: storage.AccountID(i + 1), Name: fmt.Sprint("user", i), Domain: "example.org", Hash: hash, Access: storage.FullAccess}
	d.mu.Lock()
	d.remove(a.Name, a.Domain)
	d.insert(a.Name, a.Domain, a.ID, accountRest(&a, nil))
	d.mu.Unlock()
}

// The directory's memory stays within twice what lives, and each address is found at any
// moment, also while the records are copied.
func TestDirectoryCompacts(t *testing.T) {
	const accounts, hash = 3000, 400
	d := fillDirectory(accounts, hash)
	d.setTargets("list", "example.org", []string{"user1@example.org", "user2@example.org"})
	full := len(d.arena.blocks)
	var over atomic.Bool
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for i := 0; !over.Load(); i = (i + 7) % accounts {
				d.mu.RLock()
				ref := d.find(fmt.Sprint("user", i), "example.org")
				if ref == 0 || d.at(ref).account() != uint32(i+1) {
					t.Errorf("user%d is not found", i)
				}
				d.mu.RUnlock()
			}
		})
	}
	copies, wasted := 0, 0
	for round := range 6 {
		for i := range accounts {
			putAccount(d, i, strings.Repeat(fmt.Sprint(round), hash))
			if d.compact(); d.arena.wasted < wasted {
				copies++
			}
			wasted = d.arena.wasted
			if n := len(d.arena.blocks); n > 2*full+2 {
				t.Fatalf("%d blocks, %d are enough for what lives", n, full)
			}
		}
	}
	over.Store(true)
	readers.Wait()
	for i := range accounts {
		r := d.recordOf(storage.AccountID(i + 1))
		if a := d.accountOf(r); a.Name != fmt.Sprint("user", i) || a.Hash != strings.Repeat("5", hash) {
			t.Fatalf("account %d: %+v", i+1, a)
		}
	}
	if got := targetsOf(d.at(d.find("list", "example.org"))); len(got) != 2 || got[1] != "user2@example.org" {
		t.Errorf("the alias leads to %q", got)
	}
	if copies == 0 || d.proofs.Without != accounts || d.domains["example.org"].addresses != accounts+1 {
		t.Errorf("%d copies, %+v, %d addresses", copies, d.proofs, d.domains["example.org"].addresses)
	}
}

// BenchmarkDirectoryCompact copies the records of a million accounts, and reports how much of
// its processor time the copy holds the lock that the event loops take for each recipient.
func BenchmarkDirectoryCompact(b *testing.B) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	clock := func() time.Duration {
		var t unix.Timespec
		_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t)
		return time.Duration(t.Nano())
	}
	d := fillDirectory(1_000_000, 60)
	b.ResetTimer()
	for range b.N {
		records, names, accounts := d.copied()
		began := clock()
		d.put(records, names, accounts)
		b.ReportMetric(float64((clock() - began).Nanoseconds()), "ns-held")
	}
}
