package lsm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/storage"
	"postrider/storage/storetest"
)

// wreck is a store that was closed, or whose process was killed, and what was in it.
type wreck struct {
	disk     *vfs.MemFS
	accounts []storage.AccountID
	bodies   map[storage.MessageID][]byte
	boxes    map[storage.AccountID][]storage.MessageID
	queued   map[storage.EntryID][]byte
	gone     map[inBox]bool
	closed   bool // the store was closed in order
}

// inBox is a message of a maildrop.
type inBox struct {
	account storage.AccountID
	id      storage.MessageID
}

// newWreck fills a store with small and large mail, shared and own, deleted and queued,
// so that it has tables, blob files and a log. By every other seed deleted mail is kept.
func newWreck(t *testing.T, seed uint64, closed bool) *wreck {
	t.Helper()
	mem := vfs.NewCrashableMem()
	o := testOptions(mem)
	o.MemTableSize = 256 << 10
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	w := &wreck{bodies: make(map[storage.MessageID][]byte), boxes: make(map[storage.AccountID][]storage.MessageID), queued: make(map[storage.EntryID][]byte), gone: make(map[inBox]bool)}
	for i := range 6 {
		w.accounts = append(w.accounts, accountIn(t, s, fmt.Sprintf("user%d", i)))
	}
	random := rand.New(rand.NewPCG(seed, 7))
	if seed%2 == 1 {
		s.SetRetention(keeping)
	}
	for i := range 120 {
		w.deliver(t, s, random, i)
		if i%40 == 39 {
			w.expunge(t, s, random)
		}
		if i == 60 {
			if err := s.db.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		if i == 80 {
			if err := s.db.Compact(context.Background(), []byte{'A'}, []byte{'Z'}, false); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.disk = mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: random})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if closed {
		w.disk = mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: random})
	}
	w.closed = closed
	return w
}

// noise is text that no packing makes much smaller.
func noise(random *rand.Rand, n int) []byte {
	b := []byte("Subject: noise\r\n\r\n")
	for len(b) < n {
		b = strconv.AppendUint(b, random.Uint64(), 36)
		b = append(b, "\r\n"...)
	}
	return b
}

// deliver delivers the next message: to one account, to three, or to the queue.
func (w *wreck) deliver(t *testing.T, s *Store, random *rand.Rand, i int) {
	t.Helper()
	octets := []int{100, 900, 3000, 9000}[random.IntN(4)]
	if i%30 == 7 {
		octets = 140_000
	}
	body := noise(random, octets)
	if i%7 == 6 {
		id, err := storetest.Enqueue(s, body, nil, storetest.Waiting(fmt.Sprintf("host%d.test", i%3), "x"))
		if err != nil {
			t.Fatal(err)
		}
		w.queued[storage.EntryID{Message: id}] = body
		return
	}
	to := []storage.AccountID{w.accounts[random.IntN(len(w.accounts))]}
	if i%5 == 0 {
		to = w.accounts[:3]
	}
	id, err := storetest.Deliver(s, body, to...)
	if err != nil {
		t.Fatal(err)
	}
	w.bodies[id] = body
	for _, a := range to {
		w.boxes[a] = append(w.boxes[a], id)
	}
}

// expunge deletes some messages.
func (w *wreck) expunge(t *testing.T, s *Store, random *rand.Rand) {
	t.Helper()
	a := w.accounts[random.IntN(len(w.accounts))]
	if len(w.boxes[a]) < 4 {
		return
	}
	l, err := s.LockMaildrop(a)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Release()
	ids := slices.Clone(w.boxes[a][:3])
	if err := l.Expunge(ids); err != nil {
		t.Fatal(err)
	}
	w.boxes[a] = w.boxes[a][3:]
	for _, id := range ids {
		w.gone[inBox{a, id}] = true
	}
}

// clone is a copy of the disk.
func (w *wreck) clone() *vfs.MemFS {
	return w.disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 2))})
}

// harm is a kind of damage to a kind of file.
type harm struct{ file, how string }

// harms are all kinds.
func harms() (all []harm) {
	for _, file := range []string{".sst", ".blob", ".log", "MANIFEST-", "OPTIONS-", "marker.manifest", "marker.format"} {
		for _, how := range []string{"flip", "cut", "missing", "zeros"} {
			if strings.HasPrefix(file, "marker") && how != "missing" {
				continue // they have no content
			}
			all = append(all, harm{file, how})
		}
	}
	return all
}

