package lsm

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"pgregory.net/rapid"

	"postrider/storage"
	"postrider/storage/storetest"
)

// The mail queue in the random lives of TestTheStoreIsAMap.

// waiting is an entry as the model has it.
type waiting struct {
	domain string
	paths  []string
	held   bool
	status string
	body   []byte
}

func (m *model) destination(rt *rapid.T) string {
	return fmt.Sprintf("d%d.test", rapid.IntRange(0, 3).Draw(rt, "destination"))
}

// put delivers a message to up to three destinations, and perhaps to a maildrop.
func (m *model) put(rt *rapid.T, ss []storage.Settlement) error {
	body := storetest.Body(rapid.IntRange(1, 150_000).Draw(rt, "octets"), "queued")
	var to []storage.AccountID
	box := ""
	if len(m.boxes) > 0 && rapid.Bool().Draw(rt, "local") {
		var a storage.AccountID
		box, a = m.some(rt)
		to = append(to, a)
	}
	var relayed []*storage.QueueEntry
	for range rapid.IntRange(1, 3).Draw(rt, "destinations") {
		e := storetest.Waiting(m.destination(rt), "x", "y", "z")
		if rapid.Bool().Draw(rt, "wait") {
			e.Due = m.clock.now().Add(time.Hour)
		}
		relayed = append(relayed, e)
	}
	id, err := storetest.Notify(m.s, body, to, relayed, ss)
	if err != nil {
		return err
	}
	if box != "" {
		m.boxes[box][id] = body
	}
	for i, e := range relayed {
		w := &waiting{domain: e.Domain, body: body}
		for _, r := range e.Recipients {
			w.paths = append(w.paths, r.ForwardPath)
		}
		m.queue[storage.EntryID{Message: id, Part: uint32(i)}] = w
	}
	return nil
}

func (m *model) enqueue(rt *rapid.T) { must(rt, m.put(rt, nil)) }

// someIDs draws entries, some perhaps twice.
func (m *model) someIDs(rt *rapid.T) []storage.EntryID {
	if len(m.queue) == 0 {
		rt.Skip("the queue is empty")
	}
	ids := slices.SortedFunc(maps.Keys(m.queue), compareEntryIDs)
	return rapid.SliceOfN(rapid.SampledFrom(ids), 1, 4).Draw(rt, "entries")
}

// settlements draws what becomes of some entries, read now or a while ago.
func (m *model) settlements(rt *rapid.T) (ss []storage.Settlement) {
	for _, id := range m.someIDs(rt) {
		e, err := m.s.QueuedEntry(id)
		must(rt, err)
		st := storetest.Later(e, m.clock.now().Add(time.Duration(rapid.IntRange(-1, 1).Draw(rt, "hours"))*time.Hour), rapid.SampledFrom([]string{"4.4.1", "4.2.2"}).Draw(rt, "status"))
		st.Keep = slices.Clone(e.Recipients)[rapid.IntRange(0, len(e.Recipients)).Draw(rt, "done"):]
		st.Record = storage.Record{At: m.clock.now(), Text: "x"}
		ss = append(ss, st)
	}
	if rapid.Bool().Draw(rt, "moved meanwhile") {
		m.move(rt)
	}
	return ss
}

// settled carries settlements out on the model. The first of an entry finds it as
// it was read, unless it was moved; what the others keep is not heard any more.
func (m *model) settled(ss []storage.Settlement, fresh map[storage.EntryID]bool) {
	for i := range ss {
		st := &ss[i]
		w := m.queue[st.Entry.ID]
		if w == nil {
			continue
		}
		w.paths = slices.DeleteFunc(w.paths, func(path string) bool {
			return hasPath(st.Entry.Recipients, path) && !hasPath(st.Keep, path)
		})
		if fresh[st.Entry.ID] {
			w.status = st.Status
			fresh[st.Entry.ID] = false
		}
		if len(w.paths) == 0 {
			delete(m.queue, st.Entry.ID)
		}
	}
}

// fresh returns the entries that are as they were read, and not held.
func (m *model) fresh(rt *rapid.T, ss []storage.Settlement) map[storage.EntryID]bool {
	fresh := make(map[storage.EntryID]bool)
	for i := range ss {
		e, err := m.s.QueuedEntry(ss[i].Entry.ID)
		if errors.Is(err, storage.ErrNotFound) {
			continue
		}
		must(rt, err)
		fresh[e.ID] = !e.Held && e.Due.Equal(ss[i].Entry.Due)
	}
	return fresh
}

