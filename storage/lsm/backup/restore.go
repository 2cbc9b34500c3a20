package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
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

// Restore copies the data directory of a backup to data, which must be empty or not be
// there, and calls made for each directory and file, when it is complete.
func Restore(ctx context.Context, fsys vfs.FS, l *List, data string, made func(path string) error) (r Result, err error) {
	fsys = machine(fsys)
	if err := emptyData(fsys, data); err != nil {
		return r, err
	}
	if err := fsys.MkdirAll(data, 0o700); err != nil {
		return r, err
	}
	flag := fsys.PathJoin(data, lsm.RestoreFlag)
	f, err := fsys.Create(flag, vfs.WriteCategoryUnspecified)
	if err != nil {
		return r, err
	}
	if err := errors.Join(f.Sync(), f.Close(), syncDir(fsys, data), made(data)); err != nil {
		return r, err
	}
	dirs, buf := map[string]bool{data: true}, make([]byte, 1<<20)
	for _, f := range l.Files {
		name, ok := strings.CutPrefix(f.Name, dataPrefix)
		if !ok {
			continue
		}
		target := fsys.PathJoin(data, name)
		if dir := fsys.PathDir(target); !dirs[dir] {
			if err := errors.Join(fsys.MkdirAll(dir, 0o700), made(dir)); err != nil {
				return r, err
			}
			dirs[dir] = true
		}
		sum := sha256.New()
		source := fsys.PathJoin(l.Dir, f.Name)
		n, err := copyFile(ctx, fsys, source, target, sum, buf)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return r, fmt.Errorf("%w: %s is missing", ErrNotWhole, source)
		case err != nil:
			return r, err
		case n != f.Size:
			return r, fmt.Errorf("%w: %s has %d octets, and had %d: use an older backup", ErrNotWhole, source, n, f.Size)
		case f.SHA256 != "" && f.SHA256 != hex.EncodeToString(sum.Sum(nil)):
			return r, damagedFile(source)
		}
		if err := made(target); err != nil {
			return r, err
		}
		r.Files++
		r.Copied += n
	}
	for dir := range dirs {
		if err := syncDir(fsys, dir); err != nil {
			return r, err
		}
	}
	r.Dir, r.Octets = l.Dir, r.Copied
	return r, errors.Join(fsys.Remove(flag), syncDir(fsys, data))
}

// emptyData makes sure that nothing is in the data directory. What a restore that was cut
// off has left is deleted.
func emptyData(fsys vfs.FS, data string) error {
	names, err := fsys.List(data)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(names) == 0 {
		return nil
	}
	if err != nil {
		return err
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