// inflict damages one file of the kind, and returns what was done; "": there is none.
func (h harm) inflict(t *testing.T, fsys vfs.FS, random *rand.Rand) string {
	t.Helper()
	all, err := fsys.List("data")
	if err != nil {
		t.Fatal(err)
	}
	all = slices.DeleteFunc(all, func(n string) bool { return !strings.HasSuffix(n, h.file) && !strings.HasPrefix(n, h.file) })
	slices.Sort(all)
	if len(all) == 0 {
		return ""
	}
	name := all[random.IntN(len(all))]
	path := "data/" + name
	octets := contents(t, fsys, path)
	if h.how == "missing" || len(octets) == 0 {
		if err := fsys.Remove(path); err != nil {
			t.Fatal(err)
		}
		return name + " missing"
	}
	at := random.IntN(len(octets))
	switch h.how {
	case "flip":
		octets[at] ^= 1 << random.IntN(8)
	case "cut":
		octets = octets[:at]
	case "zeros":
		clear(octets[at:min(len(octets), at+600)])
	}
	overwrite(t, fsys, path, octets)
	return fmt.Sprintf("%s %s at %d of %d", name, h.how, at, len(octets))
}

// toll counts what became of many damaged stores.
type toll struct {
	stores, opened, refused, silent, faults, lost, saved, found int
}

// TestDamagedStoresAreCheckedAndSalvaged: whatever happens to a file, an open store gives
// no wrong octets, check reports it, and salvage gets out all that the damage does not
// cover. POSTRIDER_DAMAGED_STORES is the number of stores.
func TestDamagedStoresAreCheckedAndSalvaged(t *testing.T) {
	stores := 44
	if n, err := strconv.Atoi(os.Getenv("POSTRIDER_DAMAGED_STORES")); err == nil {
		stores = n
	}
	if testing.Short() {
		stores = 22
	}
	seed := uint64(20261129)
	random := rand.New(rand.NewPCG(seed, 3))
	kinds := harms()
	sum := make(map[harm]*toll)
	var w *wreck
	for i := range stores {
		if i%len(kinds) == 0 {
			w = newWreck(t, seed+uint64(i), i/len(kinds)%2 == 1)
		}
		h := kinds[i%len(kinds)]
		if sum[h] == nil {
			sum[h] = new(toll)
		}
		w.suffer(t, h, random, sum[h])
	}
	for _, h := range kinds {
		if n := sum[h]; n != nil {
			t.Logf("%-16s %-8s %d stores: %d open, %d refused; %d faults listed, %d without one; %d messages saved, %d lost, %d in lost-and-found",
				h.file, h.how, n.stores, n.opened, n.refused, n.faults, n.silent, n.saved, n.lost, n.found)
		}
	}
}

// suffer damages a copy of the store and looks at what is left.
func (w *wreck) suffer(t *testing.T, h harm, random *rand.Rand, sum *toll) {
	t.Helper()
	seed := random.Uint64()
	twice := [2]*vfs.MemFS{w.clone(), w.clone()}
	did := ""
	for _, disk := range twice {
		if did = h.inflict(t, disk, rand.New(rand.NewPCG(seed, 1))); did == "" {
			t.Fatalf("no file %s", h.file)
		}
	}
	sum.stores++
	lost := w.open(t, twice[0], did, sum)
	w.rescue(t, twice[1], h, did, sum)
	if lost > 0 {
		t.Logf("%s: the open store lacks %d messages without a word", did, lost)
	}
}

// open opens the damaged store as a server does. Each message is whole or an error, and
// what is missing is a fault of check: it returns how many are missing without one.
func (w *wreck) open(t *testing.T, disk *vfs.MemFS, did string, sum *toll) (silent int) {
	t.Helper()
	var log bytes.Buffer
	o := testOptions(disk)
	o.Log = slog.New(slog.NewTextHandler(&log, nil))
	s, err := Open(o)
	if err != nil {
		sum.refused++
		if !errors.Is(err, storage.ErrCorrupt) || !strings.Contains(err.Error(), "postrider salvage") || strings.Contains(strings.ToLower(err.Error()), "pebble") {
			t.Errorf("%s: Open: %v", did, err)
		}
		return 0
	}
	sum.opened++
	faults, told := 0, make(map[storage.MessageID]bool)
	if _, err := s.Check(context.Background(), func(f storage.Fault) {
		faults++
		told[f.Message] = true
		if strings.Contains(strings.ToLower(f.Text), "pebble") {
			t.Errorf("%s: fault %q", did, f.Text)
		}
	}); err != nil {
		t.Errorf("%s: Check: %v", did, err)
	}
	sum.faults += faults
	missing := 0
	for _, a := range w.accounts {
		missing += w.readBox(t, s, a, did, told)
	}
	if strings.Contains(strings.ToLower(log.String()), "pebble") {
		t.Errorf("%s: logged %s", did, log.String())
	}
	if err := s.Close(); err != nil {
		t.Errorf("%s: Close: %v", did, err)
	}
	if missing > 0 && faults == 0 {
		if w.closed {
			t.Errorf("%s: %d messages are missing, and check reports nothing:\n%s", did, missing, log.String())
		}
		sum.silent++
		return missing
	}
	return 0
}

