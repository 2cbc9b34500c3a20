package selection

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"postrider/cmd/postrider/queue/entry"
	"postrider/cmd/sysexits"
	"postrider/storage"
)

func TestParseID(t *testing.T) {
	f := func(in, want string, whole bool) {
		t.Helper()
		if got, err := ParseID(in); err != nil || got.String() != want || got.Whole != whole {
			t.Errorf("%s: %v %v", in, got, err)
		}
	}
	f("0000000000001", "0000000000001", true)
	f("0000000000001*", "0000000000001", true)
	f("0000000000001!", "0000000000001", true)
	f("0000000000001-0", "0000000000001-0", false)
	f("0000000000001-12!", "0000000000001-12", false)
	for _, bad := range []string{"", "x", "0000000000001-", "0000000000001-x", "-1", "*"} {
		if got, err := ParseID(bad); code(err) != sysexits.Usage {
			t.Errorf("%q: %v %v", bad, got, err)
		}
	}
}

func code(err error) sysexits.Code {
	c, _ := sysexits.Of(err)
	return c
}

func TestReadIDs(t *testing.T) {
	f := func(args, in, want string, all bool) {
		t.Helper()
		ids, whole, err := ReadIDs(strings.Fields(args), strings.NewReader(in))
		if got := strings.Trim(fmt.Sprint(ids), "[]"); err != nil || got != want || whole != all {
			t.Errorf("%q, %q: %s %v %v", args, in, got, whole, err)
		}
	}
	f("", "", "", true)
	f("ALL", "", "", true)
	f("0000000000002 0000000000001-1", "", "0000000000002 0000000000001-1", false)
	f("- 0000000000003", " 0000000000002!\n\n0000000000001-1 ", "0000000000002 0000000000001-1 0000000000003", false)
	f("-", "", "", false) // nothing was piped in: that is not the whole queue
	if _, _, err := ReadIDs([]string{"ALL", "0000000000001"}, nil); code(err) != sysexits.Usage || !strings.Contains(err.Error(), "exclude") {
		t.Error(err)
	}
	if _, _, err := ReadIDs([]string{"-"}, iotest.ErrReader(errors.New("broken"))); code(err) != sysexits.IOErr {
		t.Error(err)
	}
}

// criteria are the flags of a command line.
func criteria(set func(*Criteria), given ...string) *Criteria {
	c := &Criteria{Given: func(flag string) bool { return slices.Contains(given, flag) }}
	if set != nil {
		set(c)
	}
	return c
}

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func TestFilter_Success(t *testing.T) {
	held, path, null := false, "Al@a.example", ""
	f := func(c *Criteria, want storage.QueueFilter) {
		t.Helper()
		got, err := c.Filter(now)
		if err != nil || show(got) != show(want) {
			t.Errorf("got %s %v, want %s", show(got), err, show(want))
		}
	}
	f(criteria(nil), storage.QueueFilter{})
	f(criteria(func(c *Criteria) { c.Domain = "X.Example." }), storage.QueueFilter{Domain: "x.example"})
	f(criteria(func(c *Criteria) { c.From = "<Al@a.example>" }, "from"), storage.QueueFilter{ReversePath: &path})
	f(criteria(func(c *Criteria) { c.From = "<>" }, "from"), storage.QueueFilter{ReversePath: &null})
	f(criteria(func(c *Criteria) { c.From = "" }, "from"), storage.QueueFilter{ReversePath: &null})
	f(criteria(nil, "held"), storage.QueueFilter{Held: &held}) // --held=false
	f(criteria(func(c *Criteria) { c.Older, c.Younger = "1d", "2d" }),
		storage.QueueFilter{ArrivedBefore: now.Add(-24 * time.Hour), ArrivedAfter: now.Add(-48 * time.Hour)})
	for _, status := range []string{"2", "4", "5", "4.4", "4.4.1", "5.123.999"} {
		f(criteria(func(c *Criteria) { c.Status = status }), storage.QueueFilter{Status: status})
	}
}

// show is a filter with what its pointers point to.
func show(f storage.QueueFilter) string {
	var path, held any
	if f.ReversePath != nil {
		path = *f.ReversePath
	}
	if f.Held != nil {
		held = *f.Held
	}
	f.ReversePath, f.Held = nil, nil
	return fmt.Sprintf("%+v from %q held %v", f, path, held)
}

