package lsm

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"postrider/storage"
)

// Accounts and aliases come, go and change at random: the directory has what a map has, its
// memory stays within twice what lives and some blocks, and no change moves more than a block.
func TestTheDirectoryEmptiesItsBlocks(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	d := newDirectory()
	d.addDomain("a.example")
	d.addDomain("b.example")
	type known struct {
		account storage.Account
		targets []string
	}
	want := make(map[string]known)
	const names = 15_000
	octets := 0 // that live
	sized := func(k known) int {
		if k.account.ID == 0 {
			return roomFor(recordHeadLen + len(k.account.Name) + len(targetsRest(k.targets)))
		}
		return roomFor(recordHeadLen + len(k.account.Name) + len(accountRest(&k.account, k.targets)))
	}
	changes, most, next := 0, 0, storage.AccountID(0)
	for round := range 150_000 {
		name, domain := fmt.Sprintf("user%d", random.IntN(names)), []string{"a.example", "b.example"}[random.IntN(2)]
		key := name + "@" + domain
		old, there := want[key]
		free, blocks := len(d.arena.free), len(d.arena.blocks)
		if there {
			octets -= sized(old)
			d.remove(name, domain)
			delete(want, key)
		}
		switch kind := random.IntN(10); {
		case there && kind == 0: // it is gone
		case kind == 1:
			k := known{account: storage.Account{Name: name, Domain: domain}, targets: []string{strings.Repeat("x", random.IntN(2000)+1)}}
			if round%5000 == 0 {
				k.targets[0] = strings.Repeat("y", maxTargets-1)
			}
			d.insert(name, domain, 0, targetsRest(k.targets))
			want[key] = k
			octets += sized(k)
		default:
			next++
			k := known{account: storage.Account{ID: next, Name: name, Domain: domain, Hash: strings.Repeat("h", random.IntN(300))}}
			d.insert(name, domain, k.account.ID, accountRest(&k.account, nil))
			want[key] = k
			octets += sized(k)
		}
		changes++
		if len(d.arena.free) > free+1 {
			t.Fatalf("seed %d: a change emptied %d blocks", seed, len(d.arena.free)-free)
		}
		most = max(most, blocks)
	}
	for key, k := range want {
		name, domain, _ := strings.Cut(key, "@")
		ref := d.find(name, domain)
		if ref == 0 {
			t.Fatalf("seed %d: %s is lost", seed, key)
		}
		r := d.at(ref)
		if got := targetsOf(r); strings.Join(got, " ") != strings.Join(k.targets, " ") {
			t.Fatalf("seed %d: %s leads to %.100q", seed, key, got)
		}
		if k.account.ID == 0 {
			continue
		}
		if got := d.accountOf(d.recordOf(k.account.ID)); got.Name != name || got.Domain != domain || got.Hash != k.account.Hash {
			t.Fatalf("seed %d: account %d is %+v", seed, k.account.ID, got)
		}
	}
	for id, ref := range d.accounts {
		if ref != 0 && want[string(d.at(ref).name())+"@"+d.numbered[d.at(ref).domain()].name].account.ID != storage.AccountID(id) {
			t.Fatalf("seed %d: account %d is there, and is gone", seed, id)
		}
	}
	used := (len(d.arena.blocks) - len(d.arena.free)) * arenaBlock
	t.Logf("%d changes, %d names: %d octets live, in blocks of %d; at most %d blocks", changes, len(want), octets, used, most)
	if limit := 2*octets + 8*arenaBlock + 2*maxTargets*len(want)/5000; used > limit {
		t.Errorf("seed %d: %d octets in blocks, for %d that live", seed, used, octets)
	}
}
