package lsm

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/cockroachdb/pebble/v2"

	"postrider/storage"
)

// checkpointPrefix begins the names of the directories that Checkpoint makes. A start
// removes what a process left that was killed.
const checkpointPrefix = "checkpoint-"

// checkpoints counts the directories of this process.
var checkpoints atomic.Int64

// Checkpoint implements storage.Store. Tables and blob files, which never change once
// they are written, are linked; the logs and the small files are copied. Close waits for it.
// A directory that is not removed by then stays for its reader until the next start.
func (s *Store) Checkpoint() (dir string, remove func() error, err error) {
	defer s.recoverRead(&err)
	if err := s.guests.enter(); err != nil {
		return "", nil, err
	}
	defer s.guests.leave()
	if err := s.refusal(); err != nil {
		return "", nil, err
	}
	if s.space.full.Load() {
		return "", nil, s.space.err()
	}
	dir = fmt.Sprintf("%s%d", checkpointPrefix, checkpoints.Add(1))
	path := s.fs.PathJoin(s.opts.Dir, dir)
	remove = func() error {
		if s.guests.enter() != nil {
			return nil // the directory may belong to another process by now
		}
		defer s.guests.leave()
		return s.fs.RemoveAll(path)
	}
	if err := s.fs.RemoveAll(path); err != nil {
		return "", nil, err
	}
	if err := s.db.Checkpoint(path, pebble.WithFlushedWAL()); err != nil {
		_ = s.fs.RemoveAll(path)
		if errors.Is(err, syscall.ENOSPC) {
			return "", nil, s.space.err()
		}
		return "", nil, fmt.Errorf("%w: the files of the store can't be linked: %s", storage.ErrTemporary, plainText(err))
	}
	return dir, remove, nil
}

// FileKind is what a file in a data directory is.
type FileKind int

// The kinds of files.
const (
	Other     FileKind = iota // not of the store itself: keys, certificates, settings
	Immutable                 // tables and blob files: never changed, and their names never given again
	Changing                  // logs, manifest and small files of the store
	Transient                 // locks, sockets, the ballast, checkpoints, what was set aside
)

// KindOf tells what a file in a data directory is by its name.
func KindOf(name string) FileKind {
	base := filepath.Base(name)
	switch {
	case strings.HasPrefix(base, damagedPrefix), strings.HasPrefix(base, checkpointPrefix), base == LockFile, base == "ballast", base == RestoreFlag:
		return Transient
	case strings.HasSuffix(base, ".sst"), strings.HasSuffix(base, ".blob"):
		return Immutable
	case strings.HasSuffix(base, ".log"), strings.HasPrefix(base, "MANIFEST-"), strings.HasPrefix(base, "OPTIONS-"), strings.HasPrefix(base, "marker."), base == closedFile:
		return Changing
	}
	return Other
}
