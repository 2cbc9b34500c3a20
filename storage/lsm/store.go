package lsm

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/storage"
)

// Store is an open store. See storage.Store for what its methods promise.
type Store struct {
	opts    Options
	fs      *faultFS // over the ballast's hook
	closeFS func()
	lock    *pebble.Lock // on the directory
	db      *pebble.DB
	sync    *pebble.WriteOptions

	dir         *directory
	nextAccount storage.AccountID // used by the committer's goroutine only
	ids         idSource
	locks       lockTable
	listings    listings
	counting    sync.Mutex // held while what domains hold is added up; see SetDomainQuota
	logins      loginNotes
	drafts      drafts
	damaged     damaged
	retention   retention
	kept        atomicCounter // deleted messages
	removedHold atomicCounter // what removed accounts hold
	purgeLock   sync.Mutex    // held by Purge
	purging     purging       // under purgeLock

	packs     bool       // bodies are compressed
	zstd      allowance  // the packers'
	packing   chan chunk // to the packers
	queue     *queue
	committer committer
	groups    sync.Pool     // has *group
	ended     chan struct{} // closed by the committer at its end
	inFlight  atomic.Int64
	expected  atomic.Int64                        // see Expect
	stamps    stamps                              // the clock of the mail queue
	queued    atomicCounter                       // what is in it, as far as it can be seen
	watcher   atomic.Pointer[func(string, bool)]  // see Watch
	synced    atomic.Pointer[func(time.Duration)] // see OnSync
	applied   atomic.Uint64                       // the last group that may be visible
	durable   *watermark                          // the last group that is synced

	space   space
	stalled atomic.Bool           // Pebble holds writes back
	stalls  stalls                // how often and how long it did
	slow    atomic.Int64          // operations of the disk that took longer than slowDisk
	failed  atomic.Pointer[error] // why the store can't write any more
	broken  chan struct{}         // closed when failed is set
	closing chan struct{}
	closed  atomic.Bool
	others  sync.WaitGroup // goroutines besides the committer
	guests  visitors

	// readPanicked: a read panicked. What it held then is never given back, and Pebble says
	// so when it is closed.
	readPanicked atomic.Bool

	shortTold atomic.Int64  // when it was logged that files can't be opened
	leadTold  time.Duration // the lead that was logged last
}

var _ storage.Store = (*Store)(nil)

func newStore(opts Options) *Store {
	s := &Store{
		opts:    opts,
		closeFS: func() {},
		sync:    pebble.Sync,
		dir:     newDirectory(),
		drafts:  drafts{open: make(map[storage.MessageID]struct{})},
		logins:  loginNotes{all: make(map[storage.AccountID]struct{})},
		queue:   newQueue(),
		groups:  sync.Pool{New: func() any { return new(group) }},
		ended:   make(chan struct{}),
		broken:  make(chan struct{}),
		durable: newWatermark(),
		closing: make(chan struct{}),
	}
	s.SetRetention(opts.Retention)
	if opts.Compression != "none" {
		s.packs, s.packing = true, make(chan chunk, packQueue)
	}
	if opts.Durability == None {
		s.sync = pebble.NoSync
	}
	s.stamps.now, s.stamps.pass = opts.Now, opts.pass
	s.ids.now = s.stamps.clock
	s.locks.held = make(map[storage.AccountID]*lock)
	s.committer = committer{s: s, usage: make(map[storage.AccountID]counter), seen: make(map[storage.AccountID]bool), claimed: make(map[string]claim), mail: newMailQueue(&s.stamps)}
	s.committer.guard.broken = &s.failed
	base := opts.FS
	if base == nil {
		base, s.closeFS = s.machineFS(opts.Log)
	}
	s.space.init(s, base)
	s.fs = &faultFS{FS: vfs.OnDiskFull(base, s.space.dropBallast), fail: s.fail, full: func() { s.space.full.Store(true) }, short: s.lacksFiles, closing: s.closing, broken: s.broken}
	return s
}

// shortEvery is the least time between two lines of the log about open files.
const shortEvery = 10 * time.Second

// lacksFiles logs that the store waits until it can open a file.
func (s *Store) lacksFiles(err error) {
	now := time.Now().UnixNano()
	if before := s.shortTold.Load(); now-before < int64(shortEvery) || !s.shortTold.CompareAndSwap(before, now) {
		return
	}
	s.opts.Log.Error("the store waits until it may open a file: raise the limit of open files (LimitNOFILE in the unit, ulimit -n)", "err", err)
}

// start starts the goroutines of an open store.
func (s *Store) start() {
	s.fs.armed.Store(true)
	go s.committer.run()
	go s.watchCommitter()
	if s.packs {
		for range runtime.NumCPU() {
			s.others.Add(1)
			go s.pack()
		}
	}
	s.space.look()
	s.others.Add(1)
	go s.space.watch()
}

// refusal is why the store takes no change at all, or nil.
func (s *Store) refusal() error {
	if err := s.failed.Load(); err != nil {
		return fmt.Errorf("%w: %w", storage.ErrFailed, *err)
	}
	if s.closed.Load() {
		return storage.ErrClosed
	}
	return nil
}

// Admit implements storage.Inbox.
func (s *Store) Admit(size int64) error {
	if err := s.refusal(); err != nil {
		return err
	}
	if s.space.full.Load() || size > s.space.room() {
		return s.space.err()
	}
	return s.busy()
}

// busy is ErrTemporary when too many deliveries wait for the writer.
func (s *Store) busy() error {
	n := s.inFlight.Load()
	if n >= maxInFlight || s.stalled.Load() && n > maxInFlight*3/4 {
		return fmt.Errorf("%w: %d deliveries wait for the disk", storage.ErrTemporary, n)
	}
	return nil
}

// Expect implements storage.Store.
func (s *Store) Expect(n int) { s.expected.Add(int64(n)) }

// Health implements storage.Store.
func (s *Store) Health() storage.Health {
	return storage.Health{
		Err:       s.Admit(0),
		FreeBytes: s.space.room(),
		InFlight:  s.inFlight.Load(),
	}
}

// Close implements storage.Store.
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return storage.ErrClosed
	}
	close(s.closing)
	s.others.Wait()
	s.guests.end()
	s.queue.close()
	<-s.ended
	err := s.closeDB()
	if err == nil && s.failed.Load() == nil {
		if err := s.noteLogs(); err != nil { // no note is no fault
			s.opts.Log.Warn("the lengths of the logs could not be noted", "dir", s.opts.Dir, "err", err)
		}
	}
	err = errors.Join(err, s.lock.Close())
	s.closeFS()
	return err
}

// closeTimeout bounds the wait for Pebble when the store has failed: a goroutine
// that holds its locks may have stopped for good.
const closeTimeout = 200 * time.Millisecond

func (s *Store) closeDB() error {
	ended := make(chan error, 1)
	go func() {
		defer func() {
			switch p := recover(); {
			case p == nil:
			case s.readPanicked.Load():
				s.opts.Log.Warn("a file of the store is damaged, so that it could not be closed in order; nothing that was acknowledged is lost by that", "dir", s.opts.Dir)
				ended <- nil
			default:
				ended <- fmt.Errorf("closing panicked: %v", p)
			}
		}()
		ended <- s.db.Close()
	}()
	select {
	case err := <-ended:
		return err
	case <-s.broken:
	}
	select {
	case <-ended:
	case <-time.After(closeTimeout):
	}
	return fmt.Errorf("%w: %w", storage.ErrFailed, *s.failed.Load())
}
