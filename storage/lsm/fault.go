package lsm

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"postrider/storage"
)

// fail marks the store as one that can't write any more. After a failed write or
// sync of the WAL it is unknown what is on the disk after it, and Pebble can't go
// on: everything in flight is answered ErrFailed, reads go on as far as they can,
// and the process has to open the store again.
func (s *Store) fail(err error) {
	if errors.Is(err, storage.ErrFailed) || !s.failed.CompareAndSwap(nil, &err) {
		return
	}
	s.opts.Log.Error("the store can write no more: no mail is taken until it is opened again; nothing that was acknowledged is lost", "dir", s.opts.Dir, "err", plainText(err))
	close(s.broken)
	s.durable.giveUp()
	if s.opts.Failed != nil {
		go s.opts.Failed(err)
	}
}

// pebbleLog is the log that Pebble writes to.
type pebbleLog struct{ s *Store }

// Infof drops Pebble's messages about its normal work.
func (l pebbleLog) Infof(string, ...any) {}

func (l pebbleLog) Errorf(format string, args ...any) {
	l.s.opts.Log.Warn(plainText(fmt.Errorf(format, args...)), "dir", l.s.opts.Dir)
}

// Fatalf is called by Pebble where it can't go on; by default the process would
// end there, with what others do in it.
func (l pebbleLog) Fatalf(format string, args ...any) {
	l.s.fail(fmt.Errorf(format, args...))
}

// events are the parts of Pebble's work that we act on.
func (s *Store) events() *pebble.EventListener {
	return &pebble.EventListener{
		BackgroundError: s.space.backgroundError,
		// The default ends the process. The reader gets ErrCorrupt for its message.
		DataCorruption: func(i pebble.DataCorruptionInfo) {
			s.opts.Log.Error("a file of the store is damaged: what is in it can't be read; "+advice, "path", i.Path, "err", plainText(i.Details))
		},
		WriteStallBegin: func(i pebble.WriteStallBeginInfo) {
			s.stalled.Store(true)
			s.stalls.begin(time.Now())
			s.opts.Log.Warn("the store holds back writes until the disk has caught up", "reason", i.Reason)
		},
		WriteStallEnd: func() {
			s.stalled.Store(false)
			s.stalls.end(time.Now())
		},
		DiskSlow: func(i pebble.DiskSlowInfo) {
			s.slow.Add(1)
			s.opts.Log.Warn("the disk is slow", "info", i.String())
		},
	}
}

// readError gives an error of Pebble's reading side its kind.
func readError(err error) error {
	switch {
	case err == nil, errors.Is(err, storage.ErrCorrupt), errors.Is(err, storage.ErrNotFound):
		return err
	case pebble.IsCorruptionError(err), errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %s", storage.ErrCorrupt, plainText(err))
	}
	return fmt.Errorf("%w: %w", storage.ErrTemporary, err)
}

// closeRow closes a row that was read, and gives the reason if it could not be: Get of v2.1.7
// makes an empty value of one in a blob file that can't be read, and tells only here. Otherwise
// it is err.
func closeRow(row io.Closer, err error) error {
	if why := row.Close(); why != nil {
		return readError(why)
	}
	return err
}

// unreadable reports whether an error of a read means that a row is damaged: it won't be read
// later either.
func unreadable(err error) bool { return errors.Is(readError(err), storage.ErrCorrupt) }

// recoverRead turns a panic under a read into ErrCorrupt: v2.1.7 panics on a
// missing or damaged blob file.
func (s *Store) recoverRead(err *error) {
	if p := recover(); p != nil {
		if closed, ok := p.(error); ok && errors.Is(closed, pebble.ErrClosed) && s.closed.Load() {
			*err = storage.ErrClosed // the caller came late
			return
		}
		s.readPanicked.Store(true)
		*err = fmt.Errorf("%w: a file of the store can't be read: %v", storage.ErrCorrupt, p)
	}
}
