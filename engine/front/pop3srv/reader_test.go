package pop3srv

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"postrider/engine/edge/budget"
	"postrider/engine/edge/conn"
	"postrider/engine/edge/loop"
	"postrider/engine/protocol/pop3d"
	"postrider/storage"
)

// request makes a job that reads from a shelf.
func request(t *testing.T, s *shelf, first, count, lines int) *readJob {
	t.Helper()
	held, err := s.LockMaildrop(1)
	if err != nil {
		t.Fatal(err)
	}
	all, err := held.List(100)
	if err != nil {
		t.Fatal(err)
	}
	return &readJob{
		request: readRequest{lock: held, listing: all, first: first, count: count, lines: lines},
		buf:     make([]byte, 0, ReadBuffer),
	}
}

// whole are the messages that a job has read whole.
func (j *readJob) whole() (all []string) {
	for _, a := range j.ahead {
		all = append(all, fmt.Sprintf("%d:%s", a.index, j.buf[a.from:a.to]))
	}
	return all
}

// pieces reads the rest of the large message.
func (j *readJob) pieces(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for {
		b.Write(j.large.piece)
		if j.large.last {
			j.large.message.Close()
			return b.String()
		}
		if err := j.next(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestReadersBringWhatFits(t *testing.T) {
	huge := strings.Repeat("x", ReadBuffer-len(trace)-1) + "\r\n" // two octets too many
	fits := huge[2:]
	s := &shelf{texts: []string{"one\r\n", "two\r\n", huge, "four\r\n", fits, "six\r\n"}}
	for _, c := range []struct {
		first, count int
		want         []string
	}{
		{0, 1, []string{"0:" + trace + "one\r\n"}},
		{0, 4, []string{"0:" + trace + "one\r\n", "1:" + trace + "two\r\n"}},
		{3, 3, []string{"3:" + trace + "four\r\n"}},
		{4, 2, []string{"4:" + trace + fits}},
		{5, 1, []string{"5:" + trace + "six\r\n"}},
		{2, 4, nil},
	} {
		s.taken = false
		j := request(t, s, c.first, c.count, -1)
		if err := j.open(); err != nil {
			t.Fatal(err)
		}
		if got := j.whole(); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%d messages from %d: %.200q", c.count, c.first, got)
		}
		if c.want == nil {
			if j.large.octets != int64(len(trace)+len(huge)) || j.pieces(t) != trace+huge {
				t.Errorf("the large message has %d octets", j.large.octets)
			}
		}
		if s.open != 0 {
			t.Errorf("%d messages and sequences are still open", s.open)
		}
	}
}

// A message that can't be read is no matter of the one before it.
func TestReadersFailWithTheirOwnMessageOnly(t *testing.T) {
	s := &shelf{texts: []string{"one\r\n", "two\r\n", "three\r\n"}}
	s.on = func(call string, id storage.MessageID) error {
		if call == "append" && id == 2 {
			return storage.ErrCorrupt
		}
		return nil
	}
	j := request(t, s, 0, 3, -1)
	if err := j.open(); err != nil || len(j.ahead) != 1 || j.large.message != nil {
		t.Errorf("%q, %v", j.whole(), err)
	}
	s.taken = false
	if j = request(t, s, 1, 2, -1); !errors.Is(j.open(), storage.ErrCorrupt) || len(j.ahead) != 0 {
		t.Errorf("the message itself: %q", j.whole())
	}
}

// TOP ends after its lines, wherever pieces end.
func TestReadersCutForTOP(t *testing.T) {
	text := "Subject: x\r\n\r\n" + strings.Repeat(strings.Repeat("y", 98)+"\r\n", 3000)
	s := &shelf{texts: []string{text}}
	for _, lines := range []int{0, 1, 655, 656, 2999, 3000, 4000} {
		s.taken = false
		j := request(t, s, 0, 1, lines)
		if err := j.open(); err != nil {
			t.Fatal(err)
		}
		want := trace + text[:min(len("Subject: x\r\n\r\n")+100*lines, len(text))]
		if got := j.pieces(t); got != want {
			t.Errorf("TOP 1 %d has %d octets, want %d", lines, len(got), len(want))
		}
	}
}

// A trip to the readers for small messages allocates nothing here.
func TestReadersAllocateNothing(t *testing.T) {
	s := &shelf{texts: []string{"one\r\n", "two\r\n", "three\r\n"}}
	j := request(t, s, 0, 3, -1)
	all := newBuffers(budget.NewLedger(1 << 20))
	all.giveBack(all.book(new(budget.Waiter), false)) // makes the buffer
	var w budget.Waiter
	if n := testing.AllocsPerRun(100, func() {
		j.buf = all.book(&w, false)
		j.ahead = j.ahead[:0]
		if err := j.open(); err != nil || len(j.ahead) != 3 {
			t.Fatalf("%q, %v", j.whole(), err)
		}
		all.giveBack(j.buf)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A worker can reach neither the connection nor the machine from its job.
func TestJobsSeeNoConnection(t *testing.T) {
	forbidden := map[reflect.Type]bool{
		reflect.TypeFor[session](): true, reflect.TypeFor[conn.Session](): true, reflect.TypeFor[loop.Conn](): true,
		reflect.TypeFor[pop3d.Session](): true, reflect.TypeFor[Service](): true, reflect.TypeFor[loopState](): true,
	}
	for _, job := range []reflect.Type{reflect.TypeFor[loginJob](), reflect.TypeFor[readJob](), reflect.TypeFor[updateJob]()} {
		seen := make(map[reflect.Type]bool)
		var walk func(t reflect.Type, path string)
		walk = func(of reflect.Type, path string) {
			if forbidden[of] {
				t.Errorf("%s is a %v", path, of)
			}
			if seen[of] || of == reflect.TypeFor[loop.Loop]() { // a loop is there to post to
				return
			}
			seen[of] = true
			switch of.Kind() {
			case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
				walk(of.Elem(), path)
			case reflect.Struct:
				for f := range of.Fields() {
					walk(f.Type, path+"."+f.Name)
				}
			}
		}
		walk(job, job.Name())
		if len(seen) < 5 {
			t.Errorf("%v was not looked at", job)
		}
	}
}
