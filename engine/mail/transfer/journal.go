package transfer

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
)

// Journal is a file with the Maildirs of a tree that were imported, so that an import that
// was interrupted goes on. It has a line for each one. A line that was lost, or cut short,
// does no harm: the Maildir is read again, and what the store has is passed over.
type Journal struct {
	mu   sync.Mutex
	file *os.File
	done map[string]bool // by path, when it was opened
}

// OpenJournal opens the journal of an import, or makes it. A journal of another tree is an
// error.
func OpenJournal(path, root string, p *Pattern) (*Journal, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	j := &Journal{file: f, done: make(map[string]bool)}
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
	for {
		line, err := in.ReadString('\n')
		if whole, ok := strings.CutSuffix(line, "\n"); ok {
			if where, ok := strings.CutPrefix(whole, "done "); ok {
				j.done[where] = true
			}
		}
		switch {
		case err == io.EOF && line != "": // cut short: the next line begins a new one
			return j.write("")
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

// add notes a Maildir. One whose name has a line end is not noted.
func (j *Journal) add(path string) error {
	if strings.Contains(path, "\n") {
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.write("done " + path)
}

// Close closes the file.
func (j *Journal) Close() error { return errors.Join(j.file.Sync(), j.file.Close()) }
