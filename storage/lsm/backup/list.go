package backup

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// listName is the file with the list of a backup's files.
const listName = "backup.jsonl"

// ErrNotWhole: a directory is no backup, or one that is damaged or was cut off.
var ErrNotWhole = errors.New("not a whole backup")

// File is a file of a backup.
type File struct {
	Name     string `json:"name"` // in the backup's directory, with slashes
	Size     int64  `json:"size"`
	Modified int64  `json:"modified"`         // when the original was changed, in ns
	SHA256   string `json:"sha256,omitempty"` // "": the file was linked
}

// head is the first line of a list.
type head struct {
	Format  int       `json:"format"`
	Made    time.Time `json:"made"`
	Program string    `json:"program"`
	Files   int       `json:"files"`
}

// tail is the last line.
type tail struct {
	Sum string `json:"sum"` // SHA-256 of all lines before it
}

// listFormat is the format of the list and of the directory.
const listFormat = 1

// List is the list of a whole backup.
type List struct {
	Dir     string
	Made    time.Time
	Program string
	Files   []File
}

// Octets is the size of all files.
func (l *List) Octets() (n int64) {
	for i := range l.Files {
		n += l.Files[i].Size
	}
	return n
}

// write writes the list into its directory and syncs it.
func (l *List) write(fs vfs.FS) error {
	var b bytes.Buffer
	lines := json.NewEncoder(&b)
	_ = lines.Encode(head{listFormat, l.Made, l.Program, len(l.Files)})
	for i := range l.Files {
		_ = lines.Encode(l.Files[i])
	}
	sum := sha256.Sum256(b.Bytes())
	_ = lines.Encode(tail{hex.EncodeToString(sum[:])})
	f, err := fs.Create(fs.PathJoin(l.Dir, listName), vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(b.Bytes())
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// machine is a file system, or the machine's.
func machine(fs vfs.FS) vfs.FS {
	if fs == nil {
		return vfs.Default
	}
	return fs
}

// maxList bounds the list that is read: a million files.
const maxList = 256 << 20

// readList reads the list of a backup. The error wraps ErrNotWhole when it is not whole.
func readList(fs vfs.FS, dir string) (*List, error) {
	f, err := fs.Open(fs.PathJoin(dir, listName), vfs.SequentialReadsOption)
	if err != nil {
		return nil, fmt.Errorf("%w: %s has no list of files (%s): it was cut off, or is no backup", ErrNotWhole, dir, listName)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxList))
	_ = f.Close()
	if err != nil {
		return nil, err
	}
	damaged := fmt.Errorf("%w: the list %s is damaged", ErrNotWhole, fs.PathJoin(dir, listName))
	last := bytes.LastIndexByte(bytes.TrimSuffix(b, []byte("\n")), '\n') + 1
	var end tail
	sum := sha256.Sum256(b[:last])
	if !bytes.HasSuffix(b, []byte("\n")) || json.Unmarshal(b[last:], &end) != nil || end.Sum != hex.EncodeToString(sum[:]) {
		return nil, damaged
	}
	lines := json.NewDecoder(bufio.NewReader(bytes.NewReader(b[:last])))
	var h head
	if lines.Decode(&h) != nil {
		return nil, damaged
	}
	if h.Format != listFormat {
		return nil, fmt.Errorf("the backup %s has format %d, and this program knows %d: use the program that made it (%s)", dir, h.Format, listFormat, h.Program)
	}
	l := &List{Dir: dir, Made: h.Made, Program: h.Program}
	for range h.Files {
		var file File
		if lines.Decode(&file) != nil || !localName(file.Name) {
			return nil, damaged
		}
		l.Files = append(l.Files, file)
	}
	return l, nil
}

// localName reports whether a name stays in the directory that it is used in.
func localName(name string) bool {
	return name != "" && !path.IsAbs(name) && path.Clean(name) == name && name != ".." && !strings.HasPrefix(name, "../")
}

// timeForm is the form of the directories' names: they sort by time.
const timeForm = "2006-01-02T15-04-05Z"

const partialSuffix = ".partial"

// Whole returns the names of the whole backups in dir, oldest first.
func Whole(fs vfs.FS, dir string) ([]string, error) {
	names, err := fs.List(dir)
	if err != nil {
		return nil, err
	}
	names = slices.DeleteFunc(names, func(n string) bool {
		if _, err := time.Parse(timeForm, n); err != nil {
			return true
		}
		_, err := readList(fs, fs.PathJoin(dir, n))
		return err != nil
	})
	slices.Sort(names)
	return names, nil
}

// Find finds the backup that dir is, or the newest whole one in it. fs nil: the machine's.
func Find(fs vfs.FS, dir string) (*List, error) {
	fs = machine(fs)
	if l, err := readList(fs, dir); err == nil {
		return l, nil
	} else if _, there := fs.Stat(fs.PathJoin(dir, listName)); there == nil {
		return nil, err
	}
	names, err := Whole(fs, dir)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%w: %s holds no whole backup", ErrNotWhole, dir)
	}
	return readList(fs, fs.PathJoin(dir, names[len(names)-1]))
}
