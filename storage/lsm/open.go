package lsm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"runtime"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable/block"
	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/storage"
)

// Durability is what a Receipt promises.
type Durability string

const (
	// Commit: a Receipt comes after the sync. The default.
	Commit Durability = "commit"
	// None: a Receipt comes when the message is in memory; a crash may lose it.
	// For tests and measurements.
	None Durability = "none"
)

// Options are the settings of a store. The zero value of each field but Dir is a
// good one.
type Options struct {
	// Dir is the data directory. It is made, readable by its owner only, if it is
	// not there; its parent must be.
	Dir string
	// FS is the file system; nil: the machine's, with health checks. Every FS is
	// wrapped so that the ballast goes when it is full.
	FS vfs.FS
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Log gets what the operator should know; nil: slog.Default.
	Log *slog.Logger
	// CacheSize is the octets of the block cache; 0: 256 MiB.
	CacheSize int64
	// MaxOpenFiles is how many files of the store may be open at once; 0: 16,384, the
	// most that is of use. Fewer are opened more often.
	MaxOpenFiles int
	// MemTableSize is the octets of one memtable; 0: 24 MiB. Up to 8 of them are
	// in memory before writes stall, and all of them are read at start after a
	// crash. A WAL as large is kept for each.
	MemTableSize uint64
	// FreeFloor is the octets of free disk space below which the store takes no
	// mail; 0: 5 % of the disk, but at least 64 MiB and at most 1 GiB. Two and a half
	// memtables are added, the most that one step takes. Negative: no floor at all.
	FreeFloor int64
	// BallastSize is the octets of a file that is given up when the disk is full
	// all the same, so that what is under way can end; 0: 64 MiB; negative: none.
	BallastSize int64
	// Durability is what a Receipt promises; "": Commit.
	Durability Durability
	// Compression of bodies: "auto" (or ""): by size and load, see codec.go; or
	// "none". What is stored can be read under either.
	Compression string
	// Retention is what SetRetention sets.
	Retention storage.Retention
	// Failed is called once, on a goroutine of its own, when the store can write no
	// more and has to be opened again by another process; nil: no call.
	Failed func(error)

	pass func() time.Duration // see stamps; for tests
}

// FormatVersion is what this program writes in the X row "format". A store with
// a higher one is refused; one with a lower one is marked again. Format 1 had no mail
// queue, format 2 no aliases beside an account (A rows of kind 3) and names that were
// only in lower case (see foldDirectory), format 3 no I rows and no UIDLs in M rows, format 4
// no L rows, no access and no limit of messages in U rows, and no D rows of domain aliases and
// quotas, format 5 no deleted mail and no removed accounts (K, O, T, V and Y rows), which an
// older program would take for bodies and maildrops without an owner, and no Expire in U rows.
// All rows of earlier formats are good.
const FormatVersion = 6

// DefaultOpenFiles is Options.MaxOpenFiles when it is not set: there are many blob files.
// MinOpenFiles is its minimum; FilesBeside counts the other files that the store opens:
// logs, manifest, directories, and what flushes and compactions write.
const (
	DefaultOpenFiles = 16384
	MinOpenFiles     = 80
	FilesBeside      = 32
)

// Defaults of Options.
const (
	defaultCacheSize    = 256 << 20
	defaultMemTableSize = 24 << 20
	defaultBallastSize  = 64 << 20
)

