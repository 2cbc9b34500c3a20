package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/storage"
	"postrider/storage/lsm"
)

// Options say what to back up.
type Options struct {
	// Store has the files of the store: a checkpoint, or the data directory of a store
	// that is not open.
	Store string
	// Data is the data directory, with the other files.
	Data string
	// Config is the configuration file; "": none.
	Config string
	// To is the directory with the backups. It is made if it is not there.
	To string
	// Keep is how many whole backups stay, the new one included; 0: all.
	Keep    int
	Program string
	FS      vfs.FS // nil: the machine's
	Now     func() time.Time
}

// Result is what was done.
type Result struct {
	Dir     string `json:"dir"`
	Files   int    `json:"files"`
	Octets  int64  `json:"octets"`  // the size of all files
	Copied  int64  `json:"copied"`  // octets that were written
	Linked  int64  `json:"linked"`  // octets of files that were linked
	Removed int    `json:"removed"` // older backups
}

// taking is one run of Take.
type taking struct {
	ctx    context.Context
	o      Options
	list   List
	result Result
	before map[string]File // the files of the last backup
	last   string          // its directory
	dirs   map[string]bool // made, to be synced
	buf    []byte
}

// skipped are the files of a data directory that no backup needs. The history of messages is
// a log: it changes all the time, and a copy would keep it for longer than log.history has it.
var skipped = []string{"web-spool", "history"}

// Take makes a backup.
func Take(ctx context.Context, o Options) (Result, error) {
	o.FS = machine(o.FS)
	if o.Now == nil {
		o.Now = time.Now
	}
	if _, err := o.FS.Stat(o.FS.PathJoin(o.Data, lsm.RestoreFlag)); err == nil {
		return Result{}, fmt.Errorf("%w: a restore into %s was cut off: run \"postrider restore\" again", storage.ErrCorrupt, o.Data)
	}
	if _, err := lsm.MakeDirs(o.FS, o.To); err != nil {
		return Result{}, err
	}
	lock, err := o.FS.Lock(o.FS.PathJoin(o.To, ".lock"))
	if err != nil {
		return Result{}, fmt.Errorf("%w: another backup into %s is under way (%w)", storage.ErrTemporary, o.To, err)
	}
	defer lock.Close()
	t := &taking{ctx: ctx, o: o, before: make(map[string]File), dirs: make(map[string]bool), buf: make([]byte, 1<<20)}
	if err := t.begin(); err != nil {
		return t.result, err
	}
	if err := t.copyAll(); err != nil {
		_ = o.FS.RemoveAll(t.list.Dir)
		return t.result, err
	}
	if err := t.finish(); err != nil {
		return t.result, err
	}
	return t.result, t.prune()
}

// CopyOthers copies the files of a data directory that are not of the store itself.
func CopyOthers(ctx context.Context, fsys vfs.FS, from, to string) error {
	t := &taking{ctx: ctx, o: Options{FS: machine(fsys)}, list: List{Dir: to}, dirs: make(map[string]bool), buf: make([]byte, 1<<20)}
	if err := t.tree(from, ".", func(k lsm.FileKind) bool { return k == lsm.Other }); err != nil {
		return err
	}
	return t.syncDirs()
}

// begin deletes what was cut off, finds the last backup, and makes the directory.
func (t *taking) begin() error {
	fsys := t.o.FS
	names, err := fsys.List(t.o.To)
	if err != nil {
		return err
	}
	for _, n := range names {
		if base, ok := strings.CutSuffix(n, partialSuffix); ok && isTime(base) {
			if err := fsys.RemoveAll(fsys.PathJoin(t.o.To, n)); err != nil {
				return err
			}
		}
	}
	whole, err := Whole(fsys, t.o.To)
	if err != nil {
		return err
	}
	made := t.o.Now().UTC().Truncate(time.Second)
	for slices.Contains(names, made.Format(timeForm)) {
		made = made.Add(time.Second) // two in one second
	}
	if len(whole) > 0 {
		t.last = fsys.PathJoin(t.o.To, whole[len(whole)-1])
		l, err := readList(fsys, t.last)
		if err != nil {
			return err
		}
		for _, f := range l.Files {
			t.before[f.Name] = f
		}
	}
	t.list = List{Dir: fsys.PathJoin(t.o.To, made.Format(timeForm)+partialSuffix), Made: made, Program: t.o.Program}
	return t.mkdir(t.list.Dir)
}

func isTime(name string) bool {
	_, err := time.Parse(timeForm, name)
	return err == nil
}

// mkdir makes a directory and the parents that it lacks, and notes it, to be synced.
func (t *taking) mkdir(dir string) error {
	if t.dirs[dir] {
		return nil
	}
	t.dirs[dir] = true
	_, err := lsm.MakeDirs(t.o.FS, dir)
	return err
}

// copyAll copies the store, what is beside it, and the configuration.
func (t *taking) copyAll() error {
	if err := t.tree(t.o.Store, "data", func(k lsm.FileKind) bool { return k == lsm.Immutable || k == lsm.Changing }); err != nil {
		return err
	}
	if err := t.tree(t.o.Data, "data", func(k lsm.FileKind) bool { return k == lsm.Other }); err != nil {
		return err
	}
	if t.o.Config == "" {
		return nil
	}
	return t.file(t.o.Config, "postrider.toml", lsm.Other)
}

