package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/storage"
	"postrider/storage/lsm"
)

// Verify reads the files of a backup and compares their sizes and checksums. A file that
// was linked has no checksum in the list: checked counts the others.
func Verify(ctx context.Context, fsys vfs.FS, l *List) (checked int, err error) {
	fsys = machine(fsys)
	buf := make([]byte, 1<<20)
	for _, f := range l.Files {
		path := fsys.PathJoin(l.Dir, f.Name)
		info, err := fsys.Stat(path)
		if err != nil {
			return checked, fmt.Errorf("%w: %s is missing: %w", ErrNotWhole, path, err)
		}
		if info.Size() != f.Size {
			return checked, fmt.Errorf("%w: %s has %d octets, and had %d: use an older backup", ErrNotWhole, path, info.Size(), f.Size)
		}
		if f.SHA256 == "" {
			continue
		}
		sum, err := sumOf(ctx, fsys, path, buf)
		if err != nil {
			return checked, err
		}
		if sum != f.SHA256 {
			return checked, damagedFile(path)
		}
		checked++
	}
	return checked, nil
}

func damagedFile(path string) error {
	return fmt.Errorf("%w: %s is damaged: its checksum is not the one in the list: use an older backup", ErrNotWhole, path)
}

func sumOf(ctx context.Context, fsys vfs.FS, path string, buf []byte) (string, error) {
	f, err := fsys.Open(path, vfs.SequentialReadsOption)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	for {
		n, err := f.Read(buf)
		sum.Write(buf[:n])
		if errors.Is(err, io.EOF) {
			return hex.EncodeToString(sum.Sum(nil)), nil
		}
		if err = errors.Join(err, ctx.Err()); err != nil {
			return "", err
		}
	}
}

// dataPrefix begins the names of the files of the data directory.
const dataPrefix = "data/"

// restoring is one run of Restore.
type restoring struct {
	ctx    context.Context
	fs     vfs.FS
	list   *List
	made   func(path string) error
	dirs   map[string]bool // made, to be synced
	buf    []byte
	result Result
}

// Restore copies the data directory of a backup to data, which must be empty or not be
// there, and calls made for each directory and file, when it is complete. It has the lock of
// the data directory meanwhile, so that no server and no other restore works there.
func Restore(ctx context.Context, fsys vfs.FS, l *List, data string, made func(path string) error) (r Result, err error) {
	t := &restoring{ctx: ctx, fs: machine(fsys), list: l, made: made, dirs: map[string]bool{data: true}, buf: make([]byte, 1<<20)}
	if _, err := lsm.MakeDirs(t.fs, data); err != nil {
		return r, err
	}
	lock, err := lsm.Lock(t.fs, data)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if err := emptyData(t.fs, data); err != nil {
		return r, err
	}
	flag := t.fs.PathJoin(data, lsm.RestoreFlag)
	f, err := t.fs.Create(flag, vfs.WriteCategoryUnspecified)
	if err != nil {
		return r, err
	}
	if err := errors.Join(f.Sync(), f.Close(), lsm.SyncDir(t.fs, data), made(data), made(t.fs.PathJoin(data, lsm.LockFile))); err != nil {
		return r, err
	}
	for _, f := range l.Files {
		if name, ok := strings.CutPrefix(f.Name, dataPrefix); ok {
			if err := t.file(f, t.fs.PathJoin(data, name)); err != nil {
				return t.result, err
			}
		}
	}
	for dir := range t.dirs {
		if err := lsm.SyncDir(t.fs, dir); err != nil {
			return t.result, err
		}
	}
	t.result.Dir, t.result.Octets = l.Dir, t.result.Copied
	return t.result, errors.Join(t.fs.Remove(flag), lsm.SyncDir(t.fs, data))
}

// mkdir makes a directory and the parents that it lacks.
func (t *restoring) mkdir(dir string) error {
	if t.dirs[dir] {
		return nil
	}
	t.dirs[dir] = true
	fresh, err := lsm.MakeDirs(t.fs, dir)
	for _, d := range fresh {
		err = errors.Join(err, t.made(d))
	}
	return err
}

// file copies a file of the backup and compares it with the list.
func (t *restoring) file(f File, target string) error {
	if err := t.mkdir(t.fs.PathDir(target)); err != nil {
		return err
	}
	sum := sha256.New()
	source := t.fs.PathJoin(t.list.Dir, f.Name)
	n, err := copyFile(t.ctx, t.fs, source, target, sum, t.buf)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %s is missing", ErrNotWhole, source)
	case err != nil:
		return err
	case n != f.Size:
		return fmt.Errorf("%w: %s has %d octets, and had %d: use an older backup", ErrNotWhole, source, n, f.Size)
	case f.SHA256 != "" && f.SHA256 != hex.EncodeToString(sum.Sum(nil)):
		return damagedFile(source)
	}
	if err := t.made(target); err != nil {
		return err
	}
	t.result.Files++
	t.result.Copied += n
	return nil
}

// emptyData makes sure that nothing is in the data directory but the lock, which the caller
// has. What a restore that was cut off has left is deleted.
func emptyData(fsys vfs.FS, data string) error {
	names, err := fsys.List(data)
	if err != nil {
		return err
	}
	if names = slices.DeleteFunc(names, func(n string) bool { return n == lsm.LockFile }); len(names) == 0 {
		return nil
	}
	if _, err := fsys.Stat(fsys.PathJoin(data, lsm.RestoreFlag)); err != nil {
		return fmt.Errorf("%w: the data directory %s is not empty, and nothing in it is overwritten: move it away (mv %[2]s %[2]s.old), or restore into another one with --data", storage.ErrExists, data)
	}
	for _, n := range names {
		if n == lsm.RestoreFlag {
			continue
		}
		if err := fsys.RemoveAll(fsys.PathJoin(data, n)); err != nil {
			return err
		}
	}
	return nil
}
