package lsm

import (
	"bytes"
	"errors"
	"fmt"

	"pgregory.net/rapid"

	"postrider/storage"
	"postrider/storage/storetest"
)

// uidlBox is the messages of an account that have the unique-ids that they came with.
type uidlBox map[storage.MessageID]string

// holder is the message that has a unique-id; 0: none.
func (b uidlBox) holder(uidl string) storage.MessageID {
	for id, held := range b {
		if held == uidl {
			return id
		}
	}
	return 0
}

func drawUIDL(rt *rapid.T, label string) string {
	return fmt.Sprint("UID", rapid.IntRange(1, 6).Draw(rt, label))
}

// imports delivers one of a few messages with one of a few unique-ids.
func (m *model) imports(rt *rapid.T) {
	name, account := m.some(rt)
	uidl, body := drawUIDL(rt, "uidl"), storetest.Body(rapid.SampledFrom([]int{10, 100, 70_000}).Draw(rt, "octets"), "imported")
	holder := m.uidls[name].holder(uidl)
	id, err := importOne(m.s, account, body, uidl)
	if holder != 0 && bytes.Equal(m.boxes[name][holder], body) {
		if !errors.Is(err, storage.ErrExists) {
			rt.Errorf("the message %s again: %v", holder, err)
		}
		return
	}
	must(rt, err)
	m.boxes[name][id] = body
	if holder == 0 {
		m.keepUIDL(name, id, uidl)
	}
}

func (m *model) keepUIDL(name string, id storage.MessageID, uidl string) {
	if m.uidls[name] == nil {
		m.uidls[name] = make(uidlBox)
	}
	m.uidls[name][id] = uidl
}

// rename changes a unique-id to another one.
func (m *model) rename(rt *rapid.T) {
	name, account := m.some(rt)
	from, to := drawUIDL(rt, "from"), drawUIDL(rt, "to")
	want, id := error(nil), m.uidls[name].holder(from)
	switch {
	case id == 0:
		want = storage.ErrNotFound
	case m.uidls[name].holder(to) != 0:
		want = storage.ErrExists
	}
	if err := m.s.ChangeUIDL(account, from, to); !errors.Is(err, want) {
		rt.Errorf("%s to %s: %v, want %v", from, to, err, want)
	}
	if want == nil {
		m.keepUIDL(name, id, to)
	}
}

// compareUIDLs holds the entries and the listing of a maildrop to the model.
func (m *model) compareUIDLs(rt *rapid.T, name string, account storage.AccountID) {
	l, err := m.s.LockMaildrop(account)
	must(rt, err)
	defer l.Release()
	list, err := l.List(1000)
	must(rt, err)
	i := 0
	must(rt, m.s.EachEntry(account, func(e storage.Entry) bool {
		want, ok := m.uidls[name][e.ID]
		if !ok {
			want = e.ID.String()
		}
		if got, listed := string(e.AppendUIDL(nil)), string(list.AppendUIDL(nil, i)); got != want || listed != want {
			rt.Errorf("message %s has %q, listed %q, want %q", e.ID, got, listed, want)
		}
		i++
		return true
	}))
	if i != list.Len() {
		rt.Errorf("%d entries, %d are listed", i, list.Len())
	}
}