func TestFilter_Failure(t *testing.T) {
	f := func(want string, set func(*Criteria)) {
		t.Helper()
		if _, err := criteria(set).Filter(now); code(err) != sysexits.Usage || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %v", want, err)
		}
	}
	f("not an address", func(c *Criteria) { c.Domain = "bob@x.example" })
	f("--older soon", func(c *Criteria) { c.Older = "soon" })
	f("--younger -5m", func(c *Criteria) { c.Younger = "-5m" })
	f("--limit -1", func(c *Criteria) { c.Limit = -1 })
	for _, status := range []string{"refused", "3", "44", "4.", "4..1", "4.4444", "4.x", "4.4.1.1", " 4", "4.-1"} {
		f("such as 4.4.1", func(c *Criteria) { c.Status = status })
	}
}

func TestNone(t *testing.T) {
	if !criteria(nil).None(nil) || criteria(nil).None([]string{"ALL"}) {
		t.Error("arguments do not count, or count too much")
	}
	for _, flag := range flags {
		if criteria(nil, flag).None(nil) {
			t.Errorf("--%s selects nothing", flag)
		}
	}
	if !criteria(nil, "json").None(nil) {
		t.Error("a flag that selects nothing selects")
	}
}

// queue is a queue of entries that is filtered by message alone.
type queue []storage.QueueEntry

func (q queue) Queued(filter storage.QueueFilter, f func(*storage.QueueEntry) bool) error {
	for i := range q {
		if e := q[i]; (filter.Message == 0 || filter.Message == e.ID.Message) && !f(&e) {
			break
		}
	}
	return nil
}

func TestEach(t *testing.T) {
	q := queue{{ID: storage.EntryID{Message: 1}}, {ID: storage.EntryID{Message: 1, Part: 1}, Held: true}, {ID: storage.EntryID{Message: 2}}}
	f := func(s Selection, args, want string, missing ...string) {
		t.Helper()
		ids, whole, err := ReadIDs(strings.Fields(args), nil)
		if err != nil {
			t.Fatal(err)
		}
		s.IDs, s.Whole = ids, whole
		var got []string
		err = s.Each(q, func(e *storage.QueueEntry) { e.Domain = "seen" }, func(e *storage.QueueEntry) bool {
			got = append(got, strings.TrimLeft(entry.Name(e.ID), "0"))
			return e.Domain == "seen"
		})
		if strings.Join(got, " ") != want || (err != nil) != (len(missing) > 0) {
			t.Errorf("%s: %s %v, want %s", args, got, err, want)
		}
		for _, id := range missing {
			if code(err) != sysexits.NoUser || !strings.Contains(err.Error(), id+" is not in the queue") {
				t.Errorf("%s: %v", args, err)
			}
		}
	}
	const one, first = "0000000000001", "0000000000001-0"
	f(Selection{}, "", "1-0 1-1 2-0")
	f(Selection{}, one, "1-0 1-1")
	f(Selection{}, first, "1-0")
	f(Selection{}, "0000000000002 "+one, "2-0 1-0 1-1")
	f(Selection{Limit: 2}, "0000000000002 "+one, "2-0 1-0")
	f(Selection{Limit: 1, Skip: func(e *storage.QueueEntry) bool { return !e.Held }}, "", "1-1")
	f(Selection{}, "0000000000009 0000000000001-7 0000000000002", "2-0", "0000000000009", "0000000000001-7")
}

func TestEntries(t *testing.T) {
	q := queue{{ID: storage.EntryID{Message: 1}}, {ID: storage.EntryID{Message: 1, Part: 1}}, {ID: storage.EntryID{Message: 2}}}
	f := func(id string, want int) {
		t.Helper()
		parsed, err := ParseID(id)
		if err != nil {
			t.Fatal(err)
		}
		if found, err := parsed.Entries(q); err != nil || len(found) != want {
			t.Errorf("%s: %d %v", id, len(found), err)
		}
	}
	f("0000000000001", 2)
	f("0000000000001-1", 1)
	f("0000000000001-2", 0)
	f("0000000000003", 0)
}
