package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"postrider/engine/host/history"
	"postrider/engine/host/httpserver"
	"postrider/storage"
)

// Serve answers commands at a socket of Listen from store until end is called: no more
// requests are taken, and requests that are under way have until its context ends; then it
// waits until they have let go of the store. Long answers are cut off at once, also when ctx
// ends. status is asked for each GET /status. relay is nil for a server that relays nothing,
// inside for one that tells nothing of itself. Acts of operators are logged to log. more are
// the routes of what the caller alone can do.
func Serve(ctx context.Context, l net.Listener, store storage.Store, relay Relay, inside Inside, log *slog.Logger, status func() Status, more ...Route) (end func(context.Context)) {
	var kept *history.Log
	for _, r := range more {
		if r.history != nil {
			kept = r.history
		}
	}
	handlerOf := func(log *slog.Logger, by string) http.Handler {
		relay, inside := relay, inside
		if relay != nil {
			relay = &auditedRelay{relay, log, kept, by}
		}
		if inside != nil {
			inside = &auditedInside{inside, log}
		}
		mux := handler(&audited{store, log, kept, by}, relay, inside, status)
		for _, r := range more {
			r.add(mux, log)
		}
		return mux
	}
	ctx, cancel := context.WithCancel(ctx)
	calls := &calls{next: byOperator(log, handlerOf), over: make(chan struct{})}
	h := &http.Server{
		Handler: calls, ReadHeaderTimeout: 10 * time.Second,
		BaseContext: func(net.Listener) context.Context { return ctx }, ConnContext: withOperator,
	}
	s := httpserver.Serve(h, l)
	return func(until context.Context) {
		cancel()
		s.End(until, time.Second) // a command that has asked may ask more
		if n := calls.end(endPatience); n > 0 {
			log.Warn("commands of operators do not end: the store is closed all the same", "commands", n)
		}
	}
}

// Route is a method that a caller of Serve adds.
type Route struct {
	add     func(mux *http.ServeMux, log *slog.Logger)
	history *history.Log // acts of operators are added to it; nil: to none
}

// handler is the routes.
func handler(s Store, relay Relay, inside Inside, status func() Status) *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(statusOf(r.Context(), status, inside))
	})
	settingsRoute(mux, status)
	method(mux, "hosts-domain", func(domain string) (bool, error) { return s.HostsDomain(domain), nil })
	method(mux, "lookup", func(a addressArg) (storage.Address, error) { return s.Lookup(a.Local, a.Domain) })
	method(mux, "lookup-all", func(names []Name) ([]Found, error) { return LookupAll(s, names) })
	method(mux, "account", s.Account)
	method(mux, "add-account", s.AddAccount)
	method(mux, "add-accounts", func(as []storage.NewAccount) (none, error) { return none{}, s.AddAccounts(as) })
	method(mux, "set-password", func(p passwordArg) (none, error) { return none{}, s.SetPassword(p.ID, p.Hash, p.Secret) })
	method(mux, "set-verifier", func(p verifierArg) (none, error) { return none{}, s.SetVerifier(p.ID, p.Hash, p.Verifier) })
	method(mux, "change-account", func(c changeArg) (none, error) { return none{}, s.ChangeAccount(c.ID, c.Change) })
	method(mux, "note-login", func(l loginArg) (none, error) { s.NoteLogin(l.ID, l.At); return none{}, nil })
	method(mux, "remove-account", func(id storage.AccountID) (none, error) { return none{}, s.RemoveAccount(id) })
	method(mux, "accounts", func(none) ([]storage.Account, error) { return collect(s.Accounts) })
	method(mux, "add-domain", func(d string) (none, error) { return none{}, s.AddDomain(d) })
	method(mux, "remove-domain", func(d string) (none, error) { return none{}, s.RemoveDomain(d) })
	method(mux, "domain-alias", func(d string) (string, error) { return s.DomainAlias(d), nil })
	method(mux, "add-domain-alias", func(d domainAliasArg) (none, error) { return none{}, s.AddDomainAlias(d.Domain, d.Of) })
	method(mux, "set-domain-quota", func(d domainQuotaArg) (none, error) { return none{}, s.SetDomainQuota(d.Domain, d.Quota) })
	method(mux, "domain-settings", func(none) ([]storage.Domain, error) { return s.DomainSettings(), nil })
	method(mux, "domains", func(none) ([]string, error) { return s.Domains(), nil })
	method(mux, "set-aliases", func(as []storage.Alias) (none, error) { return none{}, s.SetAliases(as) })
	method(mux, "remove-alias", func(a addressArg) (none, error) { return none{}, s.RemoveAlias(a.Local, a.Domain) })
	method(mux, "aliases", func(none) ([]storage.Alias, error) { return collect(s.Aliases) })
	method(mux, "admit", func(size int64) (none, error) { return none{}, s.Admit(size) })
	method(mux, "usage", func(id storage.AccountID) (u usageAnswer, err error) {
		u.Messages, u.Octets, err = s.Usage(id)
		return u, err
	})
	method(mux, "usages", func(ids []storage.AccountID) ([]storage.Quota, error) { return Usages(s, ids) })
	mux.HandleFunc("POST /v1/check", func(w http.ResponseWriter, r *http.Request) { serveCheck(s, w, r) })
	mux.HandleFunc("POST /v1/view", func(w http.ResponseWriter, r *http.Request) { serveView(s, w, r) })
	mux.HandleFunc("POST /v1/deliver", func(w http.ResponseWriter, r *http.Request) { serveDeliver(s, w, r) })
	mux.HandleFunc("POST /v1/checkpoint", func(w http.ResponseWriter, r *http.Request) { serveCheckpoint(s, w, r) })
	keptRoutes(mux, s)
	importRoutes(mux, s)
	queueRoutes(mux, s)
	relayRoutes(mux, relay)
	insideRoutes(mux, inside)
	return mux
}

