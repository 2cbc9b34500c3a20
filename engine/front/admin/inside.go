package admin

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"postrider/engine/edge/conn"
)

// Inside is what a running server tells of itself. Its methods may be called from any
// goroutine.
type Inside interface {
	// Details are the parts of the status that change.
	Details(ctx context.Context) Details
	// Look lists at most so many sessions, and counts all that are selected.
	Look(ctx context.Context, sel conn.Selection, most int) (conn.Survey, error)
	// End ends sessions: see conn.Edge.
	End(ctx context.Context, sel conn.Selection, now bool) (int, error)
	// Trace hands over dialogues: see conn.Edge.
	Trace(ctx context.Context, sel conn.Selection, each func([]conn.TraceLine) error) error
	// TraceTo hands over the dialogues with the hosts of a destination: the domain of the
	// recipients, or the name of a host.
	TraceTo(ctx context.Context, destination string, each func([]conn.TraceLine) error) error
}

// Details are what a server does at one moment.
type Details struct {
	Listeners   []Listener   `json:"listeners"`
	Sessions    []conn.Group `json:"sessions"` // open ones, by protocol, state and what they wait for
	Traced      int          `json:"traced"`   // sessions whose dialogues are read by "postrider trace"
	Connections Connections  `json:"connections"`
	Queue       QueueTotal   `json:"queue"`
	Store       StoreFacts   `json:"store"`
	Memory      []Ledger     `json:"memory"` // limits.memory
	// Limits have refused something or made it wait since the start; the last one is first.
	Limits []Limit `json:"limits"`
	// Totals count since the start, by the names of the metrics.
	Totals map[string]int64 `json:"totals"`
}

// Listener is what a server listens at.
type Listener struct {
	Name  string   `json:"name"`
	Addrs []string `json:"addresses"`
}

// Connections are the open connections of all protocols, and limits.connections.
type Connections struct {
	Open      int `json:"open"`
	Strangers int `json:"strangers"` // from other networks than relay.networks and smtp.trusted_networks
	Limit     int `json:"limit"`
	Outgoing  int `json:"outgoing"` // to other hosts
}

// QueueTotal is the size of the queue, and its entries by class.
type QueueTotal struct {
	Entries int64 `json:"entries"`
	Octets  int64 `json:"octets"`
	// Counted: the classes are known. The status does not count a queue that is too long for
	// that; "postrider queue stat" does.
	Counted  bool  `json:"counted"`
	Due      int64 `json:"due"`
	Deferred int64 `json:"deferred"`
	Held     int64 `json:"held"`
}

// StoreFacts are how the store is.
type StoreFacts struct {
	Free     int64              `json:"free"`      // octets on its disk above storage.free_floor
	InFlight int64              `json:"in_flight"` // messages that wait for their sync
	Figures  map[string]float64 `json:"figures"`   // its own, by the names of the metrics
}

// Ledger is a part of limits.memory.
type Ledger struct {
	Name  string `json:"name"`
	Used  int64  `json:"used"`
	Limit int64  `json:"limit"`
}

// Limit is a limit that refused something or made it wait.
type Limit struct {
	Key   string    `json:"key"`
	Count int64     `json:"count"` // since the start
	Last  time.Time `json:"last"`  // to the second
}

type (
	lookArg struct {
		Selection conn.Selection
		Most      int
	}
	endArg struct {
		Selection conn.Selection
		Now       bool
	}
)

// auditedInside is a running server; the acts are logged.
type auditedInside struct {
	Inside
	log *slog.Logger
}

// End implements Inside.
func (a *auditedInside) End(ctx context.Context, sel conn.Selection, now bool) (int, error) {
	n, err := a.Inside.End(ctx, sel, now)
	if n > 0 {
		a.log.Info("sessions ended", append([]any{"sessions", n, "now", now}, facts(&sel)...)...)
	}
	return n, err
}

var errNoInside = errors.New("the running server can't tell of its sessions")

// statusOf is the whole status.
func statusOf(ctx context.Context, status func() Status, inside Inside) Status {
	st := status()
	if inside != nil {
		d := inside.Details(ctx)
		d.Listeners = append(d.Listeners, st.Listening...)
		st.Details = &d
	}
	return st
}

// insideRoutes adds what only a running server can tell and do.
func insideRoutes(mux *http.ServeMux, inside Inside) {
	methodContext(mux, "sessions", func(ctx context.Context, arg lookArg) (conn.Survey, error) {
		if inside == nil {
			return conn.Survey{}, errNoInside
		}
		return inside.Look(ctx, arg.Selection, arg.Most)
	})
	methodContext(mux, "sessions-end", func(ctx context.Context, arg endArg) (int, error) {
		if inside == nil {
			return 0, errNoInside
		}
		return inside.End(ctx, arg.Selection, arg.Now)
	})
	mux.HandleFunc("POST /v1/trace", func(w http.ResponseWriter, r *http.Request) { serveTrace(inside, w, r) })
}

// Look lists at most so many sessions of the running server, and counts all that are
// selected.
func (c *Client) Look(sel conn.Selection, most int) (v conn.Survey, err error) {
	return v, c.ask("sessions", lookArg{sel, most}, &v)
}

// End ends sessions of the running server, and returns how many.
func (c *Client) End(sel conn.Selection, now bool) (n int, err error) {
	return n, c.ask("sessions-end", endArg{sel, now}, &n)
}
