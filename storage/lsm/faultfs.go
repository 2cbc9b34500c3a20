package lsm

import (
	"errors"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/storage"
)

// faultFS is between Pebble and the disk. When a write fails that Pebble can't do
// without (the WAL, the MANIFEST, a marker, a directory, and in v2.1.7 a
// blob file too), Pebble panics, and partly in ways that end the process at once
// ("unlock of unlocked mutex"), with every session in it. So the error does not
// reach Pebble: the store is marked as failed, which answers all that is in
// flight, and the goroutine that met the error stops for good. Errors of table
// files pass: Pebble tries the flush or compaction again.
//
// A full disk is another matter. Flushes and compactions that meet it wait until
// there is room, instead of being tried again thousands of times a second.
//
// So is a file that can't be opened because the process, or the machine, has too many
// open: nothing was lost by it, and some are closed soon. Opening a file for writing
// waits as long as it takes; a reader waits a second, then it gets the error.
type faultFS struct {
	vfs.FS
	fail    func(error)
	full    func()          // called when the disk is full
	short   func(error)     // called when no more files can be opened
	closing <-chan struct{} // ends the wait for room
	broken  <-chan struct{} // closed when the store has failed
	armed   atomic.Bool     // not while the store is being opened: then errors are returned
}

// fullRetry is how often a flush looks whether there is room again.
const fullRetry = 200 * time.Millisecond

// stop marks the store as failed and never returns, if there is an error.
func (fs *faultFS) stop(err error) {
	if err == nil || !fs.armed.Load() {
		return
	}
	fs.fail(err)
	select {}
}

// kind is what a file is to Pebble.
type kind uint8

const (
	other kind = iota // Pebble copes with its errors
	vital             // Pebble can't do without it
	table             // a table file: waits for room
	blob              // a blob file: waits for room, and is vital
)

func kindOf(name string) kind {
	base := filepath.Base(name)
	switch {
	case strings.HasPrefix(filepath.Base(filepath.Dir(name)), checkpointPrefix), strings.HasPrefix(base, checkpointPrefix):
		return other // a checkpoint that fails is no fault of the store
	case strings.HasSuffix(base, ".log"), strings.HasPrefix(base, "MANIFEST"), strings.HasPrefix(base, "marker."):
		return vital
	case strings.HasSuffix(base, ".sst"):
		return table
	case strings.HasSuffix(base, ".blob"):
		return blob
	}
	return other
}

// isAbandoned reports whether the store has failed while it was opened: Pebble then makes
// table after table, each in vain, and would fill the disk.
func (fs *faultFS) isAbandoned() bool {
	select {
	case <-fs.broken:
		return !fs.armed.Load()
	default:
		return false
	}
}

// waits waits for room, and reports whether to try a write again.
func (fs *faultFS) waits() bool {
	if !fs.armed.Load() {
		return false
	}
	fs.full()
	select {
	case <-fs.closing:
		return false
	case <-time.After(fullRetry):
		return true
	}
}

// lacksFiles reports whether an error is EMFILE or ENFILE: too many open files.
func lacksFiles(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// filesRetry is the pause before a file is opened again that could not be opened.
const filesRetry = 100 * time.Millisecond

// tryOpen repeats open while there are too many open files, so many times; 0: always.
func (fs *faultFS) tryOpen(times int, open func() error) error {
	for n := 1; ; n++ {
		err := open()
		if err == nil || !lacksFiles(err) || !fs.armed.Load() || n == times {
			return err
		}
		fs.short(err)
		select {
		case <-fs.closing:
			return err
		case <-time.After(filesRetry):
		}
	}
}

// readTimes is how often a reader tries.
const readTimes = 10

// Open implements vfs.FS.
func (fs *faultFS) Open(name string, o ...vfs.OpenOption) (f vfs.File, err error) {
	err = fs.tryOpen(readTimes, func() error { f, err = fs.FS.Open(name, o...); return err })
	return f, err
}

// Unwrap implements vfs.FS.
func (fs *faultFS) Unwrap() vfs.FS { return fs.FS }

// Create implements vfs.FS.
func (fs *faultFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	k := kindOf(name)
	if k != other && fs.isAbandoned() {
		time.Sleep(fullRetry)
		return nil, storage.ErrFailed
	}
	for {
		var f vfs.File
		err := fs.tryOpen(0, func() (err error) { f, err = fs.FS.Create(name, c); return err })
		if err == nil {
			return fs.file(k, f), nil
		}
		if err = fs.judge(k, err); err != nil {
			return nil, err
		}
	}
}

// ReuseForWrite implements vfs.FS. Only WAL files are reused.
func (fs *faultFS) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (f vfs.File, err error) {
	err = fs.tryOpen(0, func() error { f, err = fs.FS.ReuseForWrite(old, name, c); return err })
	if err != nil {
		fs.stop(err)
		return nil, err
	}
	return fs.file(kindOf(name), f), nil
}

// OpenDir implements vfs.FS.
func (fs *faultFS) OpenDir(name string) (f vfs.File, err error) {
	err = fs.tryOpen(0, func() error { f, err = fs.FS.OpenDir(name); return err })
	if err != nil {
		return nil, err
	}
	if kindOf(name) == other && strings.HasPrefix(filepath.Base(name), checkpointPrefix) {
		return f, nil
	}
	return fs.file(vital, f), nil
}

func (fs *faultFS) file(k kind, f vfs.File) vfs.File {
	if k == other {
		return f
	}
	return &faultFile{f, fs, k}
}

// judge returns nil when the write is to be tried again, and the error when
// Pebble may have it. A store that is closed does not wait for room: its WAL has
// what the flush did not write.
func (fs *faultFS) judge(k kind, err error) error {
	full := (k == table || k == blob) && errors.Is(err, syscall.ENOSPC)
	if full && fs.waits() {
		return nil
	}
	if full || k == vital || k == blob {
		fs.stop(err)
	}
	return err
}

// faultFile is a file with judged errors.
type faultFile struct {
	vfs.File
	fs   *faultFS
	kind kind
}

// try repeats f while judge allows it.
func (f *faultFile) try(do func() error) error {
	for {
		err := do()
		if err == nil {
			return nil
		}
		if err = f.fs.judge(f.kind, err); err != nil {
			return err
		}
	}
}

func (f *faultFile) Write(p []byte) (n int, err error) {
	err = f.try(func() error {
		m, err := f.File.Write(p[n:])
		n += m
		return err
	})
	return n, err
}

func (f *faultFile) WriteAt(p []byte, at int64) (n int, err error) {
	err = f.try(func() error {
		m, err := f.File.WriteAt(p[n:], at+int64(n))
		n += m
		return err
	})
	return n, err
}

func (f *faultFile) SyncTo(length int64) (full bool, err error) {
	err = f.try(func() error {
		full, err = f.File.SyncTo(length)
		return err
	})
	return full, err
}

func (f *faultFile) Preallocate(at, length int64) error {
	return f.try(func() error { return f.File.Preallocate(at, length) })
}

func (f *faultFile) Sync() error     { return f.once(f.File.Sync()) }
func (f *faultFile) SyncData() error { return f.once(f.File.SyncData()) }
func (f *faultFile) Close() error    { return f.once(f.File.Close()) }

// once judges an error of something that must not be tried again: after a failed
// sync the system may have dropped what was not written.
func (f *faultFile) once(err error) error {
	if err != nil && f.kind != table {
		f.fs.stop(err)
	}
	return err
}