// LookupAll looks up many names, and whether their domains are ours.
func LookupAll(s Store, names []Name) ([]Found, error) {
	all := make([]Found, len(names))
	for i, n := range names {
		found, err := s.Lookup(n.Local, n.Domain)
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return nil, err
		}
		all[i] = Found{Address: found, There: err == nil, Hosted: s.HostsDomain(n.Domain)}
	}
	return all, nil
}

// Usages is Usage of many accounts; zero for accounts that are gone.
func Usages(s Store, ids []storage.AccountID) ([]storage.Quota, error) {
	all := make([]storage.Quota, len(ids))
	for i, id := range ids {
		messages, octets, err := s.Usage(id)
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return nil, err
		}
		all[i] = storage.Quota{Octets: octets, Messages: messages}
	}
	return all, nil
}

// collect gathers what an iteration gives, so that a slow reader of the answer
// holds up nothing in the store.
func collect[T any](each func(func(T) bool) error) ([]T, error) {
	all := []T{}
	err := each(func(one T) bool {
		all = append(all, one)
		return true
	})
	return all, err
}

// method adds the route of one method: JSON in, JSON or an error out.
func method[In, Out any](mux *http.ServeMux, name string, f func(In) (Out, error)) {
	methodContext(mux, name, func(_ context.Context, in In) (Out, error) { return f(in) })
}