// readBox reads a maildrop: what it gives is what was delivered. It returns the number of
// messages that are missing. Check has read the messages that it told of.
func (w *wreck) readBox(t *testing.T, s *Store, a storage.AccountID, did string, told map[storage.MessageID]bool) (missing int) {
	t.Helper()
	l, err := s.LockMaildrop(a)
	if err != nil {
		return len(w.boxes[a])
	}
	defer l.Release()
	for _, id := range w.boxes[a] {
		if told[id] {
			continue
		}
		m, err := l.Open(id)
		if err == nil {
			var got []byte
			got, err = storetest.ReadAll(m)
			if err == nil && !bytes.Equal(got, w.bodies[id]) {
				t.Errorf("%s: message %s has wrong octets", did, id)
			}
		}
		if err != nil {
			missing++
		}
	}
	return missing
}

// spared reports whether a harm can't have cost a message: salvage has to get out all.
func (h harm) spared() bool { return !slices.Contains([]string{".sst", ".blob", ".log"}, h.file) }

// rescue salvages the damaged store and compares.
func (w *wreck) rescue(t *testing.T, disk *vfs.MemFS, h harm, did string, sum *toll) {
	t.Helper()
	var told []string
	r, err := Salvage(context.Background(), SalvageOptions{Dir: "data", Out: "out", FS: disk, Report: func(f storage.Fault) { told = append(told, f.Text) }})
	if err != nil {
		t.Errorf("%s: Salvage: %v", did, err)
		return
	}
	if text := strings.ToLower(strings.Join(told, "\n")); strings.Contains(text, "pebble") {
		t.Errorf("%s: %s", did, text)
	}
	o := testOptions(disk)
	o.Dir = "out"
	s, err := Open(o)
	if err != nil {
		t.Errorf("%s: the new store: %v", did, err)
		return
	}
	defer s.Close()
	storetest.Clean(t, s)
	lost, doubled := w.compare(t, s, h, did)
	total := 0
	for _, ids := range w.boxes {
		total += len(ids)
	}
	sum.saved, sum.lost, sum.found = sum.saved+total+len(w.queued)-lost, sum.lost+lost, sum.found+int(r.Found)
	if lost > 0 && (h.spared() || len(told) == 0 && h.file != ".log") {
		t.Errorf("%s: %d messages are lost:\n%s", did, lost, strings.Join(told, "\n"))
	}
	if doubled > 0 && h.file != "MANIFEST-" && h.file != "marker.manifest" && h.file != ".sst" && h.file != ".log" {
		t.Errorf("%s: %d deleted messages are back", did, doubled)
	}
	w.bound(t, h, did, lost, total)
}

// bound: one damaged block or file costs a part of the mail, not all of it.
func (w *wreck) bound(t *testing.T, h harm, did string, lost, total int) {
	t.Helper()
	if h.how == "flip" && h.file == ".blob" && lost > total/4 {
		t.Errorf("%s: %d of %d messages are lost by one bit", did, lost, total)
	}
}

// compare counts the messages that a salvaged store lacks, and the deleted ones in it.
func (w *wreck) compare(t *testing.T, s *Store, h harm, did string) (lost, doubled int) {
	t.Helper()
	found := make(map[string]bool) // bodies in lost-and-found
	named := make(map[storage.AccountID]bool)
	for _, a := range w.accounts {
		named[a] = true
	}
	if err := s.Accounts(func(a storage.Account) bool {
		if named[a.ID] {
			return true
		}
		for _, body := range boxOf(t, s, a.ID) {
			found[string(body)] = true
		}
		return true
	}); err != nil {
		t.Error(err)
	}
	for _, a := range w.accounts {
		got := boxOf(t, s, a)
		for id, body := range got {
			if w.gone[inBox{a, id}] {
				doubled++
			} else if !bytes.Equal(body, w.bodies[id]) {
				t.Errorf("%s: salvaged message %s has wrong octets", did, id)
			}
		}
		for _, id := range w.boxes[a] {
			if got[id] == nil && !inParts(found, w.bodies[id]) {
				lost++
				w.inBlob(t, h, did, id, w.bodies[id])
			}
		}
	}
	for id, body := range w.queued {
		e, err := s.QueuedEntry(id)
		if err != nil {
			if !inParts(found, body) {
				lost++
				w.inBlob(t, h, did, id.Message, body)
			}
			continue
		}
		m, err := s.OpenQueued(e)
		if err != nil {
			t.Error(err)
			continue
		}
		if got, err := storetest.ReadAll(m); err != nil || !bytes.Equal(got, body) {
			t.Errorf("%s: entry %s: %v, or wrong octets", did, id, err)
		}
	}
	return lost, doubled
}

