package admin

import (
	"net/http"
	"sync"
	"time"
)

// endPatience is how long the end of the server waits for commands that it has cut off. A
// checkpoint, or a step of removing an account, is carried out to its end.
const endPatience = 30 * time.Second

// calls counts the requests under way. The end of an http.Server does not wait for them, and
// a store must not be closed under them.
type calls struct {
	next http.Handler

	mu    sync.Mutex
	n     int
	ended bool
	over  chan struct{} // closed when the last one has ended
}

// ServeHTTP implements http.Handler.
func (c *calls) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		return // its connection is closed
	}
	c.n++
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.n--; c.n == 0 && c.ended {
			close(c.over)
		}
	}()
	c.next.ServeHTTP(w, r)
}

// end lets no request begin any more, and waits for those under way; n: so many did not end.
func (c *calls) end(patience time.Duration) (n int) {
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		return 0
	}
	c.ended = true
	if c.n == 0 {
		close(c.over)
	}
	c.mu.Unlock()
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case <-c.over:
	case <-t.C:
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}
