package history

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"postrider/storage"
)

// Settings say how much is kept.
type Settings struct {
	Keep time.Duration // 0: nothing
	Room int64         // octets of the files
}

// On reports whether anything is kept.
func (s Settings) On() bool { return s.Keep > 0 }

// Options are what New needs.
type Options struct {
	Dir      string // made when there is something to write; the directory above it is there
	Settings Settings
	// Free is the room of the disk for mail and history, in octets; nil: it is not looked at.
	Free func() int64
	Log  *slog.Logger // gets faults; nil: none are told
}

// Log is a history that is written. A nil Log keeps nothing.
type Log struct {
	o   Options
	set atomic.Pointer[Settings]

	// Stats count since the start.
	Stats Stats

	// whole is held while a block is written: a reader that holds it sees whole blocks.
	whole sync.Mutex

	mu      sync.Mutex
	buf     []byte
	waiting int           // events in buf
	busy    bool          // a goroutine gathers or writes
	hurry   chan struct{} // ends the gathering
	// added counts the events that were put into buf, finished the ones that have left it and
	// are written or left out.
	added, finished int64
	progress        *sync.Cond // finished has grown

	// first reads what the files of earlier processes have, for Stats.Octets.
	first sync.Once

	file writer // belongs to the goroutine that writes

	sweeping *time.Timer
}

// Stats are the counters of a Log.
type Stats struct {
	Events  atomic.Int64 // that were written
	LeftOut atomic.Int64
	Octets  atomic.Int64 // what the files have now
}

const (
	// maxWaiting bounds the octets that wait to be written.
	maxWaiting = 4 << 20
	// gather is how long events gather before they are written.
	gather = time.Second
	// sweepEvery is how often old files are looked for.
	sweepEvery = time.Minute
)

// New returns a history that is written to files. Nothing is read or written before Start,
// or the first event.
func New(o Options) *Log {
	l := &Log{o: o, hurry: make(chan struct{}, 1)}
	l.progress = sync.NewCond(&l.mu)
	l.set.Store(&o.Settings)
	l.file = writer{l: l}
	return l
}

// Collector returns a history of events that another process writes: see Take. It has a
// bound, and writes nothing.
func Collector() *Log {
	l := New(Options{Settings: Settings{Keep: 1}})
	l.busy = true // no goroutine is begun
	return l
}

// Take returns what a Collector has, for AddAll; a nil Log has nothing.
func (l *Log) Take() []byte {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.buf
	l.buf = nil
	return all
}

// Start begins to delete what is too old. Stop ends that.
func (l *Log) Start() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweeping = time.AfterFunc(0, l.sweep)
}

// Stop writes what waits. Events may still come: they are written by themselves.
func (l *Log) Stop() {
	l.mu.Lock()
	if l.sweeping != nil {
		l.sweeping.Stop()
		l.sweeping = nil
	}
	l.mu.Unlock()
	l.Flush()
}

