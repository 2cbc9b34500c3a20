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

// keptBox is the deleted messages of an account that are kept.
type keptBox map[storage.MessageID]keptModel

type keptModel struct {
	body []byte
	uidl string // that it came with
	at   time.Time
}

// removedModel is a removed account that is kept.
type removedModel struct {
	name  string
	box   map[storage.MessageID][]byte
	uidls uidlBox
	kept  keptBox
	at    time.Time
}

// retain changes how long what is deleted is kept.
func (m *model) retain(rt *rapid.T) {
	times := []time.Duration{0, time.Hour, 24 * time.Hour}
	m.retention = storage.Retention{
		DeletedMail: rapid.SampledFrom(times).Draw(rt, "mail"), RemovedAccounts: rapid.SampledFrom(times).Draw(rt, "accounts"),
	}
	m.s.SetRetention(m.retention)
}

// pass lets time pass, and has what is over its time purged.
func (m *model) pass(rt *rapid.T) {
	m.clock.add(rapid.SampledFrom([]time.Duration{time.Second, 40 * time.Minute, 14 * time.Hour}).Draw(rt, "time"))
	for {
		p, err := m.s.Purge()
		must(rt, err)
		if !p.More {
			break
		}
	}
	now := m.s.stamps.clock()
	over := func(at time.Time, stay time.Duration) bool { return !at.Add(stay).After(now) }
	for _, box := range m.kept {
		maps.DeleteFunc(box, func(_ storage.MessageID, k keptModel) bool { return over(k.at, m.retention.DeletedMail) })
	}
	for id, r := range m.removed {
		maps.DeleteFunc(r.kept, func(_ storage.MessageID, k keptModel) bool { return over(k.at, m.retention.DeletedMail) })
		if over(r.at, m.retention.RemovedAccounts) {
			delete(m.removed, id)
		}
	}
}

// keep notes that a message was deleted, if such are kept.
func (m *model) keep(name string, id storage.MessageID) {
	if body, there := m.boxes[name][id]; there && m.retention.DeletedMail > 0 {
		if m.kept[name] == nil {
			m.kept[name] = make(keptBox)
		}
		m.kept[name][id] = keptModel{body, m.uidls[name][id], m.s.stamps.clock()} // the deletion was the last thing that took a stamp
	}
	delete(m.boxes[name], id)
	delete(m.uidls[name], id)
}

// undelete brings some deleted messages back.
func (m *model) undelete(rt *rapid.T) {
	name, account := m.some(rt)
	if len(m.kept[name]) == 0 {
		rt.Skip("nothing is kept")
	}
	ids := rapid.SliceOfDistinct(rapid.SampledFrom(slices.Sorted(maps.Keys(m.kept[name]))), rapid.ID).Draw(rt, "ids")
	all, err := m.s.Undelete(account, ids)
	must(rt, err)
	if len(all) != len(ids) {
		rt.Errorf("%d of %d are back", len(all), len(ids))
	}
	for _, u := range all {
		k := m.kept[name][u.ID]
		holder := storage.MessageID(0)
		if k.uidl != "" {
			holder = m.uidls[name].holder(k.uidl)
		}
		switch {
		case holder != 0 && bytes.Equal(m.boxes[name][holder], k.body):
			if !u.There {
				rt.Errorf("%+v: message %s is the same", u, holder)
			}
			continue
		case (holder != 0) != (u.UIDL != ""):
			rt.Errorf("%+v: message %s has the unique-id %s", u, holder, k.uidl)
		case holder == 0 && k.uidl != "":
			m.keepUIDL(name, u.ID, k.uidl)
		}
		m.boxes[name][u.ID] = k.body
		delete(m.kept[name], u.ID)
	}
}

// restore brings a removed account back, under its name or another one.
func (m *model) restore(rt *rapid.T) {
	if len(m.removed) == 0 {
		rt.Skip("no removed account")
	}
	id := rapid.SampledFrom(slices.Sorted(maps.Keys(m.removed))).Draw(rt, "removed")
	r, name := m.removed[id], m.removed[id].name
	if rapid.Bool().Draw(rt, "another name") {
		m.made++
		name = fmt.Sprintf("user%d", m.made)
	}
	err := m.s.RestoreAccount(id, name, storetest.Domain)
	if m.boxes[name] != nil {
		if !errors.Is(err, storage.ErrExists) {
			rt.Errorf("%s is there: %v", name, err)
		}
		return
	}
	must(rt, err)
	m.boxes[name], m.uidls[name], m.kept[name] = r.box, r.uidls, r.kept
	delete(m.removed, id)
}

// end deletes an account for good, or a removed one.
func (m *model) end(rt *rapid.T) {
	if len(m.removed) > 0 && rapid.Bool().Draw(rt, "a removed one") {
		id := rapid.SampledFrom(slices.Sorted(maps.Keys(m.removed))).Draw(rt, "removed")
		must(rt, m.s.PurgeAccount(id))
		delete(m.removed, id)
		return
	}
	name, account := m.some(rt)
	must(rt, m.s.PurgeAccount(account))
	m.forget(name)
}

func (m *model) forget(name string) {
	delete(m.boxes, name)
	delete(m.uidls, name)
	delete(m.kept, name)
}

// compareKept holds what is kept to the model.
func (m *model) compareKept(rt *rapid.T) {
	var want storage.Kept
	box := func(account storage.AccountID, kept keptBox) {
		var got []storage.MessageID
		must(rt, m.s.Deleted(account, func(d storage.DeletedMessage) bool {
			got = append(got, d.ID)
			if string(d.UIDL) != kept[d.ID].uidl || d.Octets() != int64(len(kept[d.ID].body)+len(storetest.Trace(account))) {
				rt.Errorf("deleted message %s: %q of %d octets", d.ID, d.UIDL, d.Octets())
			}
			return true
		}))
		if ids := slices.Sorted(maps.Keys(kept)); !slices.Equal(got, ids) {
			rt.Errorf("kept of account %d: %v, want %v", account, got, ids)
		}
		for _, k := range kept {
			want.Deleted.Messages++
			want.Deleted.Octets += int64(len(k.body) + len(storetest.Trace(account)))
		}
	}
	for _, name := range m.names() {
		a, err := m.s.Lookup(name, storetest.Domain)
		must(rt, err)
		box(a.Account, m.kept[name])
	}
	n := 0
	must(rt, m.s.RemovedAccounts(func(a storage.RemovedAccount) bool {
		n++
		r := m.removed[a.ID]
		if r == nil || r.name != a.Name || a.Holds.Messages != int64(len(r.box)) || !a.Removed.Equal(r.at) {
			rt.Errorf("removed account %+v, want %+v", a, r)
		}
		return true
	}))
	for id, r := range m.removed {
		box(id, r.kept)
		want.Accounts++
		for _, body := range r.box {
			want.Removed.Messages++
			want.Removed.Octets += int64(len(body) + len(storetest.Trace(id)))
		}
	}
	if got := m.s.Kept(); got != want || n != len(m.removed) {
		rt.Errorf("kept %+v, %d accounts; want %+v", got, n, want)
	}
}
