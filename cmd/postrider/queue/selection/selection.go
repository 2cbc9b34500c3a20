// Package selection reads which entries of the queue a command works on: ids, ALL, "-"
// for ids on the standard input, and flags that narrow that down.
//
// A message that goes to several domains has an entry for each. An id without a part
// (06FV1Q2C80000) names all entries of a message, an id with a part (06FV1Q2C80000-1)
// one of them. A listing puts "*" or "!" after an id; both are ignored, so that a line
// of a listing can be used as an argument.
//
// Wrong arguments are an error with the exit code of a wrong command line. An id that
// selects nothing is reported when the queue is read, after the entries of the other ids.
package selection

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"postrider/cmd/postrider/queue/entry"
	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/storage"
)

// ID is one id as it was given.
type ID struct {
	Entry storage.EntryID
	Whole bool // all entries of the message
}

func (id ID) String() string {
	if id.Whole {
		return id.Entry.Message.String()
	}
	return entry.Name(id.Entry)
}

// ParseID reads an id, perhaps with the mark that a listing puts after it.
func ParseID(text string) (ID, error) {
	text = strings.TrimRight(text, "*!")
	id, err := storage.ParseEntryID(text)
	if err != nil {
		return ID{}, sysexits.Usage.With(fmt.Errorf("%q: %w (see \"postrider queue list\")", text, err))
	}
	return ID{id, !strings.Contains(text, "-")}, nil
}

// ReadIDs reads the ids from the arguments; for "-" it reads them from in. It reports
// all for "ALL" and for no arguments: the whole queue.
func ReadIDs(args []string, in io.Reader) (ids []ID, all bool, err error) {
	add := func(text string) error {
		id, err := ParseID(text)
		if err == nil {
			ids = append(ids, id)
		}
		return err
	}
	for _, arg := range args {
		switch arg {
		case "ALL":
			all = true
		case "-":
			err = workspace.ReadWords(in, add)
		default:
			err = add(arg)
		}
		if err != nil {
			return nil, false, err
		}
	}
	if all && len(ids) > 0 {
		return nil, false, sysexits.Usage.With(errors.New("ALL and ids exclude each other"))
	}
	return ids, all || len(args) == 0, nil
}

// Queue is what a selection needs of the store.
type Queue interface {
	Queued(storage.QueueFilter, func(*storage.QueueEntry) bool) error
}

// Entries are the entries that the id names.
func (id ID) Entries(q Queue) (found []*storage.QueueEntry, err error) {
	err = q.Queued(storage.QueueFilter{Message: id.Entry.Message}, func(e *storage.QueueEntry) bool {
		if id.Whole || e.ID == id.Entry {
			found = append(found, e)
		}
		return true
	})
	return found, err
}

// Selection is the part of the queue that a command works on.
type Selection struct {
	Filter storage.QueueFilter
	Whole  bool                           // the queue, not ids
	IDs    []ID                           // when not whole
	Limit  int64                          // the maximum number of entries; 0: all
	Skip   func(*storage.QueueEntry) bool // entries that the command is not about; nil: none
}

// Read reads the flags and the ids from args; for "-" it reads them from in.
func Read(c *Criteria, args []string, in io.Reader, now time.Time) (*Selection, error) {
	filter, err := c.Filter(now)
	if err != nil {
		return nil, err
	}
	ids, whole, err := ReadIDs(args, in)
	if err != nil {
		return nil, err
	}
	return &Selection{Filter: filter, Whole: whole, IDs: ids, Limit: c.Limit}, nil
}

// Each calls f for each entry that is selected, until f returns false. An id that
// selects nothing is an error, which comes after the others were looked at. Before an
// entry is judged, look may change it.
func (s *Selection) Each(q Queue, look func(*storage.QueueEntry), f func(*storage.QueueEntry) bool) error {
	left, more := s.Limit, true
	take := func(e *storage.QueueEntry) bool {
		look(e)
		if s.Skip != nil && s.Skip(e) {
			return true
		}
		left--
		more = f(e) && left != 0
		return more
	}
	filter := s.Filter
	if s.Whole {
		return q.Queued(filter, take)
	}
	var missing []error
	for _, id := range s.IDs {
		filter.Message = id.Entry.Message
		found := false
		err := q.Queued(filter, func(e *storage.QueueEntry) bool {
			if !id.Whole && e.ID != id.Entry {
				return true
			}
			found = true
			return take(e)
		})
		if err != nil || !more {
			return errors.Join(append(missing, err)...)
		}
		if !found {
			missing = append(missing, sysexits.NoUser.With(fmt.Errorf("%s is not in the queue, or the flags leave it out (see \"postrider why %s\")", id, id.Entry.Message)))
		}
	}
	return errors.Join(missing...)
}
