// Package life prints the history of a message to other hosts: where it came from, what was
// done at each attempt, and what comes next. It is what "postrider why" prints.
//
// The past is the history that the store keeps for a while, the future is in the
// entries that are still in the queue. A message has both, or only one: a new message
// has no history yet, and one that was delivered has no entries any more.
package life

import (
	"fmt"
	"io"
	"strings"
	"time"

	"postrider/cmd/postrider/queue/entry"
	"postrider/cmd/postrider/queue/selection"
	"postrider/cmd/sysexits"
	"postrider/storage"
)

// Life is what is known of a message: the entries that are still there, and what was
// done before.
type Life struct {
	ID      storage.MessageID
	Entries []*storage.QueueEntry
	Records []storage.Record
	Now     time.Time
}

// Store is what is read.
type Store interface {
	selection.Queue
	History(storage.MessageID, func(storage.Record) bool) error
}

// Read reads the life of a message as it is known at now. A message of which nothing is
// known is an error.
func Read(s Store, id storage.MessageID, now time.Time) (*Life, error) {
	l := &Life{ID: id, Now: now}
	err := s.History(id, func(r storage.Record) bool {
		l.Records = append(l.Records, r)
		return true
	})
	if err != nil {
		return nil, err
	}
	whole := selection.ID{Entry: storage.EntryID{Message: id}, Whole: true} // the history is the message's
	if l.Entries, err = whole.Entries(s); err != nil {
		return nil, err
	}
	if len(l.Entries)+len(l.Records) == 0 {
		return nil, sysexits.NoUser.With(fmt.Errorf(`%s is unknown to the queue. It was mail for local accounts only, or its history was dropped, or the id is another host's: look for it in the server's log, for example with "journalctl -u postrider | grep %s"`, id, id))
	}
	return l, nil
}

// Print prints the history in order.
func (l *Life) Print(out io.Writer) {
	fmt.Fprintln(out, l.ID)
	if len(l.Entries) > 0 {
		e := l.Entries[0]
		fmt.Fprintf(out, "%s  from <%s>, %d octets\n", entry.Time(e.Arrival), entry.Printable(e.Envelope.ReversePath), e.Body.Size)
		if e.Envelope.Origin != "" {
			fmt.Fprintf(out, "  brought by %s\n", entry.Printable(e.Envelope.Origin))
		}
	}
	for _, r := range l.Records {
		text := strings.TrimRight(r.Text, "\n")
		first, rest, more := strings.Cut(text, "\n")
		fmt.Fprintf(out, "%s  %s\n", entry.Time(r.At), entry.Printable(first))
		if !more {
			continue
		}
		for text := range strings.SplitSeq(rest, "\n") {
			fmt.Fprintf(out, "  %s\n", entry.Printable(text))
		}
	}
	if len(l.Entries) == 0 {
		fmt.Fprintln(out, "It has left the queue.")
		return
	}
	for _, e := range l.Entries {
		l.future(out, e)
	}
}

// future describes what comes next for an entry.
func (l *Life) future(out io.Writer, e *storage.QueueEntry) {
	fmt.Fprintf(out, "%s  to %s: %s\n", entry.Name(e.ID), entry.Printable(e.Domain), l.next(e))
	for i := range e.Recipients {
		r := &e.Recipients[i]
		fmt.Fprintf(out, "  <%s>", entry.Printable(r.ForwardPath))
		if why := strings.TrimSpace(e.StatusOf(r) + " " + e.ReasonOf(r)); why != "" {
			fmt.Fprintf(out, ": %s", entry.Printable(why))
		}
		fmt.Fprintln(out)
	}
}

func (l *Life) next(e *storage.QueueEntry) string {
	after := ""
	switch {
	case e.Attempts == 1:
		after = ", after 1 attempt"
	case e.Attempts > 1:
		after = fmt.Sprintf(", after %d attempts", e.Attempts)
	}
	if e.Held {
		return "held" + after + "; \"postrider queue release " + entry.Name(e.ID) + "\" lets it go"
	}
	if e.IsDue(l.Now) {
		return "due now" + after
	}
	return "next attempt at " + entry.Time(e.DueAt()) + after
}

// Line is a life in JSON.
type Line struct {
	ID      string       `json:"id"`
	Queued  []entry.Line `json:"queued"`
	History []Record     `json:"history"`
}

// Record is one event of the past in JSON.
type Record struct {
	At   time.Time `json:"at"`
	Text string    `json:"text"`
}

// Line is the life for scripts. Its lists may be empty, and are never null.
func (l *Life) Line() Line {
	line := Line{ID: l.ID.String(), Queued: []entry.Line{}, History: []Record{}}
	for _, e := range l.Entries {
		line.Queued = append(line.Queued, entry.LineOf(e, l.Now))
	}
	for _, r := range l.Records {
		line.History = append(line.History, Record{r.At.UTC(), r.Text})
	}
	return line
}