// Configure replaces the settings. What is too old or too much by them goes within a minute.
func (l *Log) Configure(s Settings) {
	if *l.set.Swap(&s) == s {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sweeping != nil {
		l.sweeping.Reset(0)
	}
}

// Settings returns the settings that count now.
func (l *Log) Settings() Settings { return *l.set.Load() }

// On reports whether events are kept.
func (l *Log) On() bool { return l != nil && l.set.Load().On() }

// Begin begins an event of a message. Add has to follow.
func (l *Log) Begin(k Kind, id storage.MessageID, at time.Time) *Event { return newEvent(k, id, at) }

// Add adds an event, which belongs to the Log from then on. It never waits: without room the
// event is left out.
func (l *Log) Add(e *Event) {
	e.end()
	l.add(e.b)
	if cap(e.b) <= 4*maxText {
		events.Put(e)
	}
}

// Room returns the event if it has room for so many octets of facts. Otherwise it adds the
// event, and returns one for the recipients that are left, with the sender, by which a search
// finds it.
func (l *Log) Room(e *Event, octets int) *Event {
	if e.HasRoom(octets) {
		return e
	}
	more := l.Begin(More, idOf(e.b), time.UnixMicro(timeOf(e.b)))
	more.Octets(Sender, valueOf(e.b, Sender))
	l.Add(e)
	return more
}

// AddAll adds events that another process has made: see Collector. Octets that are none are
// an error.
func (l *Log) AddAll(all []byte) error {
	for len(all) > 0 {
		e, rest, ok := nextEvent(all)
		if !ok || len(e) > maxEvent {
			return errors.New("these octets are not events of a history")
		}
		if _, ok := parse(e); !ok {
			return errors.New("these octets are not an event of a history")
		}
		l.add(e)
		all = rest
	}
	return nil
}

// AddDeleted adds the deletion of messages from a maildrop. It may wait for the writer, and
// so is not for event loops. client is that of the program; "": none.
func (l *Log) AddDeleted(ids []storage.MessageID, account, by, client string) {
	if !l.On() {
		return
	}
	now := time.Now()
	for i, id := range ids {
		l.pace(i)
		e := l.Begin(Deleted, id, now)
		e.Text(Account, account)
		e.Text(By, by)
		e.Text(Client, client)
		l.Add(e)
	}
}

// AddUndeleted adds that messages were brought back into a maildrop. It may wait.
func (l *Log) AddUndeleted(ids []storage.MessageID, account, by string) {
	if !l.On() {
		return
	}
	now := time.Now()
	for i, id := range ids {
		l.pace(i)
		e := l.Begin(Act, id, now)
		e.Text(Words, "undeleted")
		e.Text(Account, account)
		e.Text(By, by)
		l.Add(e)
	}
}

// AddActs adds what an operator has done to entries of the queue. It may wait.
func (l *Log) AddActs(ids []storage.EntryID, act, by string) {
	if !l.On() {
		return
	}
	now := time.Now()
	for i, id := range ids {
		l.pace(i)
		e := l.Begin(Act, id.Message, now)
		e.Number(Part, int64(id.Part))
		e.Text(Words, act)
		e.Text(By, by)
		l.Add(e)
	}
}

// pace waits now and then, so that one caller with many events leaves room for others.
func (l *Log) pace(i int) {
	if i > 0 && i%4096 == 0 {
		l.Flush()
	}
}

// add adds an event, and has it written.
func (l *Log) add(event []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.buf) > maxWaiting {
		l.Stats.LeftOut.Add(1)
		return
	}
	before := len(l.buf)
	l.buf = append(binary.AppendUvarint(l.buf, uint64(len(event))), event...)
	l.waiting++
	l.added++
	if !l.busy {
		l.busy = true
		go l.write()
	}
	if before < blockSize && len(l.buf) >= blockSize {
		l.hasten()
	}
}

// hasten ends the gathering.
func (l *Log) hasten() {
	select {
	case l.hurry <- struct{}{}:
	default:
	}
}

// write writes until nothing waits. It runs on a goroutine of its own.
func (l *Log) write() {
	patience := time.NewTimer(gather)
	defer patience.Stop()
	var out []byte
	for {
		select {
		case <-l.hurry:
		case <-patience.C:
		}
		patience.Reset(gather)
		l.mu.Lock()
		out, l.buf = l.buf, out[:0]
		n := l.waiting
		l.waiting = 0
		l.mu.Unlock()
		l.file.write(out, n)
		l.mu.Lock()
		l.finished += int64(n)
		l.progress.Broadcast()
		if len(l.buf) == 0 {
			if cap(out) > cap(l.buf) && cap(out) <= 4*blockSize {
				l.buf = out[:0]
			}
			l.busy = false
			l.mu.Unlock()
			return
		}
		if len(l.buf) >= blockSize {
			l.hasten()
		}
		l.mu.Unlock()
	}
}

// Flush returns when all that was added before it is written, or left out. It does not wait
// for what is added meanwhile.
func (l *Log) Flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for before := l.added; l.finished < before; {
		l.hasten()
		l.progress.Wait()
	}
}

// shareOfDisk is the part of the free disk that the history may have: it never takes the last
// room of the mail.
const shareOfDisk = 8

// bounded are the settings with the room that the disk has.
func (l *Log) bounded() Settings {
	set := l.Settings()
	if l.o.Free == nil {
		return set
	}
	l.first.Do(func() {
		_, total := list(l.o.Dir)
		l.Stats.Octets.Store(total)
	})
	set.Room = min(set.Room, max(l.o.Free()+l.Stats.Octets.Load(), 0)/shareOfDisk)
	return set
}

// sweep deletes what is too old or too much.
func (l *Log) sweep() {
	total := sweep(l.o.Dir, l.bounded(), time.Now(), 0)
	l.Stats.Octets.Store(total)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sweeping != nil {
		l.sweeping.Reset(sweepEvery)
	}
}

// fault logs that the history can't be written.
func (l *Log) fault(err error) {
	if l.o.Log != nil {
		l.o.Log.Warn("the history can't be written; events of it are left out until it can (log.history)", "err", err)
	}
}

// resumed logs how much was left out because of a fault.
func (l *Log) resumed(n int64, why error) {
	if l.o.Log != nil {
		l.o.Log.Warn(fmt.Sprintf("%d events of the history were left out (log.history)", n), "reason", why)
	}
}
