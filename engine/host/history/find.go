package history

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"postrider/storage"
)

// Summary is what a history has.
type Summary struct {
	Settings Settings  `json:"settings"`
	Octets   int64     `json:"octets"`
	Oldest   time.Time `json:"oldest"` // the time from which on there are events; zero: there are none
	LeftOut  int64     `json:"left_out"`
	Damaged  int       `json:"damaged"` // blocks that could not be read
	More     bool      `json:"more"`    // there are more events than were asked for
}

const (
	// maxFound bounds the events of one message, or of one search.
	maxFound = 10_000
	// maxFoundOctets bounds the memory that they take, more or less.
	maxFoundOctets = 32 << 20
)

// Find returns the events of a message in order, with what waits to be written.
func (l *Log) Find(id storage.MessageID) ([]Read, Summary, error) {
	if l == nil {
		return nil, Summary{}, nil
	}
	found, s, err := finding(l.Settings(), id, time.Now()).read(l.settled())
	s.LeftOut = l.Stats.LeftOut.Load()
	return found, s, err
}

// Find returns the events of a message in the files of a directory.
func Find(dir string, set Settings, id storage.MessageID, now time.Time) ([]Read, Summary, error) {
	return finding(set, id, now).read(list(dir))
}

// settled writes what waits, and returns the files as they are at a moment at which no block
// is being written.
func (l *Log) settled() (files []stored, total int64) {
	l.Flush()
	l.whole.Lock()
	defer l.whole.Unlock()
	return list(l.o.Dir)
}

// finding reads the events of a message.
func finding(set Settings, id storage.MessageID, now time.Time) *reader {
	r := &reader{one: true, set: set, after: now.Add(-set.Keep).UnixMicro()}
	r.wants = func(h *header) bool { return has(h.filter, id) }
	r.takes = func(e []byte) bool { return idOf(e) == id }
	return r
}

// reader reads the files of a directory.
type reader struct {
	set   Settings
	after int64                // only events from then on, in microseconds since 1970
	wants func(h *header) bool // reports whether a block may have events
	takes func(e []byte) bool  // reports whether an event is taken
	// one: all events are of one message. Received comes first: it has the time at which
	// the session heard of the store, when an attempt to send the message on may be over.
	one bool

	ctx     context.Context // ends the search; nil: nothing does
	without []Fact          // what is not read of an event
	found   []Read
	octets  int // what found takes
	summary Summary
	buf     [4 << 10]byte
}

// read reads files, of as many octets as they have in the list.
func (r *reader) read(files []stored, total int64) ([]Read, Summary, error) {
	r.summary.Settings, r.summary.Octets = r.set, total
	for _, f := range files {
		if err := r.file(f); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, r.summary, err
		}
	}
	slices.SortStableFunc(r.found, func(a, b Read) int {
		if r.one && (a.Kind == Received) != (b.Kind == Received) {
			return int(a.Kind) - int(b.Kind) // Received has the lowest number
		}
		return a.At.Compare(b.At)
	})
	return r.found, r.summary, nil
}

// file reads a file, block by block.
func (r *reader) file(s stored) error {
	opened, err := os.Open(s.path)
	if err != nil {
		return err
	}
	defer opened.Close()
	f := io.NewSectionReader(opened, 0, s.size)
	for at := int64(0); ; {
		if r.ctx != nil && r.ctx.Err() != nil {
			return r.ctx.Err()
		}
		h, err := readHeader(f, at, r.buf[:])
		switch {
		case errors.Is(err, errDamaged):
			r.summary.Damaged++
			if at, err = nextBlock(f, at+1); err != nil {
				return ignoreEOF(err)
			}
			continue
		case err != nil:
			return ignoreEOF(err)
		}
		if h.last >= r.after {
			r.block(f, at, &h)
		}
		at += h.size()
	}
}

