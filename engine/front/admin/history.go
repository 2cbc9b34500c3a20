package admin

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"postrider/engine/host/history"
	"postrider/storage"
)

// Past is what a history has of a message.
type Past struct {
	Events  []history.Read  `json:"events"`
	Summary history.Summary `json:"summary"`
}

// Remembering is the routes of the history of messages. Acts of operators are added to it.
func Remembering(h *history.Log) Route {
	add := func(mux *http.ServeMux, _ *slog.Logger) {
		method(mux, "message-past", func(id storage.MessageID) (p Past, err error) {
			p.Events, p.Summary, err = h.Find(id)
			return p, err
		})
		methodContext(mux, "message-search", func(ctx context.Context, s history.Search) (p Past, err error) {
			p.Events, p.Summary, err = h.Search(ctx, s)
			return p, err
		})
		method(mux, "message-events", func(events []byte) (none, error) {
			if !h.On() {
				return none{}, nil
			}
			return none{}, h.AddAll(events)
		})
	}
	return Route{add: add, history: h}
}

// Past asks for the history of a message.
func (c *Client) Past(id storage.MessageID) (p Past, err error) {
	return p, c.ask("message-past", id, &p)
}

// Search asks for the events of messages of a sender or for a recipient.
func (c *Client) Search(s history.Search) (p Past, err error) {
	return p, c.ask("message-search", s, &p)
}

// AddEvents adds events of this process to the history: see history.Collector.
func (c *Client) AddEvents(events []byte) error {
	return c.ask("message-events", events, new(none))
}

// nameForHistory is the address of an account; "" where none is kept.
func (a *audited) nameForHistory(id storage.AccountID) string {
	if a == nil || !a.history.On() {
		return ""
	}
	return a.name(id)
}

// imported adds a message of an import to the history.
func (a *audited) imported(d *storage.Delivery, id storage.MessageID, account string, err error) {
	if a == nil || err != nil || !a.history.On() {
		return
	}
	e := a.history.Begin(history.Received, id, time.Now())
	e.Text(history.Door, "import")
	e.Text(history.By, a.by)
	e.Number(history.Size, d.Size)
	e.Time(history.Began, d.Arrival)
	e.Text(history.To, account)
	a.history.Add(e)
}
