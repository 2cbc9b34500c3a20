package lsm

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"postrider/storage"
)

// The way of a change to the disk:
//
//	many goroutines -> queue -> committer -> Done
//	                              |    ^
//	                             syncer         (this one is in Pebble)
//
// The committer is one goroutine. It takes all that waits in the queue, gathers it into
// groups, each one Pebble batch, and applies them: after that they are visible, and in
// the WAL's order. Then it waits for their sync and answers the waiting callers. What
// comes in meanwhile is the next round: syncs gather by themselves, and the longer one
// takes, the more the next one covers.
//
// Apply and SyncWait may wait long (for a new WAL file, for a flush), so only the
// committer calls them. They may also never return, when the disk has failed (see
// faultFS): then another goroutine takes the committer's place and answers ErrFailed
// (see pebbleGuard and failPending).
const (
	// maxInFlight bounds the deliveries between Deliver and Done. Past it Deliver
	// answers ErrTemporary.
	maxInFlight = 8192
	// maxUnsynced bounds the groups between Apply and sync. Pebble's own bound is
	// 4,095, and it blocks there.
	maxUnsynced = 1024
	// groupOctets and groupMembers bound a group. Merging lowers the cost of each
	// delivery; a larger batch makes the first of it wait longer.
	groupOctets  = 256 << 10
	groupMembers = 64
)

// group is one synced batch and the callers that wait for it.
type group struct {
	number     uint64    // counts groups; see Store.applied
	note       uint64    // its number in the log; see lognote.go
	at         time.Time // when it was written
	batch      *pebble.Batch
	deliveries []*storage.Delivery
	calls      []*call
	unwaited   int             // changes in it that no caller waits for
	touched    map[string]wake // destinations of the mail queue
	queued     counter         // what it adds to the mail queue
	failed     error           // apply's error
}

// call is a change that a goroutine waits for.
type call struct {
	// stage runs on the committer's goroutine: it checks that the change may be
	// made and adds it to the batch, all or nothing when it returns an error. What
	// it reads from the rows includes all changes before this one.
	stage func(b *pebble.Batch) error
	// applied, if not nil, runs there after the batch was applied.
	applied func()
	// alone: stage reads rows or memory that an earlier change may alter, and not
	// what mailQueue knows of them; or the batch is large.
	alone bool
	err   error
	done  chan struct{}
}

// do has the committer carry out c and waits until it is durable.
func (s *Store) do(c *call) error {
	c.done = make(chan struct{})
	if err := s.refusal(); err != nil {
		return err
	}
	if !s.queue.put(op{call: c}) {
		return storage.ErrClosed
	}
	<-c.done
	return c.err
}

// committer is the state of the committer's goroutine.
type committer struct {
	s           *Store
	guard       pebbleGuard
	ops         []op              // taken from the queue
	next        int               // ops[next:] are still to be handled
	op          op                // is being handled
	group       *group            // is being gathered
	applying    *group            // is in Pebble
	unsynced    []*group          // applied, in this order
	idBound     storage.MessageID // the durable one, or that of the open group
	usage       map[storage.AccountID]counter
	seen        map[storage.AccountID]bool // scratch of duplicate
	claimed     map[string]claim           // by key: the I rows of the open group
	domainsUsed map[*domain]counter        // scratch of admitQuotas
	value       []byte                     // scratch
	packer      packer                     // the codecs' scratch
	mail        mailQueue
	gather      gather // what a round waits for
	notes       uint64 // the number of the last group's note
	proven      uint64 // the last one that is known to be synced
}

func (c *committer) run() {
	for {
		for c.next < len(c.ops) {
			c.op = c.ops[c.next]
			c.next++
			c.handle(&c.op)
		}
		c.op = op{} // failPending has to answer only its group
		c.flush()
		c.settle()
		n := c.s.queue.wait()
		if n == 0 {
			break
		}
		if d := c.gather.pause(n, int(c.s.expected.Load())); d > 0 {
			sleep(d)
		}
		c.ops, c.next = c.s.queue.take(c.ops), 0
		c.gather.took(len(c.ops), time.Now())
	}
	close(c.s.ended)
}

// watchCommitter goes on in the committer's place when it does not come back from
// Pebble.
func (s *Store) watchCommitter() {
	select {
	case <-s.broken:
	case <-s.ended:
		return
	}
	if s.committer.guard.abandon() {
		s.committer.failPending()
		s.committer.run()
	}
}

