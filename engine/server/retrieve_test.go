package server

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"postrider/engine/config"
	"postrider/engine/front/pop3srv"
	"postrider/storage"
)

// textOf makes a message text of n octets on the wire and CRLFs, with a dot here
// and there, that differs from other seeds'.
func textOf(seed, n int) string {
	b := []byte(fmt.Sprintf("X: %d\r\n\r\n", seed))
	rnd := rand.New(rand.NewPCG(uint64(seed), 7))
	for len(b) < n-80 {
		line := 1 + rnd.IntN(70)
		for range line {
			b = append(b, byte('a'+rnd.IntN(26)))
		}
		b = append(b, "\r\n"...)
		if rnd.IntN(9) == 0 {
			b = append(b, "..\r\n"...) // stuffed
		}
	}
	for len(b) < n-2 {
		b = append(b, 'z')
	}
	return string(append(b, "\r\n"...))
}

// unstuffed is what a reader sees of a text on the wire.
func unstuffed(text string) string { return strings.ReplaceAll(text, "\r\n.", "\r\n") }

// topOf is the header of a message, the empty line, and n lines of its body.
func topOf(message string, n int) string {
	head, body, _ := strings.Cut(message, "\r\n\r\n")
	lines := strings.SplitAfter(body, "\r\n")
	return head + "\r\n\r\n" + strings.Join(lines[:min(n, len(lines))], "")
}

// TestRetrieveInAnyOrder asks for messages of all kinds of sizes, those around the
// read buffer's to the octet, in any order, with TOP, DELE and RSET between, one by
// one and pipelined; each answer must be whole and have the octets announced.
func TestRetrieveInAnyOrder(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	f := start(t, func(c *config.Config) { c.POP3.MaxErrors = 0 }, nil)

	f.deliver(t, "mbrain@localhost", textOf(0, 200))
	p := f.login(t, "mbrain")
	trace := number(t, strings.Fields(p.say("LIST 1", "+OK 1 "))[2]) - len(unstuffed(textOf(0, 200)))
	p.say("QUIT", "+OK")
	sizes := []int{200}
	for _, n := range []int{-2, -1, 0, 1, 2} {
		sizes = append(sizes, pop3srv.ReadBuffer-trace+n, pop3srv.ReadBuffer+n, 2*pop3srv.ReadBuffer-trace+n)
	}
	for range 25 {
		sizes = append(sizes, 100+rnd.IntN(3000))
	}
	sizes = append(sizes, 30<<10, 35<<10, 300<<10)
	rnd.Shuffle(len(sizes)-1, func(i, j int) { sizes[i+1], sizes[j+1] = sizes[j+1], sizes[i+1] })
	for i, n := range sizes[1:] {
		f.deliver(t, "mbrain@localhost", textOf(i+1, n))
	}
	p = f.login(t, "mbrain")
	deleted := make([]bool, len(sizes))
	next := 0
	for range 60 {
		var commands strings.Builder
		var checks []func()
		for range 1 + rnd.IntN(8) {
			i := rnd.IntN(len(sizes))
			switch rnd.IntN(3) {
			case 0:
			case 1: // the way most clients do
				i = next
			case 2:
				i = max(next-1, 0)
			}
			next = (i + 1) % len(sizes)
			whole := unstuffed(textOf(i, sizes[i]))
			gone := deleted[i]
			switch op := rnd.IntN(10); {
			case op < 6:
				fmt.Fprintf(&commands, "RETR %d\r\n", i+1)
				checks = append(checks, func() { p.isMessage(i, gone, whole, true) })
			case op < 8:
				n := rnd.IntN(6) * rnd.IntN(6) * rnd.IntN(300)
				fmt.Fprintf(&commands, "TOP %d %d\r\n", i+1, n)
				checks = append(checks, func() { p.isMessage(i, gone, topOf(whole, n), false) })
			case op < 9:
				fmt.Fprintf(&commands, "DELE %d\r\n", i+1)
				checks = append(checks, func() { p.isDone(gone) })
				deleted[i] = true
			default:
				commands.WriteString("RSET\r\n")
				checks = append(checks, func() { p.isDone(false) })
				clear(deleted)
			}
		}
		go p.Write([]byte(commands.String()))
		for _, check := range checks {
			check()
		}
	}
	p.say("QUIT", "+OK")
	p.end()
	left := 0
	for _, d := range deleted {
		if !d {
			left++
		}
	}
	if m, _, err := f.store.Usage(1); int(m) != left || err != nil {
		t.Errorf("%d messages are left, %d were not deleted, %v", m, left, err)
	}
	until(t, "nothing is booked", func() bool { return f.budget.Used() == 0 })
}