// methodContext is method for one that may wait: the context ends with the request.
func methodContext[In, Out any](mux *http.ServeMux, name string, f func(context.Context, In) (Out, error)) {
	mux.HandleFunc("POST /v1/"+name, func(w http.ResponseWriter, r *http.Request) {
		var in In
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			refuse(w, http.StatusBadRequest, err)
			return
		}
		out, err := f(r.Context(), in)
		if err != nil {
			refuse(w, http.StatusConflict, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(out)
	})
}

func refuse(w http.ResponseWriter, code int, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(toWire(err))
}

// serveCheck answers with a line of JSON for each fault and one at the end.
func serveCheck(s Store, w http.ResponseWriter, r *http.Request) {
	lines := json.NewEncoder(w)
	flush := http.NewResponseController(w)
	summary, err := s.Check(r.Context(), func(f storage.Fault) {
		_ = lines.Encode(checkLine{Fault: &f})
		_ = flush.Flush()
	})
	_ = lines.Encode(checkLine{Summary: &summary, Error: toWire(err)})
}

// serveView answers with the maildrop as frames.
func serveView(s Store, w http.ResponseWriter, r *http.Request) {
	var id storage.AccountID
	if err := json.NewDecoder(r.Body).Decode(&id); err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	view, err := s.View(id)
	if err != nil {
		refuse(w, http.StatusConflict, err)
		return
	}
	defer view.Close()
	out := bufio.NewWriterSize(w, 64<<10)
	for view.Next() && r.Context().Err() == nil {
		if sendNext(out, view) != nil {
			return // the reader is gone
		}
	}
	if err := r.Context().Err(); err != nil {
		return
	}
	if writeJSONFrame(out, frameFinish, toWire(view.Err())) == nil {
		_ = out.Flush()
	}
}

// sendNext sends the message that view is at.
func sendNext(out io.Writer, view storage.View) error {
	m, err := view.Open()
	if err != nil {
		return writeJSONFrame(out, frameFault, toWire(err))
	}
	defer m.Close()
	return sendMessage(out, m)
}

// sendMessage sends a message; a fault of it is a frame, the error is about out.
func sendMessage(out io.Writer, m storage.Message) error {
	err := writeJSONFrame(out, frameEntry, entryArgOf(m.Entry()))
	if err != nil {
		return err
	}
	for {
		piece, err := m.Next()
		if err == io.EOF {
			return writeFrame(out, frameEnd, nil)
		}
		if err != nil {
			return writeJSONFrame(out, frameFault, toWire(err))
		}
		if err := writeFrame(out, framePiece, piece); err != nil {
			return err
		}
	}
}

// maxBacklog is what one delivery may have in memory before its sender waits.
const maxBacklog = 1 << 20

// serveDeliver takes one message as frames. It answers at once with the id that the
// message will have, so that its sender can write it into a Received field; when the
// store has the message, if asked, so that its sender can keep an order; and at the
// end with the outcome.
func serveDeliver(s Store, w http.ResponseWriter, r *http.Request) {
	turn := http.NewResponseController(w)
	if err := turn.EnableFullDuplex(); err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	// net/http can't handle a full-duplex request whose end is not read before its
	// handler returns.
	defer func() { _, _ = io.Copy(io.Discard, r.Body) }()
	answers := json.NewEncoder(w)
	answer := func(v any) {
		_ = answers.Encode(v)
		_ = turn.Flush() // a client that is gone shows in receive
	}
	draft := s.NewDraft(max(r.ContentLength, 0))
	answer(draft.ID())
	d, err := receive(r.Context(), bufio.NewReader(r.Body), draft, new([]byte))
	if err != nil {
		draft.Discard()
		answer(line[none]{End: true, Error: toWire(err)})
		return
	}
	stored := make(chan error, 1)
	d.Done = func(_ *storage.Delivery, _ storage.Receipt, err error) { stored <- err }
	s.Deliver(d)
	if r.URL.Query().Has(askHanded) {
		answer(line[none]{Handed: true})
	}
	answer(line[none]{End: true, Error: toWire(<-stored)})
}

var (
	errFrames  = errors.New("the frames of the delivery are inconsistent")
	errGivenUp = errors.New("the sender has given up the message")
)

// receive reads the body into draft and the envelope after it. buf is scratch.
func receive(ctx context.Context, r io.Reader, draft storage.Draft, buf *[]byte) (*storage.Delivery, error) {
	for {
		kind, payload, err := readFrame(r, *buf)
		if err != nil {
			return nil, err
		}
		*buf = payload
		switch kind {
		case framePiece:
			draft.Append(payload)
			if err := storage.Await(ctx, draft, maxBacklog); err != nil {
				return nil, err
			}
		case frameEnd:
			var e envelope
			if err := json.Unmarshal(payload, &e); err != nil {
				return nil, err
			}
			return e.delivery(draft), nil
		case frameFault:
			return nil, errGivenUp
		default:
			return nil, errFrames
		}
	}
}
