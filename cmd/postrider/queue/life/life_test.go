package life

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"postrider/cmd/sysexits"
	"postrider/engine/front/admin"
	"postrider/storage"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// memory is a store of one message.
type memory struct {
	entries []*storage.QueueEntry
	records []storage.Record
	fails   error
	past    admin.Past
}

func (m memory) Queued(filter storage.QueueFilter, f func(*storage.QueueEntry) bool) error {
	for _, e := range m.entries {
		if e.ID.Message == filter.Message && !f(e) {
			break
		}
	}
	return m.fails
}

func (m memory) Past(storage.MessageID) (admin.Past, error) { return m.past, nil }

func (m memory) History(_ storage.MessageID, f func(storage.Record) bool) error {
	for _, r := range m.records {
		if !f(r) {
			break
		}
	}
	return nil
}

// told is the printed history of message 1.
func told(t *testing.T, m memory) string {
	t.Helper()
	l, err := Read(m, 1, now)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	l.Print(&out)
	return out.String()
}

func waiting(set func(*storage.QueueEntry)) *storage.QueueEntry {
	e := &storage.QueueEntry{ID: storage.EntryID{Message: 1, Part: 1}, Domain: "x.example", Arrival: now.Add(-time.Hour), Due: now.Add(time.Hour),
		Recipients: []storage.QueuedRecipient{{ForwardPath: "bob@x.example"}}}
	set(e)
	return e
}

// What comes next is printed for each state that an entry can be in.
func TestNext(t *testing.T) {
	f := func(want string, set func(*storage.QueueEntry)) {
		t.Helper()
		if got := told(t, memory{entries: []*storage.QueueEntry{waiting(set)}}); !strings.Contains(got, "-1  to x.example: "+want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	f("next attempt at ", func(*storage.QueueEntry) {})
	f("due now, after 1 attempt\n", func(e *storage.QueueEntry) { e.Due, e.Attempts = now, 1 })
	f("due now, after 7 attempts\n", func(e *storage.QueueEntry) { e.Due, e.Attempts = now.Add(-time.Hour), 7 })
	f("held; \"postrider queue release 0000000000001-1\" lets it go\n", func(e *storage.QueueEntry) { e.Held = true })
	f("held, after 2 attempts; ", func(e *storage.QueueEntry) { e.Held, e.Attempts = true, 2 })
}

// The words of other hosts drive no terminal, wherever they are.
func TestOthersWords(t *testing.T) {
	const evil = "\x1b[2J\u009b"
	got := told(t, memory{
		entries: []*storage.QueueEntry{waiting(func(e *storage.QueueEntry) {
			e.Domain, e.Reason, e.Status = evil, evil, evil
			e.Envelope = storage.Envelope{ReversePath: evil, Origin: evil}
			e.Recipients = []storage.QueuedRecipient{{ForwardPath: evil}}
		})},
		records: []storage.Record{{At: now, Text: evil + "\n" + evil + "\n"}},
	})
	if strings.ContainsAny(got, evil[:1]+"\u009b") || strings.Count(got, "?[2J?") != 8 {
		t.Errorf("%q", got)
	}
}

func TestLeftTheQueue(t *testing.T) {
	got := told(t, memory{records: []storage.Record{{At: now, Text: "x.example: sent\n"}}})
	if !strings.HasPrefix(got, "0000000000001\n") || !strings.HasSuffix(got, "  x.example: sent\nIt has left the queue.\n") {
		t.Errorf("%q", got)
	}
}

func TestRead_Failure(t *testing.T) {
	_, err := Read(memory{entries: []*storage.QueueEntry{{ID: storage.EntryID{Message: 2}}}}, 1, now)
	if code, _ := sysexits.Of(err); code != sysexits.NoUser || !strings.Contains(err.Error(), "no id of this host") {
		t.Error(err)
	}
	broken := errors.New("broken")
	if _, err := Read(memory{fails: broken}, 1, now); !errors.Is(err, broken) {
		t.Error(err)
	}
}

// A script gets lists, also empty ones, and UTC.
func TestLine(t *testing.T) {
	zone := time.FixedZone("", 3600)
	l, err := Read(memory{records: []storage.Record{{At: now.In(zone), Text: "sent"}}}, 1, now)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := json.Marshal(l.Line()); err != nil || string(got) != `{"id":"0000000000001","queued":[],"history":[{"at":"2026-11-23T12:00:00Z","text":"sent"}],"events":[]}` {
		t.Errorf("%s %v", got, err)
	}
	l.Entries, l.Records = []*storage.QueueEntry{waiting(func(*storage.QueueEntry) {})}, nil
	if got, err := json.Marshal(l.Line()); err != nil || !strings.Contains(string(got), `"entry":"0000000000001-1"`) || !strings.HasSuffix(string(got), `"history":[],"events":[]}`) {
		t.Errorf("%s %v", got, err)
	}
}
