package lsm

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"postrider/storage"
	"postrider/storage/storetest"
)

// model is what the store must hold.
type model struct {
	fs    *vfs.MemFS
	s     *Store
	boxes map[string]map[storage.MessageID][]byte // by account name
	uidls map[string]uidlBox
	kept  map[string]keptBox
	// removed are the removed accounts that are kept.
	removed   map[storage.AccountID]*removedModel
	retention storage.Retention

	made  int
	clock *clock
	queue map[storage.EntryID]*waiting
	awake map[string]bool // destinations that Awake has named and that do not sleep
}

// Random operations, with new starts and crashes between them, against a map.
// rapid prints the seed of a failure and shrinks it.
func TestTheStoreIsAMap(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := &model{
			fs: vfs.NewCrashableMem(), boxes: make(map[string]map[storage.MessageID][]byte), uidls: make(map[string]uidlBox),
			clock: newClock(), queue: make(map[storage.EntryID]*waiting),
			kept: make(map[string]keptBox), removed: make(map[storage.AccountID]*removedModel),
		}
		m.open(t)
		if err := m.s.AddDomain(storetest.Domain); err != nil {
			rt.Fatal(err)
		}
		defer func() { _ = m.s.Close() }()
		rt.Repeat(map[string]func(*rapid.T){
			"add":      m.add,
			"deliver":  m.deliver,
			"import":   m.imports,
			"rename":   m.rename,
			"drop":     m.drop,
			"expunge":  m.expunge,
			"remove":   m.remove,
			"retain":   m.retain,
			"pass":     m.pass,
			"undelete": m.undelete,
			"restore":  m.restore,
			"end":      m.end,
			"enqueue":  m.enqueue,
			"settle":   m.settle,
			"notify":   m.notify,
			"move":     m.move,
			"sleep":    m.sleep,
			"wake":     m.wake,
			"flush":    func(rt *rapid.T) { must(rt, m.s.db.Flush()) },
			"reopen":   func(rt *rapid.T) { must(rt, m.s.Close()); m.open(t) },
			"crash": func(rt *rapid.T) {
				fs := m.fs.CrashClone(vfs.CrashCloneCfg{
					UnsyncedDataPercent: rapid.IntRange(0, 100).Draw(rt, "percent"),
					RNG:                 rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0)),
				})
				must(rt, m.s.Close())
				m.fs = fs
				m.open(t)
			},
			"": m.compare,
		})
	})
}

func (m *model) open(t *testing.T) {
	m.s = openAt(t, m.fs, m.clock)
	m.s.SetRetention(m.retention)
	m.awake = make(map[string]bool)
}

func must(rt *rapid.T, err error) {
	if err != nil {
		rt.Fatal(err)
	}
}

func (m *model) names() []string { return slices.Sorted(maps.Keys(m.boxes)) }

// some draws an account that is there.
func (m *model) some(rt *rapid.T) (string, storage.AccountID) {
	if len(m.boxes) == 0 {
		rt.Skip("no account")
	}
	name := rapid.SampledFrom(m.names()).Draw(rt, "account")
	a, err := m.s.Lookup(name, storetest.Domain)
	must(rt, err)
	return name, a.Account
}

func (m *model) add(rt *rapid.T) {
	m.made++
	name := fmt.Sprintf("user%d", m.made)
	_, err := m.s.AddAccount(storage.NewAccount{Name: name, Domain: storetest.Domain})
	must(rt, err)
	m.boxes[name] = make(map[storage.MessageID][]byte)
}

func (m *model) deliver(rt *rapid.T) {
	if len(m.boxes) == 0 {
		rt.Skip("no account")
	}
	names := rapid.SliceOfNDistinct(rapid.SampledFrom(m.names()), 1, min(3, len(m.boxes)), rapid.ID).Draw(rt, "to")
	body := storetest.Body(rapid.IntRange(1, 200_000).Draw(rt, "octets"), names[0])
	var to []storage.AccountID
	for _, name := range names {
		a, err := m.s.Lookup(name, storetest.Domain)
		must(rt, err)
		to = append(to, a.Account)
	}
	id, err := storetest.Deliver(m.s, body, to...)
	must(rt, err)
	for _, name := range names {
		m.boxes[name][id] = body
	}
}