// withDefaults fills in what was left out.
func (o Options) withDefaults() (Options, error) {
	if o.Dir == "" {
		return o, fmt.Errorf("%w: no data directory was named", storage.ErrInvalid)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.CacheSize == 0 {
		o.CacheSize = defaultCacheSize
	}
	if o.MaxOpenFiles == 0 {
		o.MaxOpenFiles = DefaultOpenFiles
	}
	if o.MemTableSize == 0 {
		o.MemTableSize = defaultMemTableSize
	}
	if o.BallastSize == 0 {
		o.BallastSize = defaultBallastSize
	}
	switch o.Durability {
	case "":
		o.Durability = Commit
	case Commit, None:
	default:
		return o, fmt.Errorf("%w: durability %q: expected %q or %q", storage.ErrInvalid, o.Durability, Commit, None)
	}
	switch o.Compression {
	case "", "auto", "none":
	default:
		return o, fmt.Errorf("%w: compression %q: expected \"auto\" or \"none\"", storage.ErrInvalid, o.Compression)
	}
	return o, nil
}

// OpenScratch opens a store in memory, whose mail is lost when it is closed.
func OpenScratch(log *slog.Logger) (*Store, error) {
	return Open(Options{FS: vfs.NewMem(), Dir: "scratch", Log: log, FreeFloor: -1, BallastSize: -1, CacheSize: 1 << 20, MemTableSize: 1 << 20})
}

// Open opens the store in opts.Dir, or makes a new one there. Its errors are for
// the operator: they say what is wrong with the directory and what to do.
func Open(opts Options) (_ *Store, err error) {
	opts, err = opts.withDefaults()
	if err != nil {
		return nil, err
	}
	s := newStore(opts)
	if err := s.makeDir(); err != nil {
		return nil, err
	}
	if err := s.openFiles(); err != nil {
		return nil, err
	}
	if err := s.load(); err != nil {
		_ = s.closeDB()
		_ = s.lock.Close()
		s.closeFS()
		return nil, err
	}
	s.start()
	return s, nil
}

// ErrLocked is wrapped by Open's error when a process has the store open, or restores one
// into its directory.
var ErrLocked = errors.New("already open: is a postrider running on it?")

// makeDir makes the data directory, for its owner only.
func (s *Store) makeDir() error {
	base := s.fs
	dir := s.opts.Dir
	info, err := base.Stat(dir)
	switch {
	case err == nil && !info.IsDir():
		return fmt.Errorf("data directory %s is a file: expected a directory", dir)
	case err == nil:
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("data directory %s: %w", dir, err)
	}
	if _, err := MakeDirs(base, dir); err != nil {
		return fmt.Errorf("data directory %s can't be made: %w", dir, err)
	}
	return nil
}

// openFiles takes the directory's lock and opens Pebble.
func (s *Store) openFiles() error {
	dir := s.opts.Dir
	lock, err := pebble.LockDirectory(dir, s.fs)
	if err != nil {
		s.closeFS()
		return lockError(s.fs, dir, err)
	}
	o := s.pebbleOptions()
	defer o.Cache.Unref()
	for _, inspect := range []func() error{s.inspectFiles, s.inspectClosed, s.inspectLastLog, func() error { return s.setDamagedOptionsAside(o) }} {
		if err := inspect(); err != nil {
			_ = lock.Close()
			s.closeFS()
			return err
		}
	}
	o.Lock = lock
	db, err := s.openOrFail(dir, o)
	if err == nil {
		s.db, s.lock = db, lock
		s.forgetClosed()
		return nil
	}
	if errors.Is(err, storage.ErrFailed) { // Pebble goes on with the files
		return fmt.Errorf("the store in %s can't be opened: %w", dir, err)
	}
	_ = lock.Close()
	s.closeFS()
	if isDamage(err) {
		return s.damageError(plainText(err))
	}
	return fmt.Errorf("the store in %s can't be opened: %w", dir, err)
}

// abandonAfter is how long Pebble has to return once the store has failed.
const abandonAfter = 2 * time.Second

// openOrFail opens Pebble, and gives up with ErrFailed when the store fails meanwhile: a
// MANIFEST that can't be written, on a disk with a few free octets, can't be mended in this
// process, and Pebble would try its flush again for ever. The goroutine stays, and with it
// the lock, until the process ends or replaces itself.
func (s *Store) openOrFail(dir string, o *pebble.Options) (*pebble.DB, error) {
	type result struct {
		db  *pebble.DB
		err error
	}
	c := make(chan result, 1)
	go func() {
		db, err := openDB(dir, o)
		c <- result{db, err}
	}()
	select {
	case r := <-c:
		return r.db, r.err
	case <-s.broken:
	}
	select {
	case r := <-c:
		return r.db, r.err
	case <-time.After(abandonAfter):
		return nil, fmt.Errorf("%w: %w", storage.ErrFailed, *s.failed.Load())
	}
}

// openDB opens Pebble, which panics when the disk fails at a bad moment.
func openDB(dir string, o *pebble.Options) (db *pebble.DB, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("a file can't be read: %v", p)
		}
	}()
	return pebble.Open(dir, o)
}

// lockError distinguishes a held lock from a directory that can't be used: there the error
// is that of a file. The lock file is not opened to find out: closing it would end the lock,
// if this process has it (fcntl(2)).
func lockError(fsys vfs.FS, dir string, err error) error {
	if file := (*fs.PathError)(nil); errors.As(err, &file) {
		return fmt.Errorf("data directory %s can't be written: %w: it must belong to the user that postrider runs as", dir, err)
	}
	if _, flag := fsys.Stat(fsys.PathJoin(dir, RestoreFlag)); flag == nil {
		return fmt.Errorf("the store in %s: %w (a backup is being restored into it: wait for its end)", dir, ErrLocked)
	}
	return fmt.Errorf("the store in %s: %w (%w)", dir, ErrLocked, err)
}

