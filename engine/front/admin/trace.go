package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"postrider/engine/edge/conn"
)

// MaxTrace is how long a trace may last.
const MaxTrace = 24 * time.Hour

// traceArg is the request for a trace.
type traceArg struct {
	Selection   conn.Selection
	Destination string // "": the sessions of clients that Selection has
	For         time.Duration
}

// Trace implements Inside. Dialogues hold what people write, so it is logged who has read them.
func (a *auditedInside) Trace(ctx context.Context, sel conn.Selection, each func([]conn.TraceLine) error) error {
	a.log.Info("trace begun", facts(&sel)...)
	err := a.Inside.Trace(ctx, sel, each)
	a.log.Info("trace ended", facts(&sel)...)
	return err
}

// TraceTo implements Inside.
func (a *auditedInside) TraceTo(ctx context.Context, destination string, each func([]conn.TraceLine) error) error {
	a.log.Info("trace begun", "destination", destination)
	err := a.Inside.TraceTo(ctx, destination, each)
	a.log.Info("trace ended", "destination", destination)
	return err
}

// facts are a selection for the log.
func facts(sel *conn.Selection) (all []any) {
	if len(sel.IDs) > 0 {
		all = append(all, slog.Any("ids", sel.IDs))
	}
	if sel.Client.IsValid() {
		all = append(all, slog.String("client", sel.Client.String()))
	}
	if sel.Account != "" {
		all = append(all, slog.String("account", sel.Account))
	}
	if sel.Protocol != "" {
		all = append(all, slog.String("protocol", sel.Protocol))
	}
	return all
}

// serveTrace answers with a line of JSON for each line of a dialogue, as it comes.
func serveTrace(inside Inside, w http.ResponseWriter, r *http.Request) {
	var arg traceArg
	if err := json.NewDecoder(r.Body).Decode(&arg); err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	if inside == nil {
		refuse(w, http.StatusConflict, errNoInside)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), min(max(arg.For, 0), MaxTrace))
	defer cancel()
	lines, flush := json.NewEncoder(w), http.NewResponseController(w)
	begun := false
	err := begin(ctx, inside, &arg, func(all []conn.TraceLine) error {
		begun = true
		for i := range all {
			if err := lines.Encode(line[conn.TraceLine]{Item: &all[i]}); err != nil {
				return err
			}
		}
		return flush.Flush()
	})
	if err != nil && !begun {
		refuse(w, http.StatusConflict, err)
		return
	}
	_ = lines.Encode(line[conn.TraceLine]{End: true, Error: toWire(err)})
}

// begin begins the trace that was asked for.
func begin(ctx context.Context, inside Inside, arg *traceArg, each func([]conn.TraceLine) error) error {
	if arg.Destination != "" {
		return inside.TraceTo(ctx, arg.Destination, each)
	}
	return inside.Trace(ctx, arg.Selection, each)
}

// Trace calls f for each line of the dialogues of sessions, as they come, until their time is
// over or ctx ends. With a destination it is the dialogues with its hosts.
func (c *Client) Trace(ctx context.Context, sel conn.Selection, destination string, limit time.Duration, f func(*conn.TraceLine) error) error {
	arg, err := json.Marshal(traceArg{sel, destination, limit})
	if err != nil {
		return err
	}
	body, err := c.post(ctx, "trace", bytes.NewReader(arg))
	if ctx.Err() != nil {
		return nil // nothing has come yet
	}
	if err != nil {
		return err
	}
	defer body.Close()
	lines := json.NewDecoder(body)
	for {
		var l line[conn.TraceLine]
		switch err := lines.Decode(&l); {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return c.gone(errors.Join(err))
		case l.End:
			return fromWire(l.Error)
		}
		if err := f(l.Item); err != nil {
			return err
		}
	}
}
