package history

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postrider/storage"
)

// keep is a history in a directory of the test.
func keep(t *testing.T, set Settings) *Log {
	t.Helper()
	l := New(Options{Dir: filepath.Join(t.TempDir(), "history"), Settings: set})
	t.Cleanup(l.Stop)
	return l
}

var generous = Settings{Keep: time.Hour, Room: 64 << 20}

// received adds a message.
func received(l *Log, id storage.MessageID, at time.Time, to ...string) {
	e := l.Begin(Received, id, at)
	e.Text(Door, "smtp")
	e.Text(Sender, "ann@a.example")
	e.Number(Size, 1234)
	e.Time(Mailed, at)
	for _, a := range to {
		e.Text(To, a)
	}
	l.Add(e)
}

// find wants n events of a message.
func find(t *testing.T, l *Log, id storage.MessageID, n int) []Read {
	t.Helper()
	found, _, err := l.Find(id)
	if err != nil || len(found) != n {
		t.Fatalf("message %d: %d events, want %d: %v", id, len(found), n, err)
	}
	return found
}

// What is added is found by its id, in order of time, with each fact, also while it waits to
// be written; a process that comes later finds it too.
func TestFind(t *testing.T) {
	l, now := keep(t, generous), time.Now()
	for i := range 5000 {
		received(l, storage.MessageID(i), now, fmt.Sprint("u", i, "@b.example"))
	}
	l.AddDeleted([]storage.MessageID{17, 18}, "u17@b.example", "pop3", "x[192.0.2.1]")
	l.AddActs([]storage.EntryID{{Message: 17, Part: 3}}, "held", "root")
	e := l.Begin(Attempt, 17, now.Add(-time.Minute)) // it was added late
	e.Text(Line, "250-one")
	e.Text(Line, "250 two")
	l.Add(e)
	again := New(l.o)
	for _, l := range []*Log{l, again} {
		all := find(t, l, 17, 4)
		if all[0].Kind != Received || all[1].Kind != Attempt || all[2].Kind != Deleted || all[3].Kind != Act {
			t.Fatalf("%v", all)
		}
		if got := fmt.Sprint(all[1].Facts, all[3].Facts); got != "[{29 250-one 0} {29 250 two 0}] [{21  3} {32 held 0} {33 root 0}]" {
			t.Error(got)
		}
		if r := all[0]; r.Text(To) != "u17@b.example" || r.Text(Sender) != "ann@a.example" || r.Facts[3].Time().UnixMicro() != now.UnixMicro() {
			t.Errorf("%+v", r)
		}
		if n, ok := all[0].Number(Size); !ok || n != 1234 {
			t.Error(n, ok)
		}
		find(t, l, 4999, 1)
		find(t, l, 5000, 0)
	}
}

func TestSearch(t *testing.T) {
	l, now := keep(t, generous), time.Now()
	received(l, 1, now.Add(-30*time.Minute), "bob@b.example")
	received(l, 2, now, "Carol@b.example", "dave@c.example")
	l.AddDeleted([]storage.MessageID{2}, "carol@b.example", "web", "")
	f := func(s Search, want string) {
		t.Helper()
		all, _, err := l.Search(t.Context(), s)
		got := ""
		for _, r := range all {
			got += r.ID.String()[12:]
		}
		if err != nil || got != want {
			t.Errorf("%+v: %q, want %q: %v", s, got, want, err)
		}
	}
	f(Search{Sender: "ANN@a.example"}, "12")
	f(Search{Sender: "nn@a.example"}, "")
	f(Search{Sender: "@a.example", Since: now.Add(-time.Minute)}, "2")
	f(Search{Recipient: "carol@b.example"}, "2")
	f(Search{Recipient: "CAROL"}, "2")
	f(Search{Recipient: "b.example"}, "12")
	f(Search{Recipient: "aro"}, "")
	f(Search{Recipient: "example"}, "")
	f(Search{Recipient: "@B.example"}, "12")
	f(Search{Recipient: "@c.example", Sender: "@a.example"}, "2")
	f(Search{Recipient: "dave@c.example", Sender: "@b.example"}, "")
}

