package history

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// writer appends blocks to files. It belongs to the goroutine that writes.
type writer struct {
	l    *Log
	f    *os.File
	name string
	size int64
	from time.Time // when the file was begun
	out  []byte    // scratch

	lost int64 // events since the last fault was told
	why  error
}

const (
	// A file has a 16th of Settings.Room, or of Settings.Keep.
	filesOfRoom = 16
	maxFile     = 64 << 20
	minFile     = 256 << 10
	// maxFiles bounds their number: processes that are started again and again have a file
	// each.
	maxFiles = 1024
	ending   = ".events"
)

var errFullDisk = errors.New("the store has no room for more than mail")

// write writes n events. What can't be written is left out.
func (w *writer) write(events []byte, n int) {
	if n == 0 {
		return
	}
	if !w.l.On() {
		w.close()
		return
	}
	var err error
	if w.l.o.Free != nil && w.l.o.Free() <= 0 {
		err = errFullDisk
	}
	for left := n; err == nil && len(events) > 0; {
		block, rest, count := cutBlock(events)
		w.out = appendBlock(w.out[:0], block, count)
		w.l.whole.Lock()
		err = w.append(w.out)
		w.l.whole.Unlock()
		if err == nil {
			w.l.Stats.Events.Add(int64(count))
			events, left = rest, left-count
			n = left
		}
	}
	if cap(w.out) > 4*blockSize {
		w.out = nil
	}
	w.outcome(int64(n), err)
}

// outcome counts events that were not written, and tells of faults.
func (w *writer) outcome(lost int64, err error) {
	if err != nil {
		w.l.Stats.LeftOut.Add(lost)
		if w.why == nil {
			w.l.fault(err)
		}
		w.lost, w.why = w.lost+lost, err
		w.close()
		return
	}
	if w.why != nil {
		w.l.resumed(w.lost, w.why)
		w.lost, w.why = 0, nil
	}
}

// append writes a block to the file, or to a new one.
func (w *writer) append(block []byte) error {
	now, set := time.Now(), w.l.bounded()
	most := min(max(set.Room/filesOfRoom, minFile), maxFile)
	age := now.Sub(w.from)
	if w.f != nil && (w.size+int64(len(block)) > most || age > max(set.Keep/filesOfRoom, time.Minute) || age < -time.Minute || !w.isThere()) {
		w.close()
	}
	if w.f == nil {
		total := sweep(w.l.o.Dir, set, now, most)
		w.l.Stats.Octets.Store(total)
		if err := w.begin(now); err != nil {
			return err
		}
	}
	if _, err := w.f.WriteAt(block, w.size); err != nil {
		_ = w.f.Truncate(w.size) // a torn block would hide what comes after it
		return err
	}
	w.size += int64(len(block))
	w.l.Stats.Octets.Add(int64(len(block)))
	return nil
}

// isThere reports whether the file still has its name: the directory may have been emptied.
func (w *writer) isThere() bool {
	_, err := os.Lstat(w.name)
	return err == nil
}

// begin begins a file.
func (w *writer) begin(now time.Time) error {
	if err := os.Mkdir(w.l.o.Dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	for stamp := now.UnixMicro(); ; stamp++ {
		name := filepath.Join(w.l.o.Dir, strconv.FormatInt(stamp, 10)+ending)
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return err
		}
		w.f, w.name, w.size, w.from = f, name, 0, now
		return nil
	}
}

func (w *writer) close() {
	if w.f != nil {
		_ = w.f.Close()
		w.f = nil
	}
}

// stored is a file of the history.
type stored struct {
	path string
	size int64
	last time.Time // when it was written to
}

// list returns the files in order of their begin, and their octets.
func list(dir string) (files []stored, total int64) {
	found, err := os.ReadDir(dir)
	if err != nil {
		return nil, 0
	}
	for _, e := range found {
		if stamp, ok := strings.CutSuffix(e.Name(), ending); !ok || !isStamp(stamp) {
			continue
		}
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		files = append(files, stored{filepath.Join(dir, e.Name()), info.Size(), info.ModTime()})
		total += info.Size()
	}
	slices.SortFunc(files, func(a, b stored) int {
		if len(a.path) != len(b.path) {
			return len(a.path) - len(b.path)
		}
		return strings.Compare(a.path, b.path)
	})
	return files, total
}

func isStamp(s string) bool {
	_, err := strconv.ParseUint(s, 10, 63)
	return err == nil
}

// sweep deletes the files that are too old, and the oldest ones until the rest and room
// octets have Settings.Room. It returns the octets of the rest.
func sweep(dir string, set Settings, now time.Time, room int64) int64 {
	files, total := list(dir)
	for i, f := range files {
		if total+room <= set.Room && now.Sub(f.last) <= set.Keep && len(files)-i < maxFiles {
			continue
		}
		if os.Remove(f.path) == nil {
			total -= f.size
		}
	}
	return total
}
