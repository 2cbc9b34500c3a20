package transfer

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"postrider/engine/host/disk"
)

// output is the files of an export: one file, or a folder of them, under a
// temporary name until commit.
type output struct {
	dir, final string
	overwrite  bool
	temp       string // file or folder
	folder     bool
	file       *os.File // that is being written
	w          *bufio.Writer
}

// create begins the output dir/name.
func create(dir, name string, o Options) (*output, error) {
	out := &output{dir: dir, final: filepath.Join(dir, name), overwrite: o.Overwrite, w: bufio.NewWriterSize(nil, 256<<10)}
	if err := disk.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := out.vacant(); err != nil {
		return nil, err
	}
	var err error
	switch o.Format {
	case EML:
		err = out.makeFolder()
	case Maildir:
		err = out.makeFolder("tmp", "new", "cur")
	default:
		if out.file, err = os.CreateTemp(dir, ".export-*"); err == nil {
			out.temp = out.file.Name()
			out.w.Reset(out.file)
		}
	}
	if err != nil {
		out.abandon()
		return nil, err
	}
	return out, nil
}

func (out *output) makeFolder(inside ...string) (err error) {
	out.folder = true
	if out.temp, err = os.MkdirTemp(out.dir, ".export-*"); err != nil {
		return err
	}
	for _, name := range inside {
		name = filepath.Join(out.temp, name)
		if err := os.Mkdir(name, 0o700); err != nil {
			return err
		}
	}
	return nil
}

// vacant wants nothing under the final name, unless that may be replaced.
func (out *output) vacant() error {
	_, err := os.Lstat(out.final)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !out.overwrite:
		return fmt.Errorf("%s: %w; move it away, choose another folder, or allow it to be replaced (--overwrite)", out.final, os.ErrExist)
	}
	return nil
}

// Write writes to the file that is open.
func (out *output) Write(p []byte) (int, error) { return out.w.Write(p) }

// next begins a file in the folder; the name comes from us and is safe.
func (out *output) next(name string) error {
	f, err := os.OpenFile(filepath.Join(out.temp, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	out.file = f
	out.w.Reset(f)
	return nil
}

// finish ends the file and gives it its time. It is synced by commit.
func (out *output) finish(at time.Time) error {
	name := out.file.Name()
	if err := out.closeFile(false); err != nil {
		return err
	}
	return os.Chtimes(name, at, at)
}

func (out *output) closeFile(sync bool) error {
	f := out.file
	out.file = nil
	err := out.w.Flush()
	if err == nil && sync {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// commit syncs everything and gives it its final name.
func (out *output) commit() error {
	if out.folder {
		if err := disk.SyncTree(out.temp); err != nil {
			return err
		}
	} else if err := out.closeFile(true); err != nil {
		return err
	}
	if err := out.vacant(); err != nil {
		return err
	}
	return disk.Replace(out.temp, out.final)
}

// abandon removes what was not committed.
func (out *output) abandon() {
	if out.file != nil {
		_ = out.file.Close()
	}
	if out.temp != "" {
		_ = os.RemoveAll(out.temp)
	}
}
