package capture

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"time"

	"postrider/codec/message"
	"postrider/engine/front/web"
	"postrider/storage"
)

const (
	maxBody  = 1 << 20 // octets of a request
	maxLimit = 1000    // messages of one answer
	// summaryCost is the memory for one of them, besides its recipients.
	summaryCost = 4 << 10
	// searchTime is how long a search may take; what it has found then is the answer.
	searchTime = 20 * time.Second
)

// register adds the API to mux.
func (v *View) register(mux *http.ServeMux) {
	handle := func(pattern string, f func(http.ResponseWriter, *http.Request) error) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			r.Body = http.MaxBytesReader(w, r.Body, maxBody)
			if err := f(w, r); err != nil {
				v.failed(w, r, err)
			}
		})
	}
	handle("GET /api/v1/info", v.info)
	handle("GET /api/v1/messages", v.search)
	handle("GET /api/v1/search", v.search)
	handle("GET /api/v1/wait", v.wait)
	handle("GET /api/v1/events", v.events)
	handle("DELETE /api/v1/messages", v.deleteMessages)
	handle("DELETE /api/v1/search", v.deleteFound)
	handle("GET /api/v1/message/{id}", v.message)
	handle("GET /api/v1/message/{id}/headers", v.headers)
	handle("GET /api/v1/message/{id}/raw", v.raw)
	handle("GET /api/v1/message/{id}/part/{part}", v.part)
}

// badRequest is an error of the client.
type badRequest struct{ error }

// failed answers an error.
func (v *View) failed(w http.ResponseWriter, r *http.Request, err error) {
	status := http.StatusInternalServerError
	var bad badRequest
	switch {
	case r.Context().Err() != nil:
		return // the client has gone
	case errors.As(err, &bad):
		status = http.StatusBadRequest
	case errors.Is(err, storage.ErrNotFound):
		status = http.StatusNotFound
	case errors.Is(err, errTime):
		status = http.StatusRequestTimeout
	case errors.Is(err, storage.ErrInUse), errors.Is(err, storage.ErrTemporary), errors.Is(err, storage.ErrFailed), errors.Is(err, errWatchers), errors.Is(err, errDraining), errors.Is(err, web.ErrOverloaded):
		status = http.StatusServiceUnavailable
	default:
		v.cfg.Load().Log.Error("capture: "+r.URL.Path, "err", err)
	}
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
	}
	answer(w, status, map[string]string{"Error": err.Error()})
}

// answer writes v as JSON.
func answer(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n'))
}

func (v *View) info(w http.ResponseWriter, _ *http.Request) error {
	total, octets, err := v.cfg.Load().Store.Usage(v.cfg.Load().Account)
	if err != nil {
		return err
	}
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	answer(w, http.StatusOK, map[string]any{
		"Version": v.cfg.Load().Version, "Messages": total, "Unread": total, "Octets": octets, "Tags": map[string]int{},
		"RuntimeStats": map[string]any{"Uptime": int64(time.Since(v.cfg.Load().Started).Seconds()), "Memory": mem.Sys, "PID": os.Getpid()},
	})
	return nil
}

// found is a part of the mailbox, or of the results of a search.
type found struct {
	Total    int64     `json:"total"` // messages of the mailbox
	Unread   int64     `json:"unread"`
	Count    int       `json:"count"`          // number of messages in Messages
	Matching int64     `json:"messages_count"` // how many there are to page through
	Start    int       `json:"start"`
	Tags     []string  `json:"tags"`
	Messages []summary `json:"messages"`
	// Complete: all messages were looked at, and all of their text that decides. Else
	// the time was up, and Matching counts the matches so far, or a text was too long to
	// search, and its message is not among them.
	Complete bool `json:"complete"`
}

// search answers with the messages of a query; without one with all.
func (v *View) search(w http.ResponseWriter, r *http.Request) error {
	q, err := queryOf(r)
	if err != nil {
		return err
	}
	start, err := number(r, "start", 0, 0, 1<<30)
	if err != nil {
		return err
	}
	limit, err := number(r, "limit", 50, 1, maxLimit)
	if err != nil {
		return err
	}
	f, err := v.find(r.Context(), q, start, limit)
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, f)
	return nil
}

// queryOf reads the query of a request, whose dates are in the time zone tz.
func queryOf(r *http.Request) (query, error) {
	zone := time.Local
	if name := r.URL.Query().Get("tz"); name != "" {
		var err error
		if zone, err = time.LoadLocation(name); err != nil {
			return nil, badRequest{fmt.Errorf("tz=%s: unknown time zone; use a name such as Europe/Berlin", name)}
		}
	}
	q, err := parseQuery(r.URL.Query().Get("query"), zone)
	if err != nil {
		return nil, badRequest{err}
	}
	return q, nil
}

