package lsm

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/storage"
)

// space keeps the store from running into the end of the disk, where Pebble
// would block for ever: below a floor of free space no mail is taken. If the
// disk is full all the same (others write to it too), the ballast is given up,
// so that what is under way can end and POP3 can delete.
type space struct {
	s       *Store
	base    vfs.FS
	ballast string // its path; "": none
	full    atomic.Bool
	free    atomic.Int64 // above the floor; MaxInt64: unknown
	hasBall atomic.Bool
	spent   atomic.Int64 // octets written since the last look
	wanted  atomic.Int64 // Options.FreeFloor, or what SetFreeFloor has put in its place
	looking sync.Mutex
	lastErr time.Time // when a background error was logged; guarded by looking
}

// spaceInterval is how often the free space is looked at, and lookAfter the
// octets written after which it is looked at sooner: a fast disk takes more in a
// second than a small one has.
const (
	spaceInterval = time.Second
	lookAfter     = 4 << 20
)

// spend counts octets that are about to be written. It is the committer's.
func (sp *space) spend(n int) {
	if sp.spent.Add(int64(n)) > lookAfter {
		sp.look()
	}
}

func (sp *space) init(s *Store, base vfs.FS) {
	sp.s, sp.base = s, base
	sp.free.Store(math.MaxInt64)
	sp.wanted.Store(s.opts.FreeFloor)
	if s.opts.BallastSize > 0 {
		sp.ballast = base.PathJoin(s.opts.Dir, "ballast")
	}
}

func (sp *space) room() int64 { return sp.free.Load() }

func (sp *space) err() error {
	return fmt.Errorf("%w: make room on the disk of %s; the store takes mail again by itself", storage.ErrFull, sp.s.opts.Dir)
}

// dropBallast is called when a write found the disk full; the write is then
// tried once more.
func (sp *space) dropBallast() {
	sp.full.Store(true)
	if sp.ballast == "" || !sp.hasBall.Swap(false) {
		return
	}
	_ = sp.base.Remove(sp.ballast)
	sp.s.opts.Log.Error("the disk is full: the ballast was removed and no mail is taken", "dir", sp.s.opts.Dir)
}

// watch looks at the free space once a second until the store closes.
func (sp *space) watch() {
	defer sp.s.others.Done()
	t := time.NewTicker(spaceInterval)
	defer t.Stop()
	for {
		select {
		case <-sp.s.closing:
			return
		case <-t.C:
			sp.look()
			sp.s.logStep()
		}
	}
}

// look measures the free space and sets or clears the full flag.
func (sp *space) look() {
	sp.looking.Lock()
	defer sp.looking.Unlock()
	sp.spent.Store(0)
	u, err := sp.base.GetDiskUsage(sp.s.opts.Dir)
	if err != nil {
		return // this file system doesn't report it; writes will
	}
	avail := int64(min(u.AvailBytes, math.MaxInt64))
	floor := sp.floor(int64(min(u.TotalBytes, math.MaxInt64)))
	need := floor
	if sp.ballast != "" && !sp.hasBall.Load() {
		need += sp.s.opts.BallastSize // it is made again before mail is taken
	}
	if sp.full.Load() {
		need += floor / 8 // not back and forth at the edge
	}
	sp.free.Store(avail - need)
	if avail < need {
		if !sp.full.Swap(true) {
			sp.s.opts.Log.Error("the disk is almost full: no mail is taken", "dir", sp.s.opts.Dir, "free", avail, "wanted", need)
		}
		return
	}
	sp.makeBallast()
	if sp.full.Swap(false) {
		sp.s.opts.Log.Info("the disk has room again: mail is taken", "dir", sp.s.opts.Dir, "free", avail)
	}
}

// SetFreeFloor implements storage.Floored.
func (s *Store) SetFreeFloor(octets int64) {
	if s.space.wanted.Swap(octets) != octets {
		s.space.look()
	}
}

// floor is the free space that is wanted on a disk of total octets: the operator's
// floor, and what the turn of a memtable takes at once, a new WAL file and the
// flush of the old memtable.
func (sp *space) floor(total int64) int64 {
	turn := 5 * int64(sp.s.opts.MemTableSize) / 2
	switch f := sp.wanted.Load(); {
	case f > 0:
		return f + turn
	case f < 0:
		return 0
	}
	return min(max(total/20, 64<<20), 1<<30) + turn
}

// makeBallast reserves the blocks of the ballast.
func (sp *space) makeBallast() {
	if sp.ballast == "" || sp.hasBall.Load() {
		return
	}
	f, err := sp.base.Create(sp.ballast, vfs.WriteCategoryUnspecified)
	if err == nil {
		err = errors.Join(f.Preallocate(0, sp.s.opts.BallastSize), f.Sync(), f.Close())
	}
	if err != nil {
		sp.s.opts.Log.Warn("the ballast can't be made", "path", sp.ballast, "err", err)
		_ = sp.base.Remove(sp.ballast)
		return
	}
	sp.hasBall.Store(true)
}

// backgroundError logs failed flushes and compactions. Pebble tries them
// again at once and for ever: one line a second is enough.
func (sp *space) backgroundError(err error) {
	sp.look()
	sp.looking.Lock()
	now := time.Now()
	quiet := now.Sub(sp.lastErr) < time.Second
	if !quiet {
		sp.lastErr = now
	}
	sp.looking.Unlock()
	if !quiet {
		sp.s.opts.Log.Error("the store's background work failed and is tried again", "dir", sp.s.opts.Dir, "err", plainText(err))
	}
}