// An event that is too large has what has room, and tells how much has none.
func TestAnEventHasABound(t *testing.T) {
	l := keep(t, generous)
	e := l.Begin(Received, 1, time.Now())
	e.Text(Reason, strings.Repeat("x", 5000))
	const more = 10_000
	for i := range more {
		e.Text(To, fmt.Sprint(i, "@b.example"))
		e.Number(Size, 1)
	}
	e.Omit(5)
	l.Add(e)
	r := find(t, l, 1, 1)[0]
	if len(r.Text(Reason)) != maxText {
		t.Error(len(r.Text(Reason)))
	}
	n, _ := r.Number(LeftOut)
	if kept := len(r.Facts) - 2; int(n) != 2*more+5-kept || kept < 1000 {
		t.Errorf("%d facts, %d left out", kept, n)
	}
}

// The files never have more than Settings.Room: the oldest go for the newest.
func TestRoomIsBounded(t *testing.T) {
	set := Settings{Keep: time.Hour, Room: 6 << 20}
	l := keep(t, set)
	noise := make([]byte, maxText) // it can't be compressed
	seed := uint64(1)
	const events = 10_000
	for i := range events {
		e := l.Begin(Received, storage.MessageID(i), time.Now())
		for k := range noise {
			seed = seed*6364136223846793005 + 1442695040888963407
			noise[k] = byte(seed >> 56)
		}
		e.Octets(Reason, noise)
		l.Add(e)
		if i%1000 == 0 {
			l.Flush()
			if _, total := list(l.o.Dir); total > set.Room {
				t.Fatalf("%d octets after %d events", total, i)
			}
		}
	}
	l.Flush()
	if _, total := list(l.o.Dir); total > set.Room || total < set.Room*3/4 || total != l.Stats.Octets.Load() {
		t.Errorf("%d octets, %d are told, of %d", total, l.Stats.Octets.Load(), set.Room)
	}
	if n := l.Stats.LeftOut.Load(); n != 0 {
		t.Errorf("%d were left out", n)
	}
	find(t, l, 0, 0)
	find(t, l, events-1, 1)
}

