package serve

import (
	"context"
	"errors"
	"fmt"
	"net/textproto"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/storage"
)

// closing is a store that does something first when it is closed.
type closing struct {
	storage.Store
	first func()
}

func (c closing) Close() error {
	c.first()
	return c.Store.Close()
}

// A server that is told to end in the middle of a restart ends without an error, although its
// store is closed already; and so does one that is told to before.
func TestEndInTheMiddleOfARestart(t *testing.T) {
	for _, ordered := range []bool{true, false} {
		t.Run(fmt.Sprint(ordered), func(t *testing.T) {
			r, _ := startRunning(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			log := r.srv.History()
			store := closing{r.store, sync.OnceFunc(func() {
				cancel()
				log.AddDeleted([]storage.MessageID{7}, "reader@localhost", "a test", "")
			})}
			if ordered {
				r.stage.Store(replacing)
				r.orders <- &handover{Ordered: time.Now()}
			} else {
				cancel()
			}
			next, err := r.untilEnd(ctx, nil, r.web, store)
			if next != nil || err != nil {
				t.Errorf("%+v, %v", next, err)
			}
			if n := log.Stats.Events.Load(); n != 1 {
				t.Errorf("%d events are written, want the one that came at the end of the store", n)
			}
		})
	}
}

// A restart does not wait for the open sessions of a store that fails meanwhile. The next process
// then does not give up when it can't open the store.
func TestRestartWithAStoreThatFails(t *testing.T) {
	r, _ := startRunning(t)
	cfg := r.cfg.Load().Clone()
	cfg.Limits.DrainTimeout = time.Hour
	r.cfg.Store(cfg)
	if err := errors.Join(r.store.AddDomain(cfg.DefaultDomain()), addPostmaster(r.store, cfg.DefaultDomain())); err != nil {
		t.Fatal(err)
	}
	c, err := textproto.Dial("tcp", r.srv.Addrs("smtp")[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	expect := func(code int) {
		t.Helper()
		if _, _, err := c.ReadResponse(code); err != nil {
			t.Fatal(err)
		}
	}
	expect(220)
	for _, line := range []string{"EHLO client.test", "MAIL FROM:<a@client.test>", "RCPT TO:<postmaster>"} {
		if err := c.PrintfLine("%s", line); err != nil {
			t.Fatal(err)
		}
		expect(250)
	}
	if err := c.PrintfLine("DATA"); err != nil {
		t.Fatal(err)
	}
	expect(354)
	failed := make(chan error, 1)
	failed <- errors.New("a test")
	r.stage.Store(replacing)
	next := r.give(t.Context(), &handover{Ordered: time.Now()}, failed, r.web, r.store)
	if next == nil || next.by == nil || !next.failed {
		t.Fatalf("%+v", next)
	}
	if next.by.Before > 0 {
		_ = unix.Close(next.by.Before)
	}
}

// noSockets can't be passed.
type noSockets struct{ tries *int }

func (s noSockets) Pass() (string, error) {
	*s.tries++
	return "", errors.New("a test")
}

// A program that can't be executed leaves no descriptor to the process that goes on. None is
// executed when the process is to end.
func TestSuccessorThatIsNotTaken(t *testing.T) {
	tries := 0
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Dup(int(f.Fd())) //nolint:gosec // a descriptor
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	n := &successor{program: "/nowhere", sockets: noSockets{&tries}, by: &handover{Before: fd}}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := n.take(ended); err != nil || tries != 0 {
		t.Errorf("%v, %d tries", err, tries)
	}
	if err := n.take(t.Context()); err == nil || tries != 2 {
		t.Errorf("%v, %d tries", err, tries)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); !errors.Is(err, unix.EBADF) { //nolint:gosec // a descriptor
		t.Errorf("the descriptor is still open: %v", err)
	}
}

// Commands that take all of their time leave mail of local users its own, and the answer to the
// order has time, also when limits.drain_timeout is 0.
func TestEndOthersHaveTimesOfTheirOwn(t *testing.T) {
	r, _ := startRunning(t)
	admin, mail := r.web.admin, r.web.mail
	var order []string
	note := func(name string, ctx context.Context) {
		if ctx.Err() != nil {
			name += " without time"
		}
		order = append(order, name)
	}
	r.web.admin = func(ctx context.Context) {
		note("admin", ctx)
		<-ctx.Done()
		admin(ctx)
	}
	r.web.mail = func(ctx context.Context) {
		note("mail", ctx)
		mail(ctx)
	}
	r.endOthers(0, r.web)()
	if got := fmt.Sprint(order); got != "[admin mail]" {
		t.Error(got)
	}
	r.web.admin, r.web.mail = admin, mail
}