// number reads a parameter of the request.
func number(r *http.Request, name string, without, least, most int) (int, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return without, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		return 0, badRequest{fmt.Errorf("%s=%s: expected a number from %d to %d", name, text, least, most)}
	}
	return n, nil
}

// find looks for messages, the newest first.
func (v *View) find(ctx context.Context, q query, start, limit int) (f found, err error) {
	f = found{Start: start, Tags: []string{}, Messages: []summary{}}
	if f.Total, _, err = v.cfg.Load().Store.Usage(v.cfg.Load().Account); err != nil {
		return f, err
	}
	f.Unread = f.Total
	var peak int
	sure, glances := true, int64(maxGlances)
	err = v.each(ctx, func(m storage.Message) (bool, error) {
		if len(q) == 0 && int(f.Matching) < start {
			f.Matching++ // it need not be read
			return true, nil
		}
		s, ok, known, err := match(ctx, m, q, &peak)
		if err != nil {
			return false, err
		}
		if size := m.Entry().Octets(); ok && size > maxGlance && size <= glances && len(f.Messages) < limit && int(f.Matching) >= start {
			glances -= size
			if s, err = v.summarizeAgain(ctx, m.Entry().ID); err != nil {
				return false, err
			}
		}
		sure = sure && known
		if ok {
			if int(f.Matching) >= start && len(f.Messages) < limit {
				if err := web.Take(ctx, int64(summaryCost+4*len(m.Entry().Trace))); err != nil {
					return false, err
				}
				f.Messages = append(f.Messages, s)
			}
			f.Matching++
		}
		return len(q) > 0 || len(f.Messages) < limit, nil
	})
	f.Complete = sure && !errors.Is(err, errTime)
	if len(q) == 0 {
		f.Matching = f.Total
	}
	f.Count = len(f.Messages)
	if errors.Is(err, errTime) {
		err = nil
	}
	return f, err
}

// match reports whether a message is what q asks for. It reads as much of the message as
// that takes. sure: all that decides was read.
func match(ctx context.Context, m storage.Message, q query, peak *int) (s summary, ok, sure bool, err error) {
	l := looked{ctx: ctx, limit: maxGlance, text: q.needsText(), peak: peak}
	if l.text || q.needsFiles() {
		l.limit = math.MaxInt64
	}
	if s, err = summarize(m, &l); err != nil {
		return s, false, false, err
	}
	ok, sure = q.matches(&s, l.words.String(), l.whole, true)
	s.strictly = ok
	if ok {
		s.strictly, _ = q.matches(&s, l.words.String(), l.whole, false)
	}
	return s, ok, sure, nil
}

// summarizeAgain reads a message to its end, for its attachments.
func (v *View) summarizeAgain(ctx context.Context, id storage.MessageID) (s summary, err error) {
	m, done, err := v.openID(id)
	if err != nil {
		return s, err
	}
	defer done()
	return summarize(m, &looked{ctx: ctx, limit: math.MaxInt64})
}

// errTime: it took too long.
var errTime = errors.New("time is up")

// each calls f for the messages from the newest on, until it returns false, for at most
// searchTime.
func (v *View) each(ctx context.Context, f func(storage.Message) (bool, error)) error {
	return v.eachFrom(ctx, storage.MaxMessageID, f)
}

// eachFrom is each from a message on to older ones.
func (v *View) eachFrom(ctx context.Context, from storage.MessageID, f func(storage.Message) (bool, error)) error {
	view, err := v.cfg.Load().Store.Browse(v.cfg.Load().Account, from)
	if err != nil {
		return err
	}
	defer view.Close()
	until := time.Now().Add(searchTime)
	for view.Next() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if time.Now().After(until) {
			return errTime
		}
		m, err := view.Open()
		if err != nil {
			return err
		}
		more, err := f(m)
		m.Close()
		if err != nil || !more {
			return err
		}
	}
	return view.Err()
}

