package web

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"postrider/storage"
)

// Budget is the memory that all requests share. Reserve does not wait.
type Budget interface {
	Reserve(octets int64) bool
	Release(octets int64)
}

// ErrOverloaded: there is no memory for a request now, or no turn.
// ErrOverloaded: see Take.
var ErrOverloaded = errors.New("the server is overloaded")

const (
	// workBase is booked for each request: its header, and what reading mail takes.
	workBase = 256 << 10
	// workUnit is the least that is booked further.
	workUnit = 64 << 10
	// workLook is how often a request that waits looks whether it may go on.
	workLook = 20 * time.Millisecond
	// maxTurns is how many requests of one account are worked on at once. Files that are
	// being sent are not among them.
	maxTurns = 8
)

// workWait is how long a request waits for memory or its turn, before it is refused with
// 503. Tests don't wait so long.
var workWait = 5 * time.Second

// work is what a request holds, until it is answered. It belongs to the goroutine of
// the request.
type work struct {
	ctx    context.Context
	budget Budget
	held   int64
	spare  int64 // part of held that is not used yet
	ends   []func()
}

type workKey struct{}

// withWork books the memory of each request. It ends the work of a request whose client
// has gone: then Take fails.
func withWork(next http.Handler, budget Budget) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		k := &work{ctx: r.Context(), budget: budget}
		defer k.end()
		if err := k.take(workBase); err != nil {
			failed(w, Frame{}, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), workKey{}, k)))
	})
}

// Take books memory for the request of a context, until the request is answered. It waits
// for a while when there is none, and then fails; it fails at once when the client does not wait for
// the answer any more.
func Take(ctx context.Context, octets int64) error {
	if k, ok := ctx.Value(workKey{}).(*work); ok {
		return k.take(octets)
	}
	return ctx.Err()
}

func (k *work) take(octets int64) error {
	if err := k.ctx.Err(); err != nil {
		return err
	}
	if k.budget == nil || octets <= k.spare {
		k.spare -= min(octets, k.spare)
		return nil
	}
	n := (octets - k.spare + workUnit - 1) / workUnit * workUnit
	if err := wait(k.ctx, func() bool { return k.budget.Reserve(n) }); err != nil {
		return err
	}
	k.held += n
	k.spare += n - octets
	return nil
}

// wait waits until ok is true, for at most workWait.
func wait(ctx context.Context, ok func() bool) error {
	if ok() {
		return nil
	}
	look, until := time.NewTicker(workLook), time.Now().Add(workWait)
	defer look.Stop()
	for time.Now().Before(until) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-look.C:
		}
		if ok() {
			return nil
		}
	}
	return ErrOverloaded
}

func (k *work) end() {
	for _, end := range k.ends {
		end()
	}
	if k.budget != nil {
		k.budget.Release(k.held)
	}
}

// turns counts the requests of each account that are worked on.
type turns struct {
	mu sync.Mutex
	of map[storage.AccountID]int
}

// take waits for a turn of an account, which ends with the request of ctx.
func (t *turns) take(ctx context.Context, account storage.AccountID) error {
	k, ok := ctx.Value(workKey{}).(*work)
	if !ok {
		return nil
	}
	err := wait(ctx, func() bool {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.of == nil {
			t.of = make(map[storage.AccountID]int)
		}
		if t.of[account] >= maxTurns {
			return false
		}
		t.of[account]++
		return true
	})
	if err == nil {
		k.ends = append(k.ends, func() { t.leave(account) })
	}
	return err
}

func (t *turns) leave(account storage.AccountID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.of[account]--; t.of[account] == 0 {
		delete(t.of, account)
	}
}

// attended is a reader that fails once the client has gone.
type attended struct {
	ctx context.Context
	in  io.Reader
}

func (a attended) Read(p []byte) (int, error) {
	if err := a.ctx.Err(); err != nil {
		return 0, err
	}
	return a.in.Read(p)
}

// readBooked is io.ReadAll of at most limit octets, and books cost times what it keeps.
func readBooked(ctx context.Context, to []byte, r io.Reader, limit int, cost int64) ([]byte, error) {
	for begin := len(to); len(to)-begin < limit; {
		n := min(limit-(len(to)-begin), workUnit)
		if err := Take(ctx, int64(n)*cost); err != nil {
			return to, err
		}
		at := len(to)
		to = append(to, make([]byte, n)...)
		got, err := io.ReadFull(r, to[at:])
		to = to[:at+got]
		if k, ok := ctx.Value(workKey{}).(*work); ok && k.budget != nil {
			k.spare += int64(n-got) * cost
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF { // the end, as ReadFull has it
			return to, nil
		}
		if err != nil {
			return to, err
		}
	}
	return to, nil
}
