package transfer

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// ErrJournalInUse: another import has the journal open.
var ErrJournalInUse = errors.New("another import is using the journal: wait for its end, or name another file (--journal)")

// Journal is a file with the Maildirs of a tree that were imported, so that an import that
// was interrupted goes on. It has a line for each one that was begun, and for each one that
// was imported. A line that was lost, or cut short, does no harm: the Maildir is read again,
// and what the store has is passed over. One import at a time has it open.
type Journal struct {
	mu    sync.Mutex
	file  *os.File
	done  map[string]bool // by path, when it was opened
	begun map[string]bool
}

// OpenJournal opens the journal of an import, or makes it. A journal of another tree is an
// error, and so is one that another import has open.
func OpenJournal(path, root string, p *Pattern) (*Journal, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	switch err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); {
	case errors.Is(err, unix.EWOULDBLOCK):
		return nil, errors.Join(fmt.Errorf("%s: %w", path, ErrJournalInUse), f.Close())
	case err != nil:
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	j := &Journal{file: f, done: make(map[string]bool), begun: make(map[string]bool)}
	if err := j.read(path, fmt.Sprintf("postrider import-tree 1 %q %q", root, p)); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return j, nil
}

func (j *Journal) read(path, head string) error {
	in := bufio.NewReader(j.file)
	first, err := in.ReadString('\n')
	if err != nil && err != io.EOF {
		return err
	}
	if !strings.HasSuffix(first, "\n") { // it is new, or was never begun
		if strings.HasPrefix(head, first) {
			err := j.file.Truncate(0)
			return errors.Join(err, j.write(head))
		}
		first += "\n"
	}
	if first != head+"\n" {
		return fmt.Errorf("%s is the journal of another import: name another file (--journal), or remove it if that import is over", path)
	}
	for at := int64(len(first)); ; {
		line, err := in.ReadString('\n')
		if whole, ok := strings.CutSuffix(line, "\n"); ok {
			at += int64(len(line))
			if where, ok := strings.CutPrefix(whole, "done "); ok {
				j.done[where] = true
			} else if where, ok := strings.CutPrefix(whole, "begun "); ok {
				j.begun[where] = true
			}
		}
		switch {
		case err == io.EOF && line != "": // cut short: what is left may be the name of another Maildir
			return j.file.Truncate(at)
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

func (j *Journal) write(line string) error {
	_, err := j.file.WriteString(line + "\n")
	return err
}

// Has reports whether the Maildir was imported when the journal was opened.
func (j *Journal) Has(path string) bool { return j.done[path] }

// Begun reports whether an earlier import has begun with the Maildir.
func (j *Journal) Begun(path string) bool { return j.begun[path] }

// begin notes that the import of a Maildir begins, and end that it is imported. One whose
// name has a line end is not noted.
func (j *Journal) begin(path string) error { return j.add("begun ", path) }
func (j *Journal) end(path string) error   { return j.add("done ", path) }

func (j *Journal) add(word, path string) error {
	if strings.Contains(path, "\n") {
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.write(word + path)
}

// Close closes the file.
func (j *Journal) Close() error { return errors.Join(j.file.Sync(), j.file.Close()) }
