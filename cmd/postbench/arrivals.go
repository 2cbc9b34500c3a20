package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"postrider/bench"
	"postrider/bench/sink"
)

// lister writes the list of what arrived.
type lister struct {
	mu   sync.Mutex // guards out
	file *os.File
	out  *bufio.Writer
}

func (s *sinking) lister() (*lister, error) {
	if s.list == "" {
		return &lister{}, nil
	}
	s.options.Keep = 8 << 10 // the header, for the id
	f, err := os.Create(s.list)
	return &lister{file: f, out: bufio.NewWriter(f)}, err
}

func (l *lister) arrived(a sink.Arrival) {
	if l.file == nil {
		return
	}
	id := bench.IDOf(a.Message)
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(l.out, "%s\t%s\t%d\t%s\t%s\t%s\n", a.Time.UTC().Format(time.RFC3339Nano), a.Client, a.Octets, a.From, strings.Join(a.To, ","), id)
}

func (l *lister) close() error {
	if l.file == nil {
		return nil
	}
	return errors.Join(l.out.Flush(), l.file.Close())
}

// countdown closes stop a moment after the last of n messages, so that its reply
// goes out.
func countdown(n int64, stop chan struct{}, arrived func(sink.Arrival)) func(sink.Arrival) {
	var mu sync.Mutex
	return func(a sink.Arrival) {
		arrived(a)
		mu.Lock()
		defer mu.Unlock()
		if n--; n == 0 {
			time.AfterFunc(200*time.Millisecond, func() { close(stop) })
		}
	}
}

// deliver writes what arrives into maildirs, and then hands it on. Without a sync:
// this is for tests.
func (s *sinking) deliver(then func(sink.Arrival)) func(sink.Arrival) {
	var number atomic.Int64
	return func(a sink.Arrival) {
		mail := a.Message
		if !a.Chunked {
			mail = bench.Unstuff(mail)
		}
		mail = bytes.ReplaceAll(mail, []byte("\r\n"), []byte("\n"))
		for _, to := range a.To {
			local, _, _ := strings.Cut(to, "@")
			box := filepath.Join(s.maildir, filepath.Base("/"+local))
			for _, folder := range []string{"tmp", "cur", "new"} {
				_ = os.MkdirAll(filepath.Join(box, folder), 0o700) // what fails here fails below
			}
			name := fmt.Sprintf("%d.%d.sink", a.Time.Unix(), number.Add(1))
			if err := os.WriteFile(filepath.Join(box, "new", name), mail, 0o600); err != nil {
				fmt.Fprintln(os.Stderr, "postbench:", err)
			}
		}
		then(a)
	}
}
