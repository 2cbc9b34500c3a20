package lsm

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/codec/smtp"
	"postrider/storage"
	"postrider/storage/storetest"
)

// clock is a clock that does not move until it is set.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.UnixMilli(1_800_000_000_000)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
	return c.t
}

func openAt(t testing.TB, fs vfs.FS, c *clock) *Store {
	t.Helper()
	opts := testOptions(fs)
	opts.Now = c.now
	s, err := Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func enqueue(t testing.TB, s *Store, domain string) *storage.QueueEntry {
	t.Helper()
	id, err := storetest.Enqueue(s, storetest.Body(100, "x"), nil, storetest.Waiting(domain, "x"))
	if err != nil {
		t.Fatal(err)
	}
	e, err := s.QueuedEntry(storage.EntryID{Message: id})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// awake is what Awake names, sorted.
func awake(t testing.TB, s *Store) string {
	t.Helper()
	var names []string
	if err := s.Awake(func(domain string) { names = append(names, domain) }); err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

func marks(t testing.TB, s *Store) (rows []string) {
	t.Helper()
	if err := scan(s.db, []byte{tagWake}, func(k, _ []byte) (bool, error) {
		_, domain := parseWakeKey(k)
		rows = append(rows, string(domain))
		return true, nil
	}); err != nil {
		t.Fatal(err)
	}
	return rows
}

func wantAwake(t testing.TB, s *Store, when, want string) {
	t.Helper()
	if got := awake(t, s); got != want {
		t.Errorf("%s: %q is awake, want %q", when, got, want)
	}
}

// A destination is awake until it is put to sleep, also over a new start; then it
// wakes when its next entry is due, and its marks go with its mail.
func TestADestinationSleepsAndWakes(t *testing.T) {
	fs, c := vfs.NewMem(), newClock()
	s := openAt(t, fs, c)
	e := enqueue(t, s, "a.test")
	for range 10 {
		enqueue(t, s, "a.test")
		c.add(wakeSpan * time.Microsecond)
	}
	if n := len(marks(t, s)); n != 1 {
		t.Errorf("a destination that is awake has %d marks", n)
	}
	wantAwake(t, s, "queued", "a.test")
	wantAwake(t, s, "asked again", "")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, fs, c)
	wantAwake(t, s, "opened anew", "a.test")

	due, err := s.ReadDue("a.test", storage.Cursor{}, 100)
	if err != nil || len(due) != 11 {
		t.Fatalf("%d are due, %v", len(due), err)
	}
	var ss []storage.Settlement
	for _, e := range due[1:] {
		ss = append(ss, storetest.Done(e))
	}
	if err := s.Settle(append(ss, storetest.Later(e, c.now().Add(time.Hour), "4.4.1"))); err != nil {
		t.Fatal(err)
	}
	s.Sleep("a.test", due[10].Cursor(), time.Time{})
	wantAwake(t, s, "asleep", "")
	c.add(59 * time.Minute)
	wantAwake(t, s, "a minute early", "")
	storetest.Clean(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, fs, c)
	wantAwake(t, s, "opened anew, a minute early", "")
	c.add(time.Minute + 2*wakeSpan*time.Microsecond)
	wantAwake(t, s, "due", "a.test")

	due, err = s.ReadDue("a.test", storage.Cursor{}, 100)
	if err != nil || len(due) != 1 {
		t.Fatalf("%d are due, %v", len(due), err)
	}
	s.Sleep("a.test", due[0].Before(), c.now().Add(time.Hour))
	c.add(59 * time.Minute)
	wantAwake(t, s, "before notBefore", "")
	c.add(time.Minute + 2*wakeSpan*time.Microsecond)
	wantAwake(t, s, "after notBefore", "a.test")
	if err := s.Settle([]storage.Settlement{storetest.Done(due[0])}); err != nil {
		t.Fatal(err)
	}
	s.Sleep("a.test", due[0].Cursor(), time.Time{})
	storetest.Clean(t, s)
	if rows := marks(t, s); len(rows) != 0 {
		t.Errorf("marks %q are left of an empty queue", rows)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// What is queued between a scheduler's last look and its Sleep is not forgotten.
func TestSleepMeetsWhatCameMeanwhile(t *testing.T) {
	c := newClock()
	s := openAt(t, vfs.NewMem(), c)
	defer s.Close()
	e := enqueue(t, s, "a.test")
	enqueue(t, s, "a.test")
	s.Sleep("a.test", e.Cursor(), time.Time{})
	storetest.Clean(t, s) // the Sleep before it is carried out
	c.add(3 * wakeSpan * time.Microsecond)
	wantAwake(t, s, "one was behind the cursor", "a.test")
}

// The destinations of more than one step are named once each.
func TestManyDestinationsAreAwake(t *testing.T) {
	fs, c := vfs.NewMem(), newClock()
	s := openAt(t, fs, c)
	const n = 2*awakeStep + 50
	want := make([]string, n)
	relayed := make([]*storage.QueueEntry, n)
	for i := range n {
		want[i] = fmt.Sprintf("d%05d.test", i)
		relayed[i] = storetest.Waiting(want[i], "x")
	}
	if _, err := storetest.Enqueue(s, storetest.Body(10, "x"), nil, relayed...); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	c.add(time.Minute)
	s = openAt(t, fs, c)
	defer s.Close()
	wantAwake(t, s, "opened anew", strings.Join(want, " "))
	for _, d := range want {
		s.Sleep(d, storage.Cursor{}, c.now().Add(time.Hour))
	}
	storetest.Clean(t, s)
	c.add(2 * time.Hour)
	wantAwake(t, s, "after all slept", strings.Join(want, " "))
}

// The clock steps back: what was due stays due, and new mail is.
func TestAClockThatStepsBackHidesNothing(t *testing.T) {
	c := newClock()
	s := openAt(t, vfs.NewMem(), c)
	defer s.Close()
	first := enqueue(t, s, "a.test")
	c.add(-24 * time.Hour)
	second := enqueue(t, s, "a.test")
	due, err := s.ReadDue("a.test", first.Cursor(), 10)
	if err != nil || len(due) != 1 || due[0].ID != second.ID {
		t.Errorf("behind the first: %d entries, %v", len(due), err)
	}
}

// A stamp that is not in a row yet keeps the horizon below itself.
func TestTheHorizonIsBelowOpenStamps(t *testing.T) {
	c := newClock()
	s := stamps{now: c.now}
	first := s.next()
	c.add(time.Hour)
	second := s.next()
	if h := s.horizon(); h >= first {
		t.Errorf("horizon %d with %d not applied", h, first)
	}
	s.applied()
	h := s.horizon()
	if h < second {
		t.Errorf("horizon %d with %d applied", h, second)
	}
	c.add(-2 * time.Hour)
	if n := s.next(); n <= h {
		t.Errorf("stamp %d behind horizon %d", n, h)
	}
}

func TestTheQueueTotalSurvivesANewStart(t *testing.T) {
	fs := vfs.NewMem()
	s := openOn(t, fs)
	for range 5 {
		enqueue(t, s, "a.test")
	}
	n, octets := s.QueueTotal()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openOn(t, fs)
	defer s.Close()
	if n2, octets2 := s.QueueTotal(); n != 5 || n2 != n || octets2 != octets || octets == 0 {
		t.Errorf("%d entries of %d octets, then %d of %d", n, octets, n2, octets2)
	}
}

// A store of the format before the queue is taken over, and marked.
func TestAnEarlierFormatIsTakenOver(t *testing.T) {
	fs := vfs.NewMem()
	s := openOn(t, fs)
	a := accountIn(t, s, "alice")
	if _, err := storetest.Deliver(s, storetest.Body(10, "x"), a); err != nil {
		t.Fatal(err)
	}
	if err := s.db.Set(keyFormat, []byte{0, 0, 0, 0, 0, 0, 0, 1}, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openOn(t, fs)
	defer s.Close()
	if v, err := s.number(keyFormat); v != FormatVersion || err != nil {
		t.Errorf("format %d, %v", v, err)
	}
	if got := storetest.Contents(t, s, a); len(got) != 1 {
		t.Errorf("%d messages", len(got))
	}
	enqueue(t, s, "a.test")
	storetest.Clean(t, s)
}

// Check finds each row of the queue that is lost, or that is too many.
func TestCheckFindsEachLostRow(t *testing.T) {
	for _, tag := range []byte{tagQueue, tagQueued, tagWake, tagSender, tagStatus, keyQueueTotal[0], tagRefs, tagBody} {
		for _, lost := range []bool{true, false} {
			s := openOn(t, vfs.NewMem())
			shared := storetest.Waiting("b.test", "y")
			if _, err := storetest.Enqueue(s, storetest.Body(100, "x"), nil, storetest.Waiting("a.test", "x"), shared); err != nil {
				t.Fatal(err)
			}
			e := enqueue(t, s, "c.test")
			if err := s.Settle([]storage.Settlement{storetest.Later(e, time.Time{}, "4.4.1")}); err != nil {
				t.Fatal(err)
			}
			storetest.Clean(t, s)
			damage(t, s, tag, lost)
			faults := 0
			if _, err := s.Check(t.Context(), func(storage.Fault) { faults++ }); err != nil {
				t.Error(err)
			}
			if harmless := tag == tagWake && !lost; (faults == 0) != harmless {
				t.Errorf("row %c, lost %v: %d faults", tag, lost, faults)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// damage deletes the last row under a tag, or copies it to another key.
func damage(t *testing.T, s *Store, tag byte, lost bool) {
	t.Helper()
	var key, value []byte
	if err := scan(s.db, []byte{tag}, func(k, v []byte) (bool, error) {
		key, value = bytes.Clone(k), bytes.Clone(v)
		return true, nil
	}); err != nil || key == nil {
		t.Fatalf("no row %c, %v", tag, err)
	}
	var err error
	switch {
	case lost:
		err = s.db.Delete(key, pebble.NoSync)
	case tag == keyQueueTotal[0]:
		err = s.db.Merge(key, value, pebble.NoSync)
	case tag == tagBody, tag == tagRefs:
		key[idKeyLen-1]++
		err = s.db.Set(key, value, pebble.NoSync)
	default:
		key[len(key)-1]++
		err = s.db.Set(key, value, pebble.NoSync)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// An entry that is removed under its reader is gone, not corrupt.
func TestAnEntryIsDroppedUnderItsReader(t *testing.T) {
	s := openOn(t, vfs.NewMem())
	defer s.Close()
	if _, err := storetest.Enqueue(s, storetest.Body(200_000, "x"), nil, storetest.Waiting("a.test", "x")); err != nil {
		t.Fatal(err)
	}
	due, err := s.ReadDue("a.test", storage.Cursor{}, 1)
	if err != nil || len(due) != 1 {
		t.Fatalf("%d entries, %v", len(due), err)
	}
	m, err := s.OpenQueued(due[0])
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if _, err := m.Next(); err != nil {
		t.Fatal(err)
	}
	if err := s.Settle([]storage.Settlement{storetest.Done(due[0])}); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Next(); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("Next: %v", err)
	}
}

func TestQueueEntriesComeBackFromTheirRows(t *testing.T) {
	long := strings.Repeat("é", storage.MaxReason)
	e := &storage.QueueEntry{
		Envelope: storage.Envelope{ReversePath: "a@b", EnvID: "x", Ret: smtp.RetFull, Body: smtp.BodyBinaryMIME, SMTPUTF8: true, Origin: long},
		Recipients: []storage.QueuedRecipient{
			{ForwardPath: "c@d", ORcpt: "rfc822;c@d", Notify: smtp.NotifyNever, Status: "4.2.2", Reason: long + "x"},
			{ForwardPath: "e@d"},
		},
		Arrival: time.UnixMilli(1), Body: storage.BodyRef{Wire: 1 << 40, Size: 3, CRC: 0xdeadbeef, Chunks: 9, Flags: 3},
		Warned: true, Attempts: 7, LastAttempt: time.UnixMilli(2), Status: "4.4.1", Reason: long, Peer: "p",
	}
	v := appendQueueEntry(nil, e)
	got, err := parseQueueEntry(v)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Reason) != storage.MaxReason || !strings.HasPrefix(long, got.Recipients[0].Reason) {
		t.Errorf("a reason of %d octets", len(got.Reason))
	}
	if again := appendQueueEntry(nil, got); !bytes.Equal(again, v) {
		t.Errorf("%x came back as %x", v, again)
	}
	odd := cut("aé", 2)
	if odd != "a" {
		t.Errorf("half a character is left: %q", odd)
	}
	for n := range v {
		if _, err := parseQueueEntry(v[:n]); err == nil {
			t.Errorf("%d of %d octets were read", n, len(v))
		}
	}
	if _, err := parseQueueEntry(append(v, 0)); err == nil {
		t.Error("an octet too many was read")
	}
}

func FuzzQueueEntry(f *testing.F) {
	e := storetest.Waiting("a.test", "x", "y")
	e.Status, e.LastAttempt, e.Arrival = "4.4.1", time.UnixMilli(5), time.UnixMilli(4)
	f.Add(appendQueueEntry(nil, e))
	f.Add([]byte{queueVersion})
	f.Fuzz(func(t *testing.T, v []byte) {
		e, err := parseQueueEntry(v)
		if err != nil {
			return
		}
		once := appendQueueEntry(nil, e)
		again, err := parseQueueEntry(once)
		if err != nil {
			t.Fatalf("what was read can't be read again: %v", err)
		}
		if twice := appendQueueEntry(nil, again); !bytes.Equal(once, twice) {
			t.Errorf("%x came back as %x", once, twice)
		}
	})
}

// A due time is the fence of an entry. A process that begins with the clock where
// the last one left it, or earlier, never gives a due time again.
func TestDueTimesAreNotGivenAgainAfterARestart(t *testing.T) {
	mem, c := vfs.NewCrashableMem(), newClock()
	given := make(map[int64]bool)
	for round := range 4 {
		s := openAt(t, mem, c)
		for range 3 {
			if _, err := storetest.Enqueue(s, storetest.Body(10, "x"), nil, storetest.Waiting("d.test", "u")); err != nil {
				t.Fatal(err)
			}
		}
		seen := 0
		for _, e := range storetest.All(t, s, storage.QueueFilter{}) {
			if due := e.Due.UnixMicro(); !given[due] {
				given[due] = true
				seen++
			}
		}
		if seen != 3 {
			t.Errorf("round %d: %d of 3 entries have a due time of their own", round, seen)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		c.add(-time.Duration(round) * time.Second)
	}
}
