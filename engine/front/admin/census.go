package admin

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"postrider/codec/address"
	"postrider/storage"
)

// CensusArg selects what is counted in the queue.
type CensusArg struct {
	Filter storage.QueueFilter
	States []QueueState // only entries in these states; none: all
	By     CensusBy
	Top    int // rows at most, the largest first; 0: all
}

// CensusBy is what the rows of a Census count by.
type CensusBy string

// What rows count: recipients by destination, messages by the domain of the
// reverse-path, recipients by the outcome of their last attempt.
const (
	ByDestination CensusBy = "domain"
	BySender      CensusBy = "sender"
	ByStatus      CensusBy = "status"
)

// CensusAges are the upper bounds of the columns of a Census, in minutes, as
// Postfix's qshape has them; one more column holds what is older than all of them.
var CensusAges = [...]int{5, 10, 20, 40, 80, 160, 320, 640, 1280}

// Census is the queue, counted.
type Census struct {
	Entries, Octets int64                // size of the whole queue
	States          map[QueueState]int64 // states of the entries that were counted
	Total           CensusRow
	Rows            []CensusRow
}

// CensusRow is one row.
type CensusRow struct {
	Name   string                     `json:"name"`
	Total  int64                      `json:"total"`
	Ages   [len(CensusAges) + 1]int64 `json:"ages,omitzero"`
	Sample string                     `json:"sample,omitempty"` // with ByStatus: a reason
}

// QueueState is the state of an entry in the words of Postfix's queues.
type QueueState string

// The states: being tried or due, waiting for its next attempt, held by an operator.
const (
	Active   QueueState = "active"
	Deferred QueueState = "deferred"
	OnHold   QueueState = "hold"
)

// StateOf is the state of an entry.
func StateOf(e *storage.QueueEntry, now time.Time) QueueState {
	switch {
	case e.Held:
		return OnHold
	case e.Attempts == 0 && e.Reason == "" || e.IsDue(now):
		return Active
	}
	return Deferred
}

// maxRows bounds the rows that are kept while counting; what comes after them is
// counted under otherRows.
const (
	maxRows   = 200_000
	otherRows = "(others)"
)

// TakeCensus counts the queue. It is run where the store is: a million entries take
// a second or two there, and would take a minute through the socket.
func TakeCensus(q Queue, arg CensusArg) (*Census, error) {
	t := tally{arg: arg, now: time.Now(), rows: make(map[string]*CensusRow)}
	t.census.States = make(map[QueueState]int64)
	arg.Filter.AnyOrder = arg.By != BySender // the entries of a message have to come together
	if err := q.Queued(arg.Filter, t.add); err != nil {
		return nil, err
	}
	t.census.Entries, t.census.Octets = q.QueueTotal()
	t.census.Rows = t.largest()
	return &t.census, nil
}

// tally counts entries while they pass.
type tally struct {
	arg    CensusArg
	now    time.Time
	rows   map[string]*CensusRow
	last   storage.MessageID
	census Census
}

func (t *tally) add(e *storage.QueueEntry) bool {
	state := StateOf(e, t.now)
	if len(t.arg.States) > 0 && !slices.Contains(t.arg.States, state) {
		return true
	}
	t.census.States[state]++
	age := int64(t.now.Sub(e.Arrival) / time.Minute)
	switch t.arg.By {
	case ByStatus:
		for i := range e.Recipients {
			r := &e.Recipients[i]
			t.count(cmp.Or(e.StatusOf(r), "not tried"), age, 1, e.ReasonOf(r))
		}
	case BySender:
		if t.last == e.ID.Message {
			return true
		}
		t.last = e.ID.Message
		name := "MAILER-DAEMON" // as qshape writes the null path
		if path := e.Envelope.ReversePath; path != "" {
			name = address.FoldDomain(path[strings.LastIndexByte(path, '@')+1:])
		}
		t.count(name, age, 1, "")
	default:
		t.count(address.FoldDomain(e.Domain), age, int64(len(e.Recipients)), "")
	}
	return true
}

func (t *tally) count(name string, age, n int64, sample string) {
	r := t.rows[name]
	if r == nil {
		if len(t.rows) >= maxRows {
			name = otherRows
		}
		if r = t.rows[name]; r == nil {
			r = &CensusRow{Name: name}
			t.rows[name] = r
		}
	}
	r.add(age, n, sample)
	t.census.Total.add(age, n, "")
}

func (r *CensusRow) add(age, n int64, sample string) {
	i := 0
	for i < len(CensusAges) && age >= int64(CensusAges[i]) {
		i++
	}
	r.Total += n
	r.Ages[i] += n
	if r.Sample == "" {
		r.Sample = sample
	}
}

// largest are the rows, the largest first, at most so many as were asked for.
func (t *tally) largest() []CensusRow {
	rows := slices.SortedFunc(maps.Values(t.rows), func(a, b *CensusRow) int {
		return cmp.Or(cmp.Compare(b.Total, a.Total), cmp.Compare(a.Name, b.Name))
	})
	if t.arg.Top > 0 && len(rows) > t.arg.Top {
		rows = rows[:t.arg.Top]
	}
	out := make([]CensusRow, len(rows))
	for i, r := range rows {
		out[i] = *r
	}
	return out
}
