package admin

import (
	"bufio"
	"encoding/json"
	"errors"
	"net/http"

	"postrider/storage"
)

// queueRoutes adds the operator's part of the queue.
func queueRoutes(mux *http.ServeMux, s Store) {
	stream(mux, "queue-list", func(filter storage.QueueFilter, f func(*storage.QueueEntry) bool) error {
		return s.Queued(filter, f)
	})
	stream(mux, "queue-history", func(id storage.MessageID, f func(*storage.Record) bool) error {
		return s.History(id, func(r storage.Record) bool { return f(&r) })
	})
	method(mux, "queue-entry", s.QueuedEntry)
	method(mux, "queue-move", func(m moveArg) (int, error) { return s.MoveQueued(m.IDs, m.Move) })
	method(mux, "queue-census", func(arg CensusArg) (*Census, error) { return TakeCensus(s, arg) })
	method(mux, "queue-total", func(none) (t totalAnswer, err error) {
		t.Entries, t.Octets = s.QueueTotal()
		return t, nil
	})
	mux.HandleFunc("POST /v1/queue-body", func(w http.ResponseWriter, r *http.Request) { serveQueued(s, w, r) })
}

var errNoRelay = errors.New("the running server has no relay, which this needs")

// relayRoutes adds what only a scheduler can do.
func relayRoutes(mux *http.ServeMux, relay Relay) {
	method(mux, "relay-bounce", func(b bounceArg) (int, error) {
		if relay == nil {
			return 0, errNoRelay
		}
		returned, err := relay.Bounce(b.IDs, b.Reason)
		return len(returned), err
	})
	method(mux, "relay-flush", func(domain string) (none, error) {
		if relay == nil {
			return none{}, errNoRelay
		}
		relay.Flush(domain)
		return none{}, nil
	})
	method(mux, "relay-status", func(none) (RelayStatus, error) {
		if relay == nil {
			return RelayStatus{}, errNoRelay
		}
		return relay.RelayStatus(), nil
	})
}

// stream adds the route of an iteration: a line of JSON for each item as it comes,
// however many there are, and one at the end.
func stream[In, T any](mux *http.ServeMux, name string, each func(In, func(*T) bool) error) {
	mux.HandleFunc("POST /v1/"+name, func(w http.ResponseWriter, r *http.Request) {
		var in In
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			refuse(w, http.StatusBadRequest, err)
			return
		}
		out := bufio.NewWriterSize(w, 64<<10)
		lines := json.NewEncoder(out)
		err := each(in, func(item *T) bool {
			return lines.Encode(line[T]{Item: item}) == nil && r.Context().Err() == nil
		})
		if err == nil {
			err = r.Context().Err()
		}
		if lines.Encode(line[T]{End: true, Error: toWire(err)}) == nil {
			_ = out.Flush()
		}
	})
}

// serveQueued answers with the message of an entry as frames.
func serveQueued(s Store, w http.ResponseWriter, r *http.Request) {
	var id storage.EntryID
	if err := json.NewDecoder(r.Body).Decode(&id); err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	e, err := s.QueuedEntry(id)
	if err != nil {
		refuse(w, http.StatusConflict, err)
		return
	}
	m, err := s.OpenQueued(e)
	if err != nil {
		refuse(w, http.StatusConflict, err)
		return
	}
	defer m.Close()
	out := bufio.NewWriterSize(w, 64<<10)
	if sendMessage(out, m) == nil && writeJSONFrame(out, frameFinish, nil) == nil {
		_ = out.Flush()
	}
}
