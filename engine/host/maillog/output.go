package maillog

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
)

// Where lines go, as Settings.To has it. Any other value is the path of a file.
const (
	ToStderr  = "stderr"  // the journal, when standard error is the journal's
	ToSyslog  = "syslog"  // /dev/log
	ToJournal = "journal" // the journal of systemd, line by line with priority and identifier
)

// output writes lines that were made in one form. It is used by one goroutine.
type output interface {
	// writeLines writes whole lines and returns how many of them were lost, with the reason
	// of the last loss.
	writeLines(lines []byte) (lost int, why error)
	// reopen opens again what may have been moved away.
	reopen() error
	Close() error
}

// open returns the output that to names, and the form of its lines.
func open(to string, asJSON bool) (output, form, error) {
	lines := text
	if asJSON {
		lines = object
	}
	switch {
	case to == ToJournal || to == ToStderr && isJournal(os.Stderr):
		d, err := dial("/run/systemd/journal/socket")
		if err != nil && to == ToStderr {
			return stream{os.Stderr}, lines, nil
		}
		if asJSON {
			return d, journalObject, err
		}
		return d, journal, err
	case to == ToSyslog:
		d, err := dial("/dev/log")
		if asJSON {
			return d, syslogObject, err
		}
		return d, syslog, err
	case to == ToStderr, to == "":
		return stream{os.Stderr}, lines, nil
	}
	f := &file{path: to}
	return f, lines, f.reopen()
}

// isJournal reports whether the file is the stream that systemd connects to its journal
// (systemd.exec(5), JOURNAL_STREAM).
func isJournal(f *os.File) bool {
	info, err := f.Stat()
	if err != nil {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && os.Getenv("JOURNAL_STREAM") == fmt.Sprintf("%d:%d", st.Dev, st.Ino)
}

// stream is an output that stays open.
type stream struct{ io.Writer }

func (s stream) writeLines(lines []byte) (lost int, why error) {
	if _, err := s.Write(lines); err != nil {
		return count(lines), err
	}
	return 0, nil
}

func (s stream) reopen() error { return nil }
func (s stream) Close() error  { return nil }

// file is an output that is opened again after logrotate has moved it away.
type file struct {
	path string

	mu sync.Mutex
	f  *os.File
}

// fileMode is the mode of a file of the log.
const fileMode = 0o640

// Make makes the file that to names for a user, if to names a file and it is not there. It is for root:
// the process becomes that user later, and opens the file again.
func Make(to string, uid, gid int) error {
	switch to {
	case ToStderr, ToSyslog, ToJournal, "":
		return nil
	}
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return nil //nolint:nilerr // it is there, or Open tells what is wrong
	}
	defer f.Close()
	if err := f.Chown(uid, gid); err != nil {
		return fmt.Errorf("log.to: %w", err)
	}
	return nil
}

func (o *file) reopen() error {
	f, err := os.OpenFile(o.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, fileMode)
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case err != nil && o.f != nil:
		return fmt.Errorf("log.to: %w; lines go on to the file that was opened before", err)
	case err != nil:
		return fmt.Errorf("log.to: %w; make its directory, and give it to the user of the server", err)
	}
	if o.f != nil {
		o.f.Close()
	}
	o.f = f
	return nil
}

func (o *file) writeLines(lines []byte) (lost int, why error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, err := o.f.Write(lines)
	if err == nil {
		return 0, nil
	}
	if n > 0 && lines[n-1] != '\n' { // a full disk has cut a line in two
		_, _ = o.f.WriteString("\n")
	}
	return count(lines[n:]), err
}

func (o *file) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.f.Close()
}

// datagrams is an output that sends each line by itself to a socket, and connects again
// when the daemon at its other end was restarted.
type datagrams struct {
	path string

	mu   sync.Mutex
	conn net.Conn
}

func dial(path string) (*datagrams, error) {
	d := &datagrams{path: path}
	return d, d.reopen()
}

func (d *datagrams) reopen() error {
	c, err := net.Dial("unixgram", d.path)
	if err != nil {
		return fmt.Errorf("log.to: %w; is the log daemon running?", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.conn != nil {
		d.conn.Close()
	}
	d.conn = c
	return nil
}

func (d *datagrams) writeLines(lines []byte) (lost int, why error) {
	for entry := range strings.SplitAfterSeq(string(lines), endOfEntry) {
		if entry == "" {
			continue
		}
		if err := d.send(strings.TrimSuffix(entry, endOfEntry)); err != nil {
			lost, why = lost+1, err
		}
	}
	return lost, why
}

func (d *datagrams) send(entry string) error {
	d.mu.Lock()
	c := d.conn
	d.mu.Unlock()
	_, err := io.WriteString(c, entry)
	if err == nil || errors.Is(err, syscall.EMSGSIZE) {
		return err
	}
	if d.reopen() != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	_, err = io.WriteString(d.conn, entry)
	return err
}

func (d *datagrams) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.conn.Close()
}

// count is the number of lines, or of entries, in octets that end with one.
func count(lines []byte) int {
	n := 0
	for _, c := range lines {
		if c == '\n' {
			n++
		}
	}
	return max(n, 1)
}
