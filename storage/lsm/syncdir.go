package lsm

import (
	"errors"
	"io/fs"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// SyncDir makes what was made, renamed and removed in a directory durable.
func SyncDir(fsys vfs.FS, dir string) error {
	d, err := fsys.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// MakeDirs makes a directory and the parents that it lacks, for their owner only, and syncs
// the parent of each: also of one that is there, since the process that made it may not have
// come to its sync. It returns the directories that it made, the highest first.
func MakeDirs(fsys vfs.FS, dir string) (made []string, err error) {
	parents := []string{fsys.PathDir(dir)}
	for at := dir; ; at = fsys.PathDir(at) {
		info, err := fsys.Stat(at)
		if err == nil && !info.IsDir() {
			return nil, &fs.PathError{Op: "mkdir", Path: at, Err: errors.New("it is a file: expected a directory")}
		}
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		up := fsys.PathDir(at)
		made, parents = append([]string{at}, made...), append(parents, up)
		if up == at {
			break
		}
	}
	if len(made) > 0 {
		if err := fsys.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
	}
	for _, parent := range parents {
		if err := SyncDir(fsys, parent); err != nil {
			return made, err
		}
	}
	return made, nil
}