// block reads the events of a block that are asked for.
func (r *reader) block(f io.ReaderAt, at int64, h *header) {
	if first := time.UnixMicro(max(h.first, r.after)); r.summary.Oldest.IsZero() || first.Before(r.summary.Oldest) {
		r.summary.Oldest = first
	}
	if !r.wants(h) {
		return
	}
	raw, err := h.events(f, at)
	if err != nil {
		r.summary.Damaged++
		return
	}
	for len(raw) > 0 {
		e, rest, ok := nextEvent(raw)
		if !ok {
			r.summary.Damaged++
			return
		}
		raw = rest
		if timeOf(e) < r.after || !r.takes(e) {
			continue
		}
		if len(r.found) == maxFound || r.octets > maxFoundOctets {
			r.summary.More = true
			return
		}
		if one, ok := parse(e, r.without...); ok {
			r.found = append(r.found, one)
			r.octets += one.octets()
		}
	}
}

// nextBlock finds the next header from an offset on.
func nextBlock(f io.ReaderAt, at int64) (int64, error) {
	buf := make([]byte, 64<<10)
	for {
		n, err := f.ReadAt(buf, at)
		for i := 0; i+len(blockMagic) <= n; i++ {
			if string(buf[i:i+len(blockMagic)]) == blockMagic {
				return at + int64(i), nil
			}
		}
		if err != nil {
			return 0, err
		}
		at += int64(n - len(blockMagic) + 1)
	}
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// Search selects messages by their sender or a recipient.
type Search struct {
	Sender, Recipient string    // ADDRESS, @DOMAIN, DOMAIN or NAME, in any case; "": any
	Since             time.Time // zero: all that is kept
}

// IsFor reports whether an address is the recipient that is looked for.
func (s *Search) IsFor(address string) bool {
	return s.Recipient != "" && isAddress(address, s.Recipient)
}

// Search returns, in order, the events in which messages came that are selected, and the
// attempts for the recipient, without what was said to hosts: Find has that.
func (l *Log) Search(ctx context.Context, s Search) ([]Read, Summary, error) {
	if l == nil {
		return nil, Summary{}, nil
	}
	return looking(ctx, l.Settings(), s, time.Now()).read(l.settled())
}

// Look is Log.Search in the files of a directory. It reads all of them.
func Look(ctx context.Context, dir string, set Settings, s Search, now time.Time) ([]Read, Summary, error) {
	return looking(ctx, set, s, now).read(list(dir))
}

// looking reads the events that a search selects.
func looking(ctx context.Context, set Settings, s Search, now time.Time) *reader {
	after := now.Add(-set.Keep)
	if s.Since.After(after) {
		after = s.Since
	}
	r := &reader{ctx: ctx, set: set, after: after.UnixMicro(), without: []Fact{Line, Tried}}
	r.wants = func(*header) bool { return true }
	r.takes = func(e []byte) bool {
		if k := Kind(e[0]); k != Received && k != Attempt && k != More {
			return false
		}
		one, ok := parse(e, r.without...)
		return ok && s.selects(&one)
	}
	return r
}

// selects reports whether an event is about mail that is looked for.
func (s *Search) selects(r *Read) bool {
	if s.Sender != "" && !isAddress(r.Text(Sender), s.Sender) {
		return false
	}
	if s.Recipient == "" {
		return r.Kind == Received
	}
	for _, v := range r.Facts {
		if (v.Fact == To || v.Fact == Original || v.Fact == Queued) && s.IsFor(v.Text) {
			return true
		}
	}
	return false
}

// isAddress reports whether an address is the one that is asked for: @DOMAIN is any in the
// domain, and a word without @ is a name at any domain, or a domain.
func isAddress(address, asked string) bool {
	at := strings.LastIndexByte(address, '@')
	switch strings.IndexByte(asked, '@') {
	case -1:
		return strings.EqualFold(address[:max(at, 0)], asked) || strings.EqualFold(address[at+1:], asked)
	case 0:
		return at >= 0 && strings.EqualFold(address[at:], asked)
	}
	return strings.EqualFold(address, asked)
}
