// Package life prints what happened to a message: how it came, where it went, each attempt
// with the dialogue, and what comes next. It is what "postrider why" prints.
//
// The past is in two places. The history of all messages (engine/host/history) has events
// for log.history. The store has records of the failed attempts of queued mail, which are
// kept longer; a record of an attempt that is an event too is not printed again. The future
// is in the entries that are still in the queue.
package life

import (
	"fmt"
	"io"
	"strings"
	"time"

	"postrider/cmd/postrider/queue/entry"
	"postrider/cmd/postrider/queue/selection"
	"postrider/cmd/sysexits"
	"postrider/engine/front/admin"
	"postrider/engine/host/history"
	"postrider/storage"
	"postrider/storage/lsm"
)

// Life is what is known of a message: the entries that are still there, and what was
// done before.
type Life struct {
	ID      storage.MessageID
	Entries []*storage.QueueEntry
	Records []storage.Record
	Events  []history.Read
	Damaged int  // blocks of the history that can't be read
	More    bool // the history has more events than Events
	Now     time.Time
}

// Store is what is read.
type Store interface {
	selection.Queue
	History(storage.MessageID, func(storage.Record) bool) error
	Past(storage.MessageID) (admin.Past, error)
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
	past, err := s.Past(id)
	if err != nil {
		return nil, err
	}
	if l.Events, l.Damaged, l.More = past.Events, past.Summary.Damaged, past.Summary.More; len(l.Entries)+len(l.Records)+len(l.Events) == 0 {
		return nil, sysexits.NoUser.With(unknown(id, &past.Summary, now))
	}
	return l, nil
}

// unknown is the error for a message of which nothing is known: it names what may be the
// reason, as far as the id and the history tell it.
func unknown(id storage.MessageID, s *history.Summary, now time.Time) error {
	const search = `look for it in the server's log, for example with "journalctl -u postrider | grep %s"`
	at := lsm.TimeOf(id)
	why := ""
	switch {
	case at.After(now.Add(time.Minute)), at.Year() < 2020:
		return fmt.Errorf("%s is unknown, and its time is %s: it is no id of this host; is it another host's?", id, entry.Time(at))
	case !s.Settings.On():
		why = "no history of messages is kept (log.history is 0)"
	case s.Oldest.IsZero():
		why = "the history of messages is empty so far"
	case at.Before(s.Oldest):
		why = fmt.Sprintf("the history goes back to %s only (log.history, log.history_size)", entry.Time(s.Oldest))
	default:
		why = "the history is kept from that time on, so that the message was refused or not sent to its end, or the id is another host's, or it came in the last second before a crash"
		if s.LeftOut > 0 {
			why += fmt.Sprintf("; or it is one of the %d events that were left out since the start of the server", s.LeftOut)
		}
		if s.Damaged > 0 {
			why += fmt.Sprintf("; or it is in one of the %d parts of the history that are damaged", s.Damaged)
		}
	}
	return fmt.Errorf("%s is unknown. By the id it is of %s; %s: "+search, id, entry.Time(at), why, id)
}

// Print prints the history in order.
func (l *Life) Print(out io.Writer) {
	fmt.Fprintln(out, l.ID)
	if e := l.origin(); e != nil {
		fmt.Fprintf(out, "%s  from <%s>, %d octets\n", entry.Time(e.Arrival), entry.Printable(e.Envelope.ReversePath), e.Body.Size)
		if e.Envelope.Origin != "" {
			fmt.Fprintf(out, "  brought by %s\n", entry.Printable(e.Envelope.Origin))
		}
	}
	events := l.Events
	attempts := make(map[int64]bool)
	for i := range events {
		if events[i].Kind == history.Attempt { // others may be of the same time
			attempts[events[i].At.UnixMicro()] = true
		}
	}
	for _, r := range l.Records {
		if attempts[r.At.UnixMicro()] {
			continue
		}
		for len(events) > 0 && (events[0].Kind == history.Received || events[0].At.Before(r.At)) {
			printEvent(out, &events[0])
			events = events[1:]
		}
		printRecord(out, r)
	}
	for i := range events {
		printEvent(out, &events[i])
	}
	if l.More {
		fmt.Fprintf(out, "The history has more events of it than these %d.\n", len(l.Events))
	}
	if l.Damaged > 0 {
		fmt.Fprintf(out, "%d parts of the history are damaged and could not be read.\n", l.Damaged)
	}
	if len(l.Entries) == 0 && l.wasQueued() {
		fmt.Fprintln(out, "It has left the queue.")
	}
	for _, e := range l.Entries {
		l.future(out, e)
	}
}

// origin is an entry that tells where the message came from, if no event does.
func (l *Life) origin() *storage.QueueEntry {
	if len(l.Entries) == 0 || len(l.Events) > 0 && l.Events[0].Kind == history.Received {
		return nil
	}
	return l.Entries[0]
}

// wasQueued reports whether the message had an entry in the queue.
func (l *Life) wasQueued() bool {
	if len(l.Records) > 0 {
		return true
	}
	for i := range l.Events {
		if l.Events[i].Kind == history.Attempt || l.Events[i].Text(history.Queued) != "" {
			return true
		}
	}
	return false
}

// printRecord prints a record of the store.
func printRecord(out io.Writer, r storage.Record) {
	for i, line := range strings.Split(strings.TrimRight(r.Text, "\n"), "\n") {
		if i == 0 {
			fmt.Fprintf(out, "%s  %s\n", entry.Time(r.At), entry.Printable(line))
		} else {
			fmt.Fprintf(out, "  %s\n", entry.Printable(line))
		}
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
	ID      string           `json:"id"`
	Queued  []entry.Line     `json:"queued"`
	History []Record         `json:"history"`        // records of the store
	Events  []map[string]any `json:"events"`         // what engine/host/history has
	More    bool             `json:"more,omitempty"` // it has more events than these
}

// Record is one event of the past in JSON.
type Record struct {
	At   time.Time `json:"at"`
	Text string    `json:"text"`
}

// Line is the life for scripts. Its lists may be empty, and are never null.
func (l *Life) Line() Line {
	line := Line{ID: l.ID.String(), Queued: []entry.Line{}, History: []Record{}, Events: []map[string]any{}, More: l.More}
	for _, e := range l.Entries {
		line.Queued = append(line.Queued, entry.LineOf(e, l.Now))
	}
	for _, r := range l.Records {
		line.History = append(line.History, Record{r.At.UTC(), r.Text})
	}
	for i := range l.Events {
		line.Events = append(line.Events, Object(&l.Events[i]))
	}
	return line
}