// inParts reports whether a body is in lost-and-found, whole or in parts: a large one whose
// rows are all lost, and whose chunks are in several files, can't be put together.
func inParts(found map[string]bool, body []byte) bool {
	if found[string(body)] {
		return true
	}
	for len(body) > 0 {
		n := min(len(body), chunkLen)
		there := false
		for part := range found {
			there = there || strings.Contains(part, string(body[:n]))
		}
		if !there {
			return false
		}
		body = body[n:]
	}
	return true
}

// inBlob: a damaged table costs no body that is in blob files.
func (w *wreck) inBlob(t *testing.T, h harm, did string, id storage.MessageID, body []byte) {
	t.Helper()
	const least = 1024
	if h.file == ".sst" && len(body) > least {
		t.Errorf("%s: message %s of %d octets is lost, and its body is in a blob file", did, id, len(body))
	}
}

// boxOf reads a maildrop of a store that is whole.
func boxOf(t *testing.T, s *Store, a storage.AccountID) map[storage.MessageID][]byte {
	t.Helper()
	got := make(map[storage.MessageID][]byte)
	v, err := s.View(a)
	if errors.Is(err, storage.ErrNotFound) {
		return got
	}
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	for v.Next() {
		m, err := v.Open()
		if err != nil {
			t.Error(err)
			continue
		}
		body, err := storetest.ReadAll(m)
		if err != nil && !errors.Is(err, io.EOF) {
			t.Error(err)
		}
		got[m.Entry().ID] = body
	}
	return got
}

// A start finds a damaged log, replays what is before the damage, and keeps a copy:
// salvage finds what is after it there.
func TestSalvageReadsOnInALogThatWasSetAside(t *testing.T) {
	disk, alice := crashed(t, false, 40, 900)
	path := lastLog(t, disk)
	bad := contents(t, disk, path)
	bad[len(bad)/3] ^= 1
	overwrite(t, disk, path, bad)
	s, err := Open(testOptions(disk))
	if err != nil {
		t.Fatal(err)
	}
	left := len(boxOf(t, s, alice))
	id, err := storetest.Deliver(s, storetest.Body(500, "later"), alice)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if left >= 39 || len(names(t, disk, damagedPrefix)) != 1 {
		t.Fatalf("%d messages are left, aside is %q", left, names(t, disk, damagedPrefix))
	}
	if _, err := Salvage(context.Background(), SalvageOptions{Dir: "data", Out: "out", FS: disk, Report: func(storage.Fault) {}}); err != nil {
		t.Fatal(err)
	}
	o := testOptions(disk)
	o.Dir = "out"
	if s, err = Open(o); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	storetest.Clean(t, s)
	got := boxOf(t, s, alice)
	if len(got) < 40 || got[id] == nil { // 40 were delivered before and one after; the damaged one is lost
		t.Errorf("%d messages; %d were left by the start", len(got), left)
	}
}

// Salvage keeps the quotas of domains, and domain aliases with the mail for their addresses.
func TestSalvageKeepsDomains(t *testing.T) {
	disk := vfs.NewCrashableMem()
	s := openOn(t, disk)
	alice := accountIn(t, s, "alice")
	a, err := s.Account(alice)
	if err != nil {
		t.Fatal(err)
	}
	quota := storage.Quota{Octets: 1 << 20, Messages: 7}
	if err := s.SetDomainQuota(a.Domain, quota); err != nil {
		t.Fatal(err)
	}
	if err := s.AddDomainAlias("aaa.example", a.Domain); err != nil { // the first of all by name
		t.Fatal(err)
	}
	if _, err := storetest.Deliver(s, storetest.Body(500, "one"), alice); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Salvage(context.Background(), SalvageOptions{Dir: "data", Out: "out", FS: disk, Report: func(f storage.Fault) { t.Errorf("%+v", f) }}); err != nil {
		t.Fatal(err)
	}
	o := testOptions(disk)
	o.Dir = "out"
	if s, err = Open(o); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	storetest.Clean(t, s)
	if of := s.dir.aliases["aaa.example"]; of != a.Domain {
		t.Errorf("aaa.example is an alias of %q", of)
	}
	if d := s.dir.domains[a.Domain]; d == nil || d.quota != quota {
		t.Errorf("the domain %s: %+v", a.Domain, d)
	}
}
