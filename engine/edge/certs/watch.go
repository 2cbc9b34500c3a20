package certs

import (
	"os"
	"time"
)

// Watch finds out when certificate files have changed. It does not use inotify: renewal tools
// write, rename and link files on any file system, and checking a few files now and then
// costs little. Watch belongs to one goroutine.
type Watch struct {
	load  func() error
	files []string
	seen  map[string]stamp
}

// stamp changes when a file is written.
type stamp struct {
	modified time.Time
	size     int64
}

// NewWatch makes a Watch for files that load has just loaded.
func NewWatch(load func() error, files ...string) *Watch {
	w := &Watch{load: load, files: files}
	w.seen = w.look()
	return w
}

func (w *Watch) look() map[string]stamp {
	seen := make(map[string]stamp)
	for _, name := range w.files {
		if info, err := os.Stat(name); err == nil {
			seen[name] = stamp{info.ModTime(), info.Size()}
		}
	}
	return seen
}

// Reload loads the files if one of them has changed, or always with force. After an error it
// tries again when the files change again: a renewed certificate's key may be written a
// moment later.
func (w *Watch) Reload(force bool) (loaded bool, err error) {
	seen := w.look()
	if !force && same(seen, w.seen) {
		return false, nil
	}
	w.seen = seen
	if err := w.load(); err != nil {
		return false, err
	}
	return true, nil
}

func same(a, b map[string]stamp) bool {
	if len(a) != len(b) {
		return false
	}
	for name, s := range a {
		if t, ok := b[name]; !ok || s.size != t.size || !s.modified.Equal(t.modified) {
			return false
		}
	}
	return true
}