// TestRetrieveInOrder reads a long maildrop from its begin to its end, as most clients
// do, which makes the session read ahead further; a large message is between them.
func TestRetrieveInOrder(t *testing.T) {
	f := start(t, nil, nil)
	var whole []string
	for i := range 250 {
		n := 2500 + i*7
		if i == 180 {
			n = 2 * pop3srv.WideBuffer
		}
		whole = append(whole, unstuffed(textOf(i, n)))
		f.deliver(t, "mbrain@localhost", textOf(i, n))
	}
	until(t, "the sessions that delivered are over", func() bool { return f.budget.Used() == 0 })
	p := f.login(t, "mbrain")
	booked := int64(0)
	for i := range whole {
		p.send(fmt.Sprintf("RETR %d\r\n", i+1))
		p.isMessage(i, false, whole[i], true)
		booked = max(booked, f.budget.Bulk.Used())
	}
	p.say("QUIT", "+OK")
	p.end()
	until(t, "nothing is booked", func() bool { return f.budget.Used() == 0 })
	if booked != pop3srv.WideBuffer {
		t.Errorf("the session booked %d octets, so it used no wide buffer", booked)
	}
}

func number(t testing.TB, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// isDone reads a status line.
func (p *peer) isDone(refused bool) {
	p.t.Helper()
	if refused {
		p.expect("-ERR")
	} else {
		p.expect("+OK")
	}
}

// isMessage reads the answer to RETR or TOP.
func (p *peer) isMessage(i int, refused bool, want string, counted bool) {
	p.t.Helper()
	if refused {
		p.expect("-ERR")
		return
	}
	status := p.expect("+OK")
	got := p.listing()
	if counted && strings.Fields(status)[1] != fmt.Sprint(len(got)) {
		p.t.Errorf("message %d: %q, but %d octets came", i+1, status, len(got))
	}
	if _, text, _ := strings.Cut(got, "\r\nX: "); "X: "+text != want {
		p.t.Fatalf("message %d of %d octets came with %d, and differs", i+1, len(want), len(text)+3)
	}
}

// broken is a store in which one message can't be read after its first piece,
// or not at all.
type broken struct {
	storage.Store
	id    atomic.Uint64
	after atomic.Int64 // pieces
}

type brokenLock struct {
	storage.Lock
	s *broken
}

type brokenMessage struct {
	storage.Message
	left int64
}

func (s *broken) LockMaildrop(id storage.AccountID) (storage.Lock, error) {
	l, err := s.Store.LockMaildrop(id)
	if err != nil {
		return nil, err
	}
	return &brokenLock{l, s}, nil
}

func (l *brokenLock) Open(id storage.MessageID) (storage.Message, error) {
	m, err := l.Lock.Open(id)
	if err != nil || uint64(id) != l.s.id.Load() {
		return m, err
	}
	return &brokenMessage{m, l.s.after.Load()}, nil
}

func (l *brokenLock) Sequence() (storage.Sequence, error) {
	q, err := l.Lock.Sequence()
	return &brokenSequence{q, l.s}, err
}

type brokenSequence struct {
	storage.Sequence
	s *broken
}

func (q *brokenSequence) Append(dst []byte, id storage.MessageID) ([]byte, storage.Entry, error) {
	out, e, err := q.Sequence.Append(dst, id)
	if err == nil && uint64(id) == q.s.id.Load() {
		return dst, e, storage.ErrCorrupt
	}
	return out, e, err
}

func (m *brokenMessage) Next() ([]byte, error) {
	if m.left--; m.left < 0 {
		return nil, storage.ErrCorrupt
	}
	return m.Message.Next()
}

// TestMessageThatCanNotBeRead: alone it is refused, and those around it, which are
// read ahead with it, are not; after its first piece it ends the session without a
// terminator, and frees the maildrop.
func TestMessageThatCanNotBeRead(t *testing.T) {
	var s *broken
	f := start(t, nil, func(st storage.Store) storage.Store { s = &broken{Store: st}; return s })
	for i := range 6 {
		id, err := storage.ParseMessageID(f.deliver(t, "mbrain@localhost", textOf(i, 300)))
		if err != nil {
			t.Fatal(err)
		}
		if i == 2 {
			s.id.Store(uint64(id))
		}
	}
	large, err := storage.ParseMessageID(f.deliver(t, "mbrain@localhost", textOf(6, 300<<10)))
	if err != nil {
		t.Fatal(err)
	}
	p := f.login(t, "mbrain")
	for range 2 {
		for i := range 7 {
			p.send(fmt.Sprintf("RETR %d\r\n", i+1))
			if i == 2 {
				p.expect("-ERR [SYS/PERM]")
				continue
			}
			n := 300
			if i == 6 {
				n = 300 << 10
			}
			p.isMessage(i, false, unstuffed(textOf(i, n)), true)
		}
	}
	s.id.Store(uint64(large))
	s.after.Store(2)
	p.say("DELE 1", "+OK")
	p.say("RETR 7", "+OK")
	for {
		l, err := p.r.ReadString('\n')
		if err != nil {
			break
		}
		if l == ".\r\n" {
			t.Fatal("a message with a hole has a terminator")
		}
	}
	f.maildropIsFree(t, 1)
	if m, _, err := f.store.Usage(1); m != 7 || err != nil {
		t.Errorf("%d messages, %v", m, err)
	}
}
