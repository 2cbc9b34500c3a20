package admin

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postrider/engine/host/history"
	"postrider/storage"
	"postrider/storage/lsm"
)

// partialRelay returns the entries of some messages only, and then fails; seen is called
// while it does.
type partialRelay struct {
	relayFake
	there map[storage.MessageID]bool
	fails error
	seen  func()
}

func (r *partialRelay) Bounce(ids []storage.EntryID, _ string) (returned []storage.EntryID, err error) {
	r.seen()
	for _, id := range ids {
		if r.there[id.Message] {
			returned = append(returned, id)
		}
	}
	return returned, r.fails
}

// remembers has what the history of messages has about an operator's acts.
func remembers(t *testing.T, l *history.Log, id storage.MessageID) string {
	t.Helper()
	found, _, err := l.Find(id)
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, e := range found {
		if e.Kind == history.Act || e.Kind == history.Deleted {
			if e.Text(history.By) == "" {
				t.Errorf("%s: no user is named", e.Kind)
			}
			words = append(words, strings.Join(strings.Fields(e.Kind.String()+" "+e.Text(history.Words)+" "+e.Text(history.Account)), " "))
		}
	}
	return strings.Join(words, "; ")
}

// The history has what an operator has done, not what was asked for: an entry that was not
// there is not returned, and nothing is told before it is done.
func TestTheHistoryHasWhatWasDone(t *testing.T) {
	store, err := lsm.Open(lsm.Options{Dir: t.TempDir(), BallastSize: -1, CacheSize: 8 << 20, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	store.SetRetention(storage.Retention{DeletedMail: time.Hour})
	kept := history.New(history.Options{Dir: filepath.Join(t.TempDir(), "history"), Settings: history.Settings{Keep: time.Hour, Room: 1 << 24}})
	defer kept.Stop()
	relay := &partialRelay{there: map[storage.MessageID]bool{1: true, 3: true}, seen: func() {
		if got := remembers(t, kept, 1); got != "" {
			t.Errorf("before it is done: %s", got)
		}
	}}
	path := filepath.Join(t.TempDir(), "admin.sock")
	stop, err := serveAt(path, store, relay, nil, quiet, func() Status { return Status{} }, Remembering(kept))
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	c, err := Dial(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()

	ids := []storage.EntryID{{Message: 1, Part: 1}, {Message: 2, Part: 1}, {Message: 3, Part: 1}}
	if n, err := c.Bounce(ids, "too old"); n != 2 || err != nil {
		t.Errorf("%d returned, %v", n, err)
	}
	relay.seen, relay.there, relay.fails = func() {}, map[storage.MessageID]bool{4: true}, errors.New("the disk fails")
	if _, err := c.Bounce([]storage.EntryID{{Message: 4}, {Message: 5}}, "too old"); err == nil {
		t.Error("no error")
	}
	for id, want := range []string{1: "act returned to the sender: too old", 2: "", 3: "act returned to the sender: too old", 4: "act returned to the sender: too old", 5: ""} {
		if got := remembers(t, kept, storage.MessageID(id)); got != want {
			t.Errorf("message %d: %q, want %q", id, got, want)
		}
	}

	if err := c.AddDomain("here.test"); err != nil {
		t.Fatal(err)
	}
	account, err := c.AddAccount(storage.NewAccount{Name: "alice", Domain: "here.test"})
	if err != nil {
		t.Fatal(err)
	}
	importThree(t, c, account)
	var mail []storage.MessageID
	if err := c.EachEntry(account, func(e storage.Entry) bool { mail = append(mail, e.ID); return true }); err != nil {
		t.Fatal(err)
	}
	if err := c.Remove(account, mail[:2]); err != nil {
		t.Fatal(err)
	}
	if all, err := c.Undelete(account, []storage.MessageID{mail[0], mail[2]}); err != nil || len(all) != 1 {
		t.Fatalf("%v, %v", all, err)
	}
	got := ""
	for _, id := range mail {
		got += fmt.Sprintln(remembers(t, kept, id))
	}
	if want := "deleted alice@here.test; act undeleted alice@here.test\ndeleted alice@here.test\n\n"; !strings.HasPrefix(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