// failPending answers everything that was pending when the committer did not return
// from Pebble: its groups have failed, and so has the op that it was handling, unless a
// group has it.
func (c *committer) failPending() {
	lost, o := c.unsynced, c.op
	if c.applying != nil {
		lost = append(lost, c.applying)
	}
	c.applying, c.unsynced, c.op = nil, nil, op{}
	c.guard.state.Store(outside) // for the goroutine that takes over
	answered := false
	for _, g := range lost {
		if g == nil {
			continue // answered already
		}
		answered = answered || o.delivery != nil && slices.Contains(g.deliveries, o.delivery) ||
			o.call != nil && slices.Contains(g.calls, o.call)
		g.finish(c.s, c.s.refusal())
	}
	switch {
	case answered:
	case o.chunk.draft != nil:
		c.chunkDone(o.chunk)
	default:
		c.handle(&o) // which is refused now
	}
}

func (c *committer) handle(o *op) {
	switch {
	case o.delivery != nil:
		c.deliver(o.delivery)
	case o.call != nil:
		c.carryOut(o.call)
	case o.discard != nil:
		c.discard(o.discard)
	case o.sleep != nil:
		c.sleep(o.sleep)
	case o.login != nil:
		c.noteLogin(o.login)
	case o.chunk.draft != nil:
		c.storeChunk(o.chunk)
	}
}

// open returns the group that is being gathered.
func (c *committer) open() *group {
	if c.group == nil {
		c.group = c.s.groups.Get().(*group)
		c.group.batch = c.s.db.NewBatch()
		c.notes++
		c.group.note = c.notes
		_ = c.group.batch.LogData(appendLogNote(nil, logNote{c.notes, c.proven}), nil)
	}
	return c.group
}

// flush applies the open group and hands it to settle.
func (c *committer) flush() {
	g := c.group
	if g == nil {
		c.mail.applied()
		return
	}
	if g.needsNoSync() {
		c.flushWithoutSync(g)
		return
	}
	c.group, c.applying = nil, g
	g.number = c.s.applied.Add(1) // before it can be seen
	if g.queued != (counter{}) {
		var v [counterLen]byte
		g.queued.put(v[:])
		_ = g.batch.Merge(keyQueueTotal, v[:], nil)
	}
	if bound, moved := c.mail.stamps.reserve(); moved {
		_ = g.batch.Set(keyStampBound, binary.BigEndian.AppendUint64(nil, bound), nil)
	}
	g.at = time.Now()
	g.failed = c.apply(g.batch, c.s.sync)
	c.applying = nil
	c.forgetClaims()
	c.mail.applied()
	if g.failed != nil {
		c.s.fail(g.failed)
	} else {
		c.s.queued.messages.Add(g.queued.messages)
		c.s.queued.octets.Add(g.queued.octets)
	}
	for _, call := range g.calls {
		if call.applied != nil && g.failed == nil {
			call.applied()
		}
	}
	if c.unsynced = append(c.unsynced, g); len(c.unsynced) == maxUnsynced {
		c.settle()
	}
}

// needsNoSync reports whether no caller waits for the group: then it need not be synced.
func (g *group) needsNoSync() bool { return len(g.deliveries)+len(g.calls) == 0 }

// flushWithoutSync applies a group that no caller waits for.
func (c *committer) flushWithoutSync(g *group) {
	c.group = nil
	err := c.apply(g.batch, pebble.NoSync)
	c.forgetClaims()
	c.mail.applied()
	if err != nil {
		c.s.fail(err)
		return
	}
	_ = g.batch.Close()
	g.reset(c.s)
}

// apply applies a batch. After an error the batch is not to be touched.
func (c *committer) apply(b *pebble.Batch, how *pebble.WriteOptions) error {
	c.s.space.spend(b.Len())
	if !c.guard.enter() {
		return storage.ErrFailed
	}
	err := c.s.applyOne(b, how)
	c.guard.leave()
	return err
}

// applyOne applies a batch. Pebble panics when its WAL is gone.
func (s *Store) applyOne(b *pebble.Batch, how *pebble.WriteOptions) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the store's writer stopped: %v", p)
		}
	}()
	if how.Sync {
		return s.db.ApplyNoSyncWait(b, how)
	}
	return s.db.Apply(b, how)
}

