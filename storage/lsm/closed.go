package lsm

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A log that was cut at its end looks like one that a crash has left. A store that is
// closed in order writes down how long its logs are; the next start compares, and sets the
// note aside before anything is written. After a crash there is no note.

// closedFile is the note: a line for each log, and one that says that all are there.
const closedFile = "logs-at-close"

const closedEnd = "end"

// comparedFile is the note once it was compared. It is deleted when the store is open: its
// few octets, free on a disk that is full, would let Pebble begin what it can't end.
const comparedFile = closedFile + "-compared"

// noteLogs writes the note. The store is closed, and its lock is still held. An error of
// the disk is none of the store's any more, so that faultFS is passed by.
func (s *Store) noteLogs() error {
	fsys := s.fs.FS
	names, err := fsys.List(s.opts.Dir)
	if err != nil {
		return err
	}
	slices.Sort(names)
	var text strings.Builder
	for _, n := range names {
		if !isLog(n) {
			continue
		}
		info, err := fsys.Stat(fsys.PathJoin(s.opts.Dir, n))
		if err != nil {
			return err
		}
		fmt.Fprintf(&text, "%s %d\n", n, info.Size())
	}
	text.WriteString(closedEnd + "\n")
	f, err := fsys.Create(fsys.PathJoin(s.opts.Dir, closedFile), vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write([]byte(text.String()))
	return errors.Join(err, f.Sync(), f.Close(), SyncDir(fsys, s.opts.Dir))
}

// isLog reports whether a name is that of a log.
func isLog(name string) bool {
	return strings.HasSuffix(name, ".log") && !strings.HasPrefix(name, damagedPrefix)
}

// cutLog is a log that is shorter than it was when the store was closed.
type cutLog struct {
	name     string
	had, has int64
	missing  bool
}

func (c cutLog) String() string {
	if c.missing {
		return fmt.Sprintf("it is missing; it had %d octets when the store was closed", c.had)
	}
	return fmt.Sprintf("it is cut: it has %d octets, and had %d when the store was closed", c.has, c.had)
}

// cutLogs compares the logs with the note, if there is one that is whole.
func cutLogs(fsys vfs.FS, dir string) (cut []cutLog) {
	text, err := readFile(fsys, fsys.PathJoin(dir, closedFile))
	if err != nil {
		return nil
	}
	lines := strings.Split(string(text), "\n")
	if len(lines) < 2 || lines[len(lines)-2] != closedEnd {
		return nil
	}
	for _, line := range lines[:len(lines)-2] {
		c := cutLog{}
		if n, err := fmt.Sscanf(line, "%s %d", &c.name, &c.had); n != 2 || err != nil || !isLog(c.name) || strings.ContainsAny(c.name, `/\`) {
			return nil
		}
		info, err := fsys.Stat(fsys.PathJoin(dir, c.name))
		if c.missing = err != nil; !c.missing {
			c.has = info.Size()
		}
		if c.has < c.had {
			cut = append(cut, c)
		}
	}
	return cut
}

// inspectClosed tells of logs that were cut or lost since the store was closed, keeps what
// is left of them for check to report, and sets the note aside.
func (s *Store) inspectClosed() error {
	note := s.fs.PathJoin(s.opts.Dir, closedFile)
	for _, c := range cutLogs(s.fs, s.opts.Dir) {
		log, aside := s.fs.PathJoin(s.opts.Dir, c.name), s.fs.PathJoin(s.opts.Dir, damagedPrefix+c.name)
		err := s.setAside(log, aside, c.missing)
		s.opts.Log.Error("a log of the store lost its end since the store was closed: acknowledged messages are lost; check reports it until the copy is deleted",
			"log", log, "had", c.had, "has", c.has, "copy", aside, "err", err)
	}
	if _, err := s.fs.Stat(note); err != nil {
		return nil
	}
	if err := errors.Join(s.fs.Rename(note, s.fs.PathJoin(s.opts.Dir, comparedFile)), SyncDir(s.fs, s.opts.Dir)); err != nil {
		return fmt.Errorf("file %s can't be renamed: %w", note, err)
	}
	return nil
}

// forgetClosed deletes the note that was compared.
func (s *Store) forgetClosed() { _ = s.fs.Remove(s.fs.PathJoin(s.opts.Dir, comparedFile)) }

// setAside copies a log, or makes an empty file in the place of one that is missing.
func (s *Store) setAside(log, aside string, missing bool) error {
	if !missing {
		return errors.Join(vfs.Copy(s.fs, log, aside), SyncDir(s.fs, s.opts.Dir))
	}
	f, err := s.fs.Create(aside, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close(), SyncDir(s.fs, s.opts.Dir))
}
