package capture

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"postrider/storage"
)

const (
	// lookEvery is how soon a waiting client is told about new mail.
	lookEvery = 200 * time.Millisecond
	// maxWatchers is how many may wait at once.
	maxWatchers = 256
	// keepAlive is how often a stream of events without events sends a comment.
	keepAlive = 15 * time.Second
	maxWait   = 10 * time.Minute
)

var errWatchers = fmt.Errorf("%d clients wait for mail already; try again later", maxWatchers)

var errDraining = errors.New("the server is stopping; try again after its restart")

// state is what a change of the mailbox changes.
type state struct {
	Total  int64
	Newest string // "": there is none
}

func (v *View) state() (s state, err error) {
	if s.Total, _, err = v.cfg.Load().Store.Usage(v.cfg.Load().Account); err != nil || s.Total == 0 {
		return s, err
	}
	view, err := v.cfg.Load().Store.Browse(v.cfg.Load().Account, storage.MaxMessageID)
	if err != nil {
		return s, err
	}
	defer view.Close()
	if !view.Next() {
		return s, view.Err()
	}
	m, err := view.Open()
	if err != nil {
		return s, err
	}
	s.Newest = m.Entry().ID.String()
	m.Close()
	return s, nil
}

// watch begins to wait; end ends it.
func (v *View) watch() (end func(), err error) {
	if v.watchers.Add(1) > maxWatchers {
		v.watchers.Add(-1)
		return nil, errWatchers
	}
	return func() { v.watchers.Add(-1) }, nil
}

// next waits until the mailbox differs from was, for at most limit, and returns its
// state; ok reports whether it differs.
func (v *View) next(ctx context.Context, was state, limit time.Duration) (now state, ok bool, err error) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	until := time.Now().Add(limit)
	for {
		if now, err = v.state(); err != nil || now != was {
			return now, err == nil, err
		}
		if v.cfg.Load().Draining != nil && v.cfg.Load().Draining() {
			return now, false, errDraining
		}
		if time.Now().After(until) {
			return now, false, nil
		}
		select {
		case <-ctx.Done():
			return now, false, ctx.Err()
		case <-tick.C:
		}
	}
}

// events streams the state of the mailbox, at once and whenever it changes.
func (v *View) events(w http.ResponseWriter, r *http.Request) error {
	end, err := v.watch()
	if err != nil {
		return err
	}
	defer end()
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	turn := http.NewResponseController(w)
	last := state{Total: -1}
	for {
		now, changed, err := v.next(r.Context(), last, keepAlive)
		if err != nil {
			return nil //nolint:nilerr // the stream ends, and the browser comes again
		}
		_ = turn.SetWriteDeadline(time.Now().Add(keepAlive)) // not every writer knows deadlines
		line := ": nothing new\n\n"
		if changed {
			b, _ := json.Marshal(now) // two fields, which JSON has
			line = "event: mailbox\ndata: " + string(b) + "\n\n"
		}
		if _, err := w.Write([]byte(line)); err != nil || turn.Flush() != nil {
			return nil //nolint:nilerr // the client has gone
		}
		last = now
	}
}

// wait answers once there are enough messages of a query.
func (v *View) wait(w http.ResponseWriter, r *http.Request) error {
	q, err := queryOf(r)
	if err != nil {
		return err
	}
	count, err := number(r, "count", 1, 1, maxLimit)
	if err != nil {
		return err
	}
	limit := 10 * time.Second
	if text := r.URL.Query().Get("timeout"); text != "" {
		if limit, err = time.ParseDuration(text); err != nil || limit < 0 || limit > maxWait {
			return badRequest{fmt.Errorf("timeout=%s: expected a duration up to %s, such as 10s", text, maxWait)}
		}
	}
	end, err := v.watch()
	if err != nil {
		return err
	}
	defer end()
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(limit + 2*searchTime)) // as above
	f, err := v.waitFor(r.Context(), q, count, limit)
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, f)
	return nil
}

// waitFor looks at the messages that are there, and then at each that comes.
func (v *View) waitFor(ctx context.Context, q query, count int, limit time.Duration) (found, error) {
	until, matching, seen := time.Now().Add(limit), 0, storage.MessageID(0)
	for {
		was, err := v.state()
		if err != nil {
			return found{}, err
		}
		newest, peak := seen, 0
		err = v.each(ctx, func(m storage.Message) (bool, error) {
			id := m.Entry().ID
			if id <= seen {
				return false, nil
			}
			newest = max(newest, id)
			_, ok, _, err := match(ctx, m, q, &peak)
			if ok {
				matching++
			}
			return true, err
		})
		if err != nil {
			return found{}, err
		}
		seen = newest
		if matching >= count {
			f, err := v.find(ctx, q, 0, max(count, 50))
			if err != nil || f.Matching >= int64(count) {
				return f, err
			}
			matching = int(f.Matching) // some were deleted
		}
		_, changed, err := v.next(ctx, was, time.Until(until))
		if err != nil {
			return found{}, err
		}
		if !changed {
			return found{}, fmt.Errorf("%w: %d of %d messages arrived", errTime, matching, count)
		}
	}
}