func (m *model) drop(rt *rapid.T) {
	storetest.Draft(m.s, storetest.Body(rapid.IntRange(1, 200_000).Draw(rt, "octets"), "void")).Discard()
}

func (m *model) expunge(rt *rapid.T) {
	name, account := m.some(rt)
	if len(m.boxes[name]) == 0 {
		rt.Skip("no message")
	}
	ids := rapid.SliceOf(rapid.SampledFrom(slices.Sorted(maps.Keys(m.boxes[name])))).Draw(rt, "ids")
	l, err := m.s.LockMaildrop(account)
	must(rt, err)
	defer l.Release()
	must(rt, l.Expunge(ids))
	for _, id := range ids {
		m.keep(name, id)
	}
}

func (m *model) remove(rt *rapid.T) {
	name, account := m.some(rt)
	must(rt, m.s.RemoveAccount(account))
	if m.retention.RemovedAccounts > 0 {
		m.removed[account] = &removedModel{name, m.boxes[name], m.uidls[name], m.kept[name], m.s.stamps.clock()}
	}
	m.forget(name)
	if _, err := m.s.Lookup(name, storetest.Domain); !errors.Is(err, storage.ErrNotFound) {
		rt.Fatalf("Lookup of a removed account: %v", err)
	}
}

// compare holds the store to the model.
func (m *model) compare(rt *rapid.T) {
	n := 0
	must(rt, m.s.Accounts(func(a storage.Account) bool {
		n++
		if m.boxes[a.Name] == nil {
			rt.Errorf("account %s is there", a.Name)
		}
		return true
	}))
	if n != len(m.boxes) {
		rt.Errorf("%d accounts, want %d", n, len(m.boxes))
	}
	for _, name := range m.names() {
		m.compareBox(rt, name)
	}
	m.compareKept(rt)
	m.compareQueue(rt)
	_, err := m.s.Check(rt.Context(), func(f storage.Fault) { rt.Errorf("Check: %+v", f) })
	must(rt, err)
}

func (m *model) compareBox(rt *rapid.T, name string) {
	a, err := m.s.Lookup(name, storetest.Domain)
	must(rt, err)
	v, err := m.s.View(a.Account)
	must(rt, err)
	defer v.Close()
	m.compareUIDLs(rt, name, a.Account)
	n := 0
	for ; v.Next(); n++ {
		msg, err := v.Open()
		must(rt, err)
		body, err := storetest.ReadAll(msg)
		must(rt, err)
		if want, ok := m.boxes[name][msg.Entry().ID]; !ok || !bytes.Equal(body, want) {
			rt.Errorf("message %s of %s: %d octets, want %d", msg.Entry().ID, name, len(body), len(want))
		}
	}
	must(rt, v.Err())
	if n != len(m.boxes[name]) {
		rt.Errorf("%s has %d messages, want %d", name, n, len(m.boxes[name]))
	}
}

// A maildrop of a million messages is listed without a body: there is none.
func TestAMillionMessagesAreListedWithoutABody(t *testing.T) {
	if testing.Short() {
		t.Skip("writes a million rows")
	}
	s := openOn(t, vfs.NewMem())
	defer s.Close()
	a := accountIn(t, s, "alice")
	const n = 1_000_000
	e := entry{wire: 100, size: 100, chunks: 1}
	for i := 0; i < n; {
		b := s.db.NewBatch()
		for range 10_000 {
			i++
			var k [maildropKeyLen]byte
			if err := b.Set(putMaildropKey(&k, a, storage.MessageID(i)), e.appendTo(nil), nil); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.db.Apply(b, nil); err != nil {
			t.Fatal(err)
		}
		_ = b.Close()
	}
	l, err := s.LockMaildrop(a)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Release()
	list, err := l.List(n)
	if err != nil || list.Len() != n || list.More || list.Octets() != 100*n {
		t.Fatalf("%d messages of %d octets, More %v, %v", list.Len(), list.Octets(), list.More, err)
	}
	if id, _ := list.At(n - 1); id != n {
		t.Errorf("the last message is %d", uint64(id))
	}
}