// tree copies the files of a directory that take lets through, and those below it.
func (t *taking) tree(from, to string, take func(lsm.FileKind) bool) error {
	fsys := t.o.FS
	names, err := fsys.List(from)
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, n := range names {
		kind := lsm.KindOf(n)
		if kind == lsm.Transient || slices.Contains(skipped, n) {
			continue
		}
		source := fsys.PathJoin(from, n)
		info, err := fsys.Stat(source)
		if kind == lsm.Other && errors.Is(err, fs.ErrNotExist) {
			continue // a link to nothing, or a file that was there for a moment; of the store all has to be there
		}
		if err != nil {
			return err
		}
		switch {
		case info.IsDir() && take(lsm.Other):
			err = t.tree(source, path.Join(to, n), take)
		case info.Mode().IsRegular() && take(kind):
			err = t.file(source, path.Join(to, n), kind)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// file links or copies a file.
func (t *taking) file(source, name string, kind lsm.FileKind) error {
	if err := t.ctx.Err(); err != nil {
		return err
	}
	fsys := t.o.FS
	target := fsys.PathJoin(t.list.Dir, name)
	if err := t.mkdir(fsys.PathDir(target)); err != nil {
		return err
	}
	info, err := fsys.Stat(source)
	if err != nil {
		return err
	}
	f := File{Name: name, Size: info.Size(), Modified: info.ModTime().UnixNano()}
	if kind == lsm.Immutable && t.link(source, target, &f) {
		t.result.Linked += f.Size
	} else {
		if f.Size, f.SHA256, err = t.copy(source, target); err != nil {
			return err
		}
		t.result.Copied += f.Size
	}
	t.list.Files = append(t.list.Files, f)
	t.result.Files++
	t.result.Octets += f.Size
	return nil
}

// link links an immutable file: to the store's, or to the one of the last backup.
func (t *taking) link(source, target string, f *File) bool {
	fsys := t.o.FS
	old, same := t.before[f.Name]
	same = same && old.Size == f.Size && old.Modified == f.Modified
	if fsys.Link(source, target) == nil {
		if same {
			f.SHA256 = old.SHA256
		}
		return true
	}
	if !same {
		return false
	}
	before := fsys.PathJoin(t.last, f.Name)
	if info, err := fsys.Stat(before); err != nil || info.Size() != f.Size || fsys.Link(before, target) != nil {
		return false
	}
	f.SHA256 = old.SHA256
	return true
}

// copy copies a file, syncs it, and returns its size and checksum.
func (t *taking) copy(source, target string) (int64, string, error) {
	sum := sha256.New()
	n, err := copyFile(t.ctx, t.o.FS, source, target, sum, t.buf)
	return n, hex.EncodeToString(sum.Sum(nil)), err
}

// copyFile copies a file and syncs the copy.
func copyFile(ctx context.Context, fsys vfs.FS, source, target string, sum hash.Hash, buf []byte) (n int64, err error) {
	in, err := fsys.Open(source, vfs.SequentialReadsOption)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	out, err := fsys.Create(target, vfs.WriteCategoryUnspecified)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	for {
		if err := ctx.Err(); err != nil {
			return n, err
		}
		m, err := in.Read(buf)
		if m > 0 {
			sum.Write(buf[:m])
			if _, err := out.Write(buf[:m]); err != nil {
				return n, err
			}
			n += int64(m)
		}
		if errors.Is(err, io.EOF) {
			return n, out.Sync()
		}
		if err != nil {
			return n, err
		}
	}
}

func (t *taking) syncDirs() error {
	for dir := range t.dirs {
		if err := lsm.SyncDir(t.o.FS, dir); err != nil {
			return err
		}
	}
	return nil
}

// finish syncs the directories, writes the list, and gives the backup its name.
func (t *taking) finish() error {
	fsys := t.o.FS
	if err := t.syncDirs(); err != nil {
		return err
	}
	if err := errors.Join(t.list.write(fsys), lsm.SyncDir(fsys, t.list.Dir)); err != nil {
		return err
	}
	t.result.Dir = strings.TrimSuffix(t.list.Dir, partialSuffix)
	if err := fsys.Rename(t.list.Dir, t.result.Dir); err != nil {
		return err
	}
	return lsm.SyncDir(fsys, t.o.To)
}

// prune removes the oldest backups. One that is being removed has the name of one that
// was cut off.
func (t *taking) prune() error {
	if t.o.Keep <= 0 {
		return nil
	}
	fsys := t.o.FS
	whole, err := Whole(fsys, t.o.To)
	if err != nil {
		return err
	}
	for len(whole) > t.o.Keep {
		dir := fsys.PathJoin(t.o.To, whole[0])
		if err := fsys.Rename(dir, dir+partialSuffix); err != nil {
			return err
		}
		if err := fsys.RemoveAll(dir + partialSuffix); err != nil {
			return err
		}
		whole = whole[1:]
		t.result.Removed++
	}
	return nil
}
