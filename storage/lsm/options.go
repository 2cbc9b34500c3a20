package lsm

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// setDamagedOptionsAside looks at Pebble's OPTIONS files, in which it writes down its
// settings at each start. They are this program's settings, and nothing is read from them
// but whether they are the same; yet Pebble opens no store beside one that it can't read.
// So a damaged one is renamed, and Pebble writes another. The store's format has a marker
// file of its own, and comparer and merger are named in the MANIFEST and the tables: a
// store that this program can't read is refused all the same.
func (s *Store) setDamagedOptionsAside(o *pebble.Options) error {
	names, err := s.fs.List(s.opts.Dir)
	if err != nil {
		return nil // Pebble finds the same, and says it better
	}
	for _, name := range names {
		if !strings.HasPrefix(name, "OPTIONS-") {
			continue
		}
		path := s.fs.PathJoin(s.opts.Dir, name)
		text, err := readFile(s.fs, path)
		if err != nil {
			return fmt.Errorf("file %s of the store can't be read: %w", path, err)
		}
		fault := checkOptions(o, s.opts.Dir, string(text))
		if fault == nil {
			continue
		}
		aside := s.fs.PathJoin(s.opts.Dir, damagedPrefix+name)
		if err := s.fs.Rename(path, aside); err != nil {
			return fmt.Errorf("file %s of the store is damaged (%w) and can't be renamed: remove it, and start again: %w", path, fault, err)
		}
		s.opts.Log.Warn("a file of the store with its settings was damaged on the disk; it is written again, and nothing is lost; check the disk",
			"file", path, "renamed", aside, "err", plainText(fault))
	}
	return nil
}

// checkOptions is Pebble's check of an OPTIONS file. A panic of it is an error.
func checkOptions(o *pebble.Options, dir, text string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("reading it panicked: %v", p)
		}
	}()
	return o.CheckCompatibility(dir, text)
}

// maxSmallFile bounds what readFile reads: no file that it is for is near it.
const maxSmallFile = 1 << 20

func readFile(fsys vfs.FS, path string) ([]byte, error) {
	f, err := fsys.Open(path, vfs.SequentialReadsOption)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxSmallFile))
	return text, errors.Join(err, f.Close())
}