// carryOut stages a call into the open group.
func (c *committer) carryOut(call *call) {
	if err := c.s.refusal(); err != nil {
		call.finish(err)
		return
	}
	if call.alone {
		c.flush()
	}
	g := c.open()
	if err := c.staged(call, g.batch); err != nil {
		if call.alone {
			g.batch.Reset() // a part of it may be there
		}
		c.flush() // see plan
		call.finish(err)
		return
	}
	g.calls = append(g.calls, call)
	if call.alone || g.full() {
		c.flush()
	}
}

// staged runs the call's stage, which reads.
func (c *committer) staged(call *call, b *pebble.Batch) error {
	if !c.guard.enter() {
		return storage.ErrFailed
	}
	err := c.s.stageOne(call, b)
	c.guard.leave()
	return err
}

// stageOne runs a stage. Pebble may panic when it reads a damaged file.
func (s *Store) stageOne(call *call, b *pebble.Batch) (err error) {
	defer s.recoverRead(&err)
	return call.stage(b)
}

func (g *group) full() bool {
	return g.batch.Len() >= groupOctets || len(g.deliveries)+len(g.calls)+g.unwaited >= groupMembers
}

func (call *call) finish(err error) {
	call.err = err
	close(call.done)
}

// settle waits for the sync of all applied groups, and answers their callers.
// Once one group is not synced, none after it is.
func (c *committer) settle() {
	for i, g := range c.unsynced {
		err := g.failed
		if err == nil && c.s.sync.Sync {
			err = c.awaitSync(g)
		}
		c.unsynced[i] = nil // from here on failPending does not answer it
		if err == nil {
			c.s.durable.reach(g.number)
			if c.s.sync.Sync {
				c.proven = g.note
			}
			c.s.tellSync(g)
		} else {
			c.s.fail(err)
			err = c.s.refusal()
		}
		g.finish(c.s, err)
	}
	c.unsynced = c.unsynced[:0]
}

func (c *committer) awaitSync(g *group) error {
	if !c.guard.enter() {
		return storage.ErrFailed
	}
	err := g.batch.SyncWait()
	c.guard.leave()
	return err
}

// finish answers all callers that wait for the group, and frees it.
func (g *group) finish(s *Store, err error) {
	if err == nil {
		_ = g.batch.Close() // gives the batch back; it is not touched after an error
	}
	for _, d := range g.deliveries {
		id := d.Draft.ID()
		s.inFlight.Add(-1)
		if err != nil {
			d.Done(d, storage.Receipt{}, err)
			continue
		}
		d.Done(d, storage.NewReceipt(id), nil)
	}
	for _, call := range g.calls {
		call.finish(err)
	}
	if err != nil {
		return // the goroutine that did not come back may still look at g
	}
	s.tellWatcher(g)
	g.reset(s)
}

// reset empties a group for the next use of its memory.
func (g *group) reset(s *Store) {
	clear(g.deliveries)
	clear(g.calls)
	if len(g.touched) > maxStaged {
		g.touched = nil // a map that was large once is slow to walk for ever
	}
	clear(g.touched)
	*g = group{deliveries: g.deliveries[:0], calls: g.calls[:0], touched: g.touched}
	s.groups.Put(g)
}

// watermark is a number that only rises, and that can be waited for.
type watermark struct {
	at      atomic.Uint64
	mu      sync.Mutex
	risen   sync.Cond
	waiting int
	broken  bool
}

func newWatermark() *watermark {
	w := new(watermark)
	w.risen.L = &w.mu
	return w
}

// reach raises the mark.
func (w *watermark) reach(n uint64) {
	w.at.Store(n)
	w.mu.Lock()
	if w.waiting > 0 {
		w.risen.Broadcast()
	}
	w.mu.Unlock()
}

// giveUp ends all waits: the mark will not rise any more.
func (w *watermark) giveUp() {
	w.mu.Lock()
	w.broken = true
	w.risen.Broadcast()
	w.mu.Unlock()
}

// await waits until the mark is at n; false when it never will be.
func (w *watermark) await(n uint64) bool {
	if w.at.Load() >= n {
		return true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting++
	for w.at.Load() < n && !w.broken {
		w.risen.Wait()
	}
	w.waiting--
	return w.at.Load() >= n
}