// pebbleOptions are Pebble's settings. What was measured for them is in doc.go.
func (s *Store) pebbleOptions() *pebble.Options {
	cores := runtime.GOMAXPROCS(0)
	o := &pebble.Options{
		FormatMajorVersion:          pebble.FormatValueSeparation, // the default is the oldest
		Comparer:                    pebble.DefaultComparer,
		Merger:                      merger,
		MemTableSize:                s.opts.MemTableSize, // below 32 MB malloc keeps the arenas
		MemTableStopWritesThreshold: 8,
		Cache:                       pebble.NewCache(s.opts.CacheSize),
		MaxOpenFiles:                s.opts.MaxOpenFiles,
		L0CompactionThreshold:       4,
		L0StopWritesThreshold:       24,
		LBaseMaxBytes:               64 << 20,
		BytesPerSync:                1 << 20,
		FlushDelayDeleteRange:       5 * time.Second,
		CompactionConcurrencyRange:  func() (int, int) { return 1, max(2, cores/4) },
		TargetByteDeletionRate:      128 << 20,
		FS:                          s.fs,
		Logger:                      pebbleLog{s},
		EventListener:               s.events(),
	}
	o.TargetFileSizes[0] = 16 << 20 // an eighth of the blob files
	for i := range o.Levels {
		o.Levels[i].BlockSize = 32 << 10
		o.Levels[i].IndexBlockSize = 256 << 10
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	o.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return compression })
	o.Experimental.ValueSeparationPolicy = func() pebble.ValueSeparationPolicy {
		return pebble.ValueSeparationPolicy{
			Enabled:               true,
			MinimumSize:           1024,
			MaxBlobReferenceDepth: 50,
			RewriteMinimumAge:     5 * time.Minute, // most POP3 mail dies before
			TargetGarbageRatio:    0.2,
		}
	}
	return o
}

// compression is Pebble's own: for all but bodies, which packer has been at.
var compression = func() pebble.DBCompressionSettings {
	profile := *block.FastestCompression
	profile.ValueBlocks = block.NoCompression.ValueBlocks
	return pebble.UniformDBCompressionSettings(&profile)
}()

// load is loadRows for a disk that may fail under it.
func (s *Store) load() (err error) {
	defer func() {
		if errors.Is(err, storage.ErrCorrupt) {
			err = s.damageError(strings.ReplaceAll(err.Error(), storage.ErrCorrupt.Error()+": ", ""))
		}
	}()
	defer s.recoverRead(&err)
	if err := s.loadRows(); err != nil {
		return err
	}
	return s.refusal()
}

// loadRows reads what is kept in memory, ends what a crash cut off, and marks a new
// store as one. It runs before there is a committer.
func (s *Store) loadRows() error {
	fresh, err := s.checkFormat()
	if err != nil {
		return err
	}
	bound, err := s.number(keyIDBound)
	if err != nil {
		return err
	}
	next, err := s.number(keyNextAccount)
	if err != nil {
		return err
	}
	stamp, err := s.number(keyStampBound)
	if err != nil {
		return err
	}
	s.ids.last.Store(max(bound, 1))
	s.committer.idBound = storage.MessageID(bound)
	s.nextAccount = storage.AccountID(max(next, 1))
	if err := s.loadQueueTotal(); err != nil {
		return err
	}
	if err := s.loadKept(); err != nil {
		return err
	}
	if err := s.foldDirectory(); err != nil {
		return err
	}
	if err := s.loadDirectory(); err != nil {
		return err
	}
	s.beginStamps(stamp, bound)
	if fresh {
		return nil
	}
	return s.sweep()
}

// checkFormat refuses a store of a later program, and marks a new one, or one of an
// earlier program, as one of this.
func (s *Store) checkFormat() (fresh bool, err error) {
	v, err := s.number(keyFormat)
	switch {
	case err != nil:
		return false, err
	case v > FormatVersion:
		return false, fmt.Errorf("the store in %s has format %d, but this program knows formats up to %d: run the program that wrote it, or a later one", s.opts.Dir, v, FormatVersion)
	case v == FormatVersion:
		return false, nil
	}
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], FormatVersion)
	return v == 0, s.db.Set(keyFormat, b[:], pebble.Sync)
}

// number reads a number under X; 0 if it is not there.
func (s *Store) number(key []byte) (uint64, error) {
	v, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, readError(err)
	}
	defer closer.Close()
	if len(v) != 8 {
		return 0, fmt.Errorf("%w: row %s has %d octets", storage.ErrCorrupt, key, len(v))
	}
	return binary.BigEndian.Uint64(v), nil
}

// slowDisk is how long an operation of the disk may take.
const slowDisk = 5 * time.Second

// machineFS is the file system of the machine, watched for slowness.
func (s *Store) machineFS(log *slog.Logger) (vfs.FS, func()) {
	fsys, closer := vfs.WithDiskHealthChecks(vfs.Default, slowDisk, nil, func(i vfs.DiskSlowInfo) {
		s.slow.Add(1)
		log.Warn("the disk is slow", "info", i.String())
	})
	return fsys, func() { _ = closer.Close() }
}
