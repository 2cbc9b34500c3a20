package lsm

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/storage"
	"postrider/storage/lsm/files"
)

// advice is what an operator can do about a damaged store.
const advice = `"postrider check" lists what is lost, "postrider restore" brings a backup back, "postrider salvage" gets out all that can be read`

// maxPlain bounds the text of an error from the engine.
const maxPlain = 400

// plainText is an error of Pebble in words for an operator, and not too long for a log.
func plainText(err error) string { return cut(files.PlainText(err), maxPlain) }

// isDamage reports whether an error of Pebble means that files of the store are not what
// was written: all but the errors of the system.
func isDamage(err error) bool {
	if errors.Is(err, storage.ErrCorrupt) || pebble.IsCorruptionError(err) || errors.Is(err, fs.ErrNotExist) {
		return true
	}
	var errno syscall.Errno
	return !errors.As(err, &errno) && !strings.Contains(err.Error(), "format major version")
}

// fileNumber is how Pebble names a table or a blob file.
var fileNumber = regexp.MustCompile(`file (\d{6,}):`)

// damageError is the error of a store that can't be opened because of its files.
func (s *Store) damageError(text string) error {
	dir := s.opts.Dir
	text = fileNumber.ReplaceAllStringFunc(text, func(found string) string {
		number := fileNumber.FindStringSubmatch(found)[1]
		for _, ext := range []string{".sst", ".blob"} {
			if _, err := s.fs.Stat(s.fs.PathJoin(dir, number+ext)); err == nil {
				return "file " + number + ext + ":"
			}
		}
		return found
	})
	return fmt.Errorf("%w: the store in %s is damaged: %s: %s", storage.ErrCorrupt, dir, text, advice)
}

// Lock takes the lock of the data directory of a store that is not open. Its error wraps
// ErrLocked when a process has the store open. fsys nil: the machine's.
func Lock(fsys vfs.FS, dir string) (*pebble.Lock, error) {
	if fsys == nil {
		fsys = vfs.Default
	}
	info, err := fsys.Stat(dir)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("data directory %s is a file: expected a directory", dir)
	}
	if err != nil {
		return nil, err
	}
	lock, err := pebble.LockDirectory(dir, fsys)
	if err != nil {
		return nil, lockError(fsys, dir, err)
	}
	return lock, nil
}

// LockFile is the lock of a data directory.
const LockFile = "LOCK"

// RestoreFlag is a file in a data directory while a backup is restored into it.
const RestoreFlag = "restore-unfinished"

// inspectFiles finds what Pebble would not: where there is no marker of a manifest it
// makes a new store, and deletes the files of the one that was there; a missing log is
// none to it.
func (s *Store) inspectFiles() error {
	dir := s.opts.Dir
	names, err := s.fs.List(dir)
	if err != nil {
		return nil // Pebble finds the same error
	}
	there, tables := make(map[string]bool, len(names)), ""
	for _, n := range names {
		there[n] = true
		if strings.HasSuffix(n, ".sst") || strings.HasSuffix(n, ".blob") || isLog(n) {
			tables = n
		}
		if strings.HasPrefix(n, checkpointPrefix) {
			_ = s.fs.RemoveAll(s.fs.PathJoin(dir, n)) // a process that was killed left it
		}
	}
	manifest := files.ManifestOf(names)
	switch {
	case there[RestoreFlag]:
		return fmt.Errorf("%w: a restore into %s was cut off: run \"postrider restore\" again", storage.ErrCorrupt, dir)
	case tables == "":
		return nil
	case manifest == "":
		return s.damageError("the file marker.manifest is missing, and " + tables + " is there")
	case !there[manifest]:
		return s.damageError("the file " + manifest + " is missing")
	}
	s.inspectLogs(manifest, names)
	return nil
}

// inspectLogs looks for the logs of what is not in tables yet. If they are missing, an
// empty file in their place has check report it.
func (s *Store) inspectLogs(manifest string, names []string) {
	number, lacks := files.LacksLog(s.fs, s.fs.PathJoin(s.opts.Dir, manifest), names)
	if !lacks {
		return
	}
	name := fmt.Sprintf("%06d.log", number)
	aside := s.fs.PathJoin(s.opts.Dir, damagedPrefix+name)
	err := s.setAside("", aside, true)
	s.opts.Log.Error("a log of the store is missing: acknowledged messages may be lost; check reports it until the file that takes its place is deleted",
		"log", name, "file", aside, "err", err)
}