func (m *model) settle(rt *rapid.T) {
	ss := m.settlements(rt)
	fresh := m.fresh(rt, ss)
	must(rt, m.s.Settle(ss))
	m.settled(ss, fresh)
}

func (m *model) notify(rt *rapid.T) {
	ss := m.settlements(rt)
	fresh := m.fresh(rt, ss)
	// An entry that goes with its first settlement is gone for the second.
	trial := &model{queue: make(map[storage.EntryID]*waiting)}
	gone := false
	for i := range ss {
		id := ss[i].Entry.ID
		if w := m.queue[id]; w != nil && i == slices.IndexFunc(ss, func(st storage.Settlement) bool { return st.Entry.ID == id }) {
			c := *w
			c.paths = slices.Clone(w.paths)
			trial.queue[id] = &c
		}
		gone = gone || trial.queue[id] == nil
		trial.settled(ss[i:i+1], nil)
	}
	err := m.put(rt, ss)
	if gone {
		if !errors.Is(err, storage.ErrFenced) {
			rt.Fatalf("a notification of what is gone: %v", err)
		}
		return
	}
	must(rt, err)
	m.settled(ss, fresh)
}

func (m *model) move(rt *rapid.T) {
	ids := m.someIDs(rt)
	how := rapid.SampledFrom([]storage.QueueMove{storage.RequeueNow, storage.Hold, storage.Release, storage.DropQueued}).Draw(rt, "move")
	want := 0
	for _, id := range ids {
		w := m.queue[id]
		switch {
		case w == nil, how == storage.Hold && w.held, how == storage.Release && !w.held:
			continue
		case how == storage.DropQueued:
			delete(m.queue, id)
		}
		w.held = how == storage.Hold
		if how != storage.RequeueNow || !slices.Contains(ids[:slices.Index(ids, id)], id) {
			want++
		}
	}
	n, err := m.s.MoveQueued(ids, how)
	must(rt, err)
	if distinct := len(slices.Compact(slices.SortedFunc(slices.Values(ids), compareEntryIDs))); n > distinct || how != storage.RequeueNow && n != want {
		rt.Errorf("move %d of %v moved %d, want %d", how, ids, n, want)
	}
}

func (m *model) sleep(rt *rapid.T) {
	d := m.destination(rt)
	m.s.Sleep(d, storage.Cursor{}, time.Time{})
	delete(m.awake, d)
}

// wake lets time pass: every destination that has something due is awake then.
func (m *model) wake(rt *rapid.T) {
	now := m.clock.add(time.Duration(rapid.IntRange(3, 1200).Draw(rt, "buckets")) * wakeSpan * time.Microsecond)
	must(rt, m.s.Awake(func(domain string) { m.awake[domain] = true }))
	for _, e := range m.all(rt) {
		if !e.Held && e.Due.Before(now.Add(-2*wakeSpan*time.Microsecond)) && !m.awake[e.Domain] {
			rt.Errorf("%s has mail that is due since %v, and sleeps", e.Domain, now.Sub(e.Due))
		}
	}
}

func (m *model) all(rt *rapid.T) (all []*storage.QueueEntry) {
	must(rt, m.s.Queued(storage.QueueFilter{}, func(e *storage.QueueEntry) bool { all = append(all, e); return true }))
	return all
}

// compareQueue holds the queue to the model.
func (m *model) compareQueue(rt *rapid.T) {
	all := m.all(rt)
	if n, _ := m.s.QueueTotal(); len(all) != len(m.queue) || n != int64(len(all)) {
		rt.Errorf("%d entries, %d counted, want %d", len(all), n, len(m.queue))
	}
	for _, e := range all {
		w := m.queue[e.ID]
		if w == nil {
			rt.Errorf("entry %s is there", e.ID)
			continue
		}
		var paths []string
		for _, r := range e.Recipients {
			paths = append(paths, r.ForwardPath)
		}
		if e.Domain != w.domain || e.Held != w.held || e.Status != w.status || !slices.Equal(paths, w.paths) {
			rt.Errorf("entry %+v, want %+v", e, w)
		}
		msg, err := m.s.OpenQueued(e)
		must(rt, err)
		if body, err := storetest.ReadAll(msg); err != nil || !bytes.Equal(body, w.body) {
			rt.Errorf("entry %s: body of %d octets, %v", e.ID, len(body), err)
		}
	}
}