// What is older than Settings.Keep is not shown, and its files go; a shorter time counts at
// once, and 0 leaves nothing.
func TestTimeIsBounded(t *testing.T) {
	l, now := keep(t, generous), time.Now()
	received(l, 1, now.Add(-2*time.Hour))
	received(l, 2, now.Add(-30*time.Minute))
	find(t, l, 1, 0)
	find(t, l, 2, 1)
	l.Configure(Settings{Keep: time.Minute, Room: generous.Room})
	find(t, l, 2, 0)

	l.Configure(generous)
	files, _ := list(l.o.Dir)
	if err := os.Chtimes(files[0].path, now, now.Add(-2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	received(l, 3, now)
	find(t, l, 3, 1)
	sweep(l.o.Dir, l.Settings(), now.Add(time.Minute), 0)
	find(t, l, 3, 1) // the file was written to again
	sweep(l.o.Dir, l.Settings(), now.Add(2*time.Hour), 0)
	if files, _ := list(l.o.Dir); len(files) != 0 {
		t.Errorf("%v", files)
	}
	received(l, 4, now) // its file has gone, and there is another one
	find(t, l, 4, 1)

	l.Configure(Settings{Room: generous.Room})
	if l.On() {
		t.Error("on")
	}
	l.sweep()
	if files, _ := list(l.o.Dir); len(files) != 0 {
		t.Errorf("%v", files)
	}
	l.AddDeleted([]storage.MessageID{4}, "x", "y", "z")
	l.Flush()
	if files, _ := list(l.o.Dir); len(files) != 0 {
		t.Errorf("%v", files)
	}
	var none *Log
	if _, _, err := none.Find(1); err != nil || none.On() || none.Take() != nil {
		t.Error("a nil Log")
	}
}

// The files have an eighth of the free disk at most: it is mail that fills a disk. On a full one
// nothing is written, and what there is goes.
func TestMailComesFirst(t *testing.T) {
	free := int64(32 << 20)
	dir := t.TempDir()
	l := New(Options{Dir: dir, Settings: generous, Free: func() int64 { _, total := list(dir); return free - total }})
	noise := make([]byte, maxText)
	for i := range 2000 {
		for k := 0; k < maxText; k += 8 {
			copy(noise[k:], fmt.Sprint(i*k*7919))
		}
		e := l.Begin(Received, storage.MessageID(i), time.Now())
		for range 10 {
			e.Octets(Reason, noise)
		}
		l.Add(e)
		if i%100 == 0 {
			l.Flush()
		}
	}
	l.Flush()
	_, total := list(l.o.Dir)
	if total > 5<<20 || total < 1<<20 {
		t.Errorf("%d octets on a disk of %d", total, free)
	}
	free = 0
	received(l, 77_777, time.Now())
	find(t, l, 77_777, 0)
	l.sweep()
	if _, less := list(l.o.Dir); less > total/4 || l.Stats.LeftOut.Load() != 1 {
		t.Errorf("%d octets on a full disk, %d before; %d left out", less, total, l.Stats.LeftOut.Load())
	}
}

// Many processes leave many files: their number is bounded.
func TestFilesAreBounded(t *testing.T) {
	l := keep(t, generous)
	received(l, 1, time.Now())
	find(t, l, 1, 1)
	for i := range maxFiles + 50 { // they are newer than the one with message 1
		if err := os.WriteFile(filepath.Join(l.o.Dir, fmt.Sprint(time.Now().UnixMicro()+int64(i), ending)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	again := New(l.o)
	received(again, 2, time.Now())
	find(t, again, 2, 1)
	find(t, again, 1, 0)
	if files, _ := list(l.o.Dir); len(files) > maxFiles {
		t.Errorf("%d files", len(files))
	}
}

// A disk that stops costs memory up to a bound and no caller waits; what has no room is
// counted, and what comes after is kept.
func TestASlowDiskLosesEventsAndHoldsUpNoCaller(t *testing.T) {
	hold := make(chan int64)
	l := New(Options{Dir: t.TempDir(), Settings: generous, Free: func() int64 { return <-hold }})
	text := strings.Repeat("x", maxText)
	const n = 3 * maxWaiting / maxText
	for i := range n {
		e := l.Begin(Received, storage.MessageID(i), time.Now())
		e.Text(Reason, text)
		l.Add(e)
	}
	if got := l.Stats.LeftOut.Load(); got < n/3 {
		t.Errorf("%d of %d were left out", got, n)
	}
	l.mu.Lock()
	if len(l.buf) > maxWaiting+maxEvent {
		t.Errorf("%d octets wait", len(l.buf))
	}
	l.mu.Unlock()
	close(hold) // 0: the disk has no room
	l.Flush()
	if written, out := l.Stats.Events.Load(), l.Stats.LeftOut.Load(); written != 0 || out != n {
		t.Errorf("%d written, %d left out", written, out)
	}
	l.o.Free = nil
	received(l, n, time.Now())
	find(t, l, n, 1)
}

// A directory that can't be made, as on a full disk, is tried again.
func TestADiskThatTakesNothing(t *testing.T) {
	l := keep(t, generous)
	if err := os.WriteFile(l.o.Dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	received(l, 1, time.Now())
	l.Flush()
	if n := l.Stats.LeftOut.Load(); n != 1 {
		t.Errorf("%d left out", n)
	}
	if err := os.Remove(l.o.Dir); err != nil {
		t.Fatal(err)
	}
	received(l, 2, time.Now())
	find(t, l, 2, 1)
	find(t, l, 1, 0)
}

// A file that is damaged at any place costs the block with that place and no other one.
func TestDamage(t *testing.T) {
	l := keep(t, generous)
	const blocks = 4
	for i := range blocks {
		received(l, storage.MessageID(i), time.Now(), "a@b.example")
		l.Flush()
	}
	files, _ := list(l.o.Dir)
	whole, err := os.ReadFile(files[0].path)
	if err != nil || len(files) != 1 {
		t.Fatal(err, files)
	}
	seen := func(content []byte) (found, damaged int) {
		t.Helper()
		if err := os.WriteFile(files[0].path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		for i := range blocks {
			all, s, err := l.Find(storage.MessageID(i))
			if err != nil {
				t.Fatal(err)
			}
			found, damaged = found+len(all), max(damaged, s.Damaged)
		}
		return found, damaged
	}
	if found, damaged := seen(whole); found != blocks || damaged != 0 {
		t.Fatal(found, damaged)
	}
	for at := 0; at < len(whole); at += 5 {
		bad := bytes.Clone(whole)
		bad[at] ^= 0x10
		if found, damaged := seen(bad); found != blocks-1 || damaged == 0 {
			t.Fatalf("octet %d: %d found, %d damaged", at, found, damaged)
		}
		if found, _ := seen(whole[:at]); found > blocks*at/len(whole)+1 || found < blocks*at/len(whole)-1 {
			t.Fatalf("cut at %d: %d found", at, found)
		}
	}
}

// Events of another process are added as they are; octets that are none are refused.
func TestCollector(t *testing.T) {
	c, l := Collector(), keep(t, generous)
	received(c, 7, time.Now(), "a@b.example")
	received(c, 8, time.Now())
	events := c.Take()
	if len(c.Take()) != 0 {
		t.Error("taken twice")
	}
	if err := l.AddAll(events); err != nil {
		t.Fatal(err)
	}
	find(t, l, 7, 1)
	find(t, l, 8, 1)
	for _, bad := range []string{"x", string(events[:len(events)-1]), string(events) + "\x00", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "\x13" + strings.Repeat("\x09", 19)} {
		if l.AddAll([]byte(bad)) == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestAddAllocatesNothing(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector has pools lose what they keep")
	}
	l := Collector()
	l.buf = make([]byte, 0, 1<<20)
	now := time.Now()
	id := []byte("<x@y.example>")
	if n := testing.AllocsPerRun(100, func() {
		e := l.Begin(Received, 1, now)
		e.Text(Door, "smtp")
		e.Octets(MessageID, id)
		e.Number(Size, 100)
		l.Add(e)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAdd(b *testing.B) {
	l := New(Options{Dir: b.TempDir(), Settings: Settings{Keep: time.Hour, Room: 1 << 30}})
	id := []byte("<20261130031455.1234567@client.test.example>")
	b.ReportAllocs()
	for i := range b.N {
		now := time.Now()
		e := l.Begin(Received, storage.MessageID(i), now)
		e.Text(Door, "smtp")
		e.Text(Client, "client.test.example[192.0.2.17]")
		e.Octets(Helo, id[20:])
		e.Text(Proto, "ESMTP")
		e.Text(Sender, "someone@client.test.example")
		e.Number(Size, 4200)
		e.Number(Paths, 1)
		e.Octets(MessageID, id)
		for _, f := range []Fact{Connected, Mailed, Began, Ended} {
			e.Time(f, now)
		}
		e.Text(To, "someone.else@here.example")
		l.Add(e)
		if i%4096 == 0 {
			l.Flush() // nothing is left out
		}
	}
	l.Flush()
	if n := l.Stats.LeftOut.Load(); n > 0 {
		b.Error(n)
	}
}

// FuzzRead reads a file with any octets after a block that is whole.
func FuzzRead(f *testing.F) {
	l := Collector()
	received(l, 1, time.Now(), "a@b.example")
	events := l.Take()
	block := appendBlock(nil, events, 1)
	f.Add(block)
	f.Add(block[:len(block)-3])
	f.Add([]byte(blockMagic + blockMagic))
	f.Add(events)
	f.Fuzz(func(t *testing.T, octets []byte) {
		_, _ = parse(octets)
		_ = Collector().AddAll(octets)
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "1"+ending), append(bytes.Clone(block), octets...), 0o600); err != nil {
			t.Fatal(err)
		}
		found, _, err := Find(dir, Settings{Keep: 1000 * time.Hour}, 1, time.Now())
		if err != nil || len(found) == 0 {
			t.Fatalf("%d found: %v", len(found), err)
		}
	})
}