// open opens the message that a request names. The caller calls done.
func (v *View) open(r *http.Request) (m storage.Message, done func(), err error) {
	id, latest := storage.MaxMessageID, r.PathValue("id") == "latest"
	if !latest {
		if id, err = storage.ParseMessageID(r.PathValue("id")); err != nil {
			return nil, nil, badRequest{err}
		}
	}
	if m, done, err = v.openID(id); err == nil && !latest && m.Entry().ID != id {
		done()
		err = storage.ErrNotFound
	}
	if errors.Is(err, storage.ErrNotFound) {
		err = fmt.Errorf("message %s: %w", r.PathValue("id"), storage.ErrNotFound)
	}
	return m, done, err
}

// openID opens the message id, or the next older one. The caller calls done.
func (v *View) openID(id storage.MessageID) (m storage.Message, done func(), err error) {
	view, err := v.cfg.Load().Store.Browse(v.cfg.Load().Account, id)
	if err != nil {
		return nil, nil, err
	}
	if !view.Next() {
		err = cmp.Or(view.Err(), error(storage.ErrNotFound))
		view.Close()
		return nil, nil, err
	}
	if m, err = view.Open(); err != nil {
		view.Close()
		return nil, nil, err
	}
	return m, func() { m.Close(); view.Close() }, nil
}

func (v *View) message(w http.ResponseWriter, r *http.Request) error {
	m, done, err := v.open(r)
	if err != nil {
		return err
	}
	defer done()
	whole, err := read(r.Context(), m)
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, whole)
	return nil
}

// maxHeaders is how much of a message is read for its header.
const maxHeaders = 1 << 20

func (v *View) headers(w http.ResponseWriter, r *http.Request) error {
	m, done, err := v.open(r)
	if err != nil {
		return err
	}
	defer done()
	text, err := io.ReadAll(io.LimitReader(storage.NewPlain(m), maxHeaders))
	if err != nil {
		return err
	}
	all := make(map[string][]string)
	for {
		f, rest, ok := message.Next(text)
		if !ok {
			answer(w, http.StatusOK, all)
			return nil
		}
		name := http.CanonicalHeaderKey(string(f.Name))
		all[name] = append(all[name], string(f.Unfolded()))
		text = rest
	}
}

func (v *View) raw(w http.ResponseWriter, r *http.Request) error {
	m, done, err := v.open(r)
	if err != nil {
		return err
	}
	defer done()
	return cut(web.SendRaw(w, m))
}

func (v *View) part(w http.ResponseWriter, r *http.Request) error {
	m, done, err := v.open(r)
	if err != nil {
		return err
	}
	defer done()
	return cut(web.SendPart(w, m, r.PathValue("part")))
}

// cut ends an answer that is not whole in a way that the client sees. What was not begun
// can be answered.
func cut(err error) error {
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		panic(http.ErrAbortHandler)
	}
	return err
}

func (v *View) deleteMessages(w http.ResponseWriter, r *http.Request) error {
	var body struct{ IDs []string }
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil && err != io.EOF {
		return badRequest{fmt.Errorf(`the body can't be read: %w; expected {"IDs": ["..."]}, or an empty body for all`, err)}
	}
	if len(body.IDs) == 0 {
		return v.deleteWhere(w, r, nil)
	}
	ids := make([]storage.MessageID, len(body.IDs))
	for i, text := range body.IDs {
		id, err := storage.ParseMessageID(text)
		if err != nil {
			return badRequest{err}
		}
		ids[i] = id
	}
	if err := v.mailbox.Delete(r.Context(), ids); err != nil {
		return err
	}
	answer(w, http.StatusOK, "ok")
	return nil
}

func (v *View) deleteFound(w http.ResponseWriter, r *http.Request) error {
	q, err := queryOf(r)
	if err != nil {
		return err
	}
	if len(q) == 0 {
		return badRequest{errors.New("the query is empty; DELETE /api/v1/messages deletes all")}
	}
	return v.deleteWhere(w, r, q)
}

// deleteWhere deletes what q asks for, in steps.
func (v *View) deleteWhere(w http.ResponseWriter, r *http.Request, q query) error {
	var ids []storage.MessageID
	var peak int
	ctx := r.Context()
	err := v.each(ctx, func(m storage.Message) (bool, error) {
		ok := len(q) == 0
		if !ok {
			s, found, _, err := match(ctx, m, q, &peak)
			if err != nil {
				return false, err
			}
			ok = found && s.strictly // no more than Mailpit would delete
		}
		if ok {
			ids = append(ids, m.Entry().ID)
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	for len(ids) > 0 {
		n := min(len(ids), retainBatch)
		if err := v.mailbox.Delete(r.Context(), ids[:n]); err != nil {
			return err
		}
		ids = ids[n:]
	}
	answer(w, http.StatusOK, "ok")
	return nil
}
