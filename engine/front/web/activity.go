package web

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"postrider/engine/edge/conn"
)

// Activity is what an operator may see of HTTP, and end: the sessions of users who have signed
// in, the requests that are under way, and, for traces, the requests that come. It never has
// a cookie, a token, a query, a body or a password. Its methods may be called from any
// goroutine.
type Activity struct {
	newID func() uint64

	mu       sync.Mutex // taken before sessions.mu, and never the other way round
	sessions *sessions  // nil: there is no web client
	open     map[*request]struct{}
	follows  []*follow
}

// NewActivity makes an Activity, which gives sessions and requests ids by newID.
func NewActivity(newID func() uint64) *Activity {
	return &Activity{newID: newID, open: make(map[*request]struct{})}
}

// follow is a trace, for the requests that it selects.
type follow struct {
	sel  conn.Selection
	feed *conn.Feed
	met  map[uint64]bool // ids whose first request was shown; guarded by Activity.mu
}

// maxMet bounds follow.met: over it an id is shown as a new one.
const maxMet = 1000

// meet reports whether an id has not been shown before.
func (t *follow) meet(id uint64) bool {
	if t.met[id] {
		return false
	}
	if len(t.met) >= maxMet {
		clear(t.met)
	}
	t.met[id] = true
	return true
}

// request is a request that is under way.
type request struct {
	of     *Activity
	cancel context.CancelFunc
	turn   *http.ResponseController
	began  time.Time
	client netip.Addr
	method string
	path   string
	tls    string // the version, as "TLSv1.3"
	sealed bool   // the client came by HTTPS, to us or to a proxy

	// The fields below are guarded by Activity.mu.
	id      uint64   // the session's, or the request's own
	session *session // nil: none, or it is not known yet
	by      []*follow
	cut     bool // an operator has ended it

	times sync.Mutex  // held while deadlines are set
	past  atomic.Bool // no later deadline is set any more; written while times is held

	status  atomic.Int32 // 0: there is no answer yet
	in, out atomic.Int64 // octets of the bodies
}

type requestKey struct{}

// maxPath is how much of a path is shown, in octets.
const maxPath = 200

// Track follows the requests of a handler. A nil Activity does nothing.
func (a *Activity) Track(next http.Handler) http.Handler {
	if a == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		q := &request{
			of: a, cancel: cancel, turn: http.NewResponseController(w), began: time.Now(), id: a.newID(),
			client: addressOf(r), method: methodOf(r), path: pathOf(r), sealed: isSecure(r),
		}
		if r.TLS != nil {
			q.tls = versions[r.TLS.Version]
		}
		a.mu.Lock()
		a.open[q] = struct{}{}
		a.mu.Unlock()
		defer a.end(q)
		r = r.WithContext(context.WithValue(ctx, requestKey{}, q))
		if r.Body != nil {
			r.Body = countedBody{r.Body, q}
		}
		next.ServeHTTP(countedAnswer{w, q}, r)
	})
}

// methodOf is the method of a request, if it is one that our pages know.
func methodOf(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodDelete:
		return r.Method
	}
	return "OTHER"
}

// pathOf is the path of a request without what is in the query, which may be words of a
// search.
func pathOf(r *http.Request) string {
	path := r.URL.EscapedPath()
	if len(path) > maxPath {
		path = fmt.Sprintf("%s(%d more octets)", path[:maxPath], len(path)-maxPath)
	}
	if r.URL.RawQuery != "" {
		path += "?(hidden)"
	}
	return path
}

var versions = map[uint16]string{tls.VersionTLS10: "TLSv1", tls.VersionTLS11: "TLSv1.1", tls.VersionTLS12: "TLSv1.2", tls.VersionTLS13: "TLSv1.3"}

// attach tells that a request belongs to a session.
func attach(ctx context.Context, s *session) {
	q, ok := ctx.Value(requestKey{}).(*request)
	if !ok {
		return
	}
	a := q.of
	a.mu.Lock()
	defer a.mu.Unlock()
	if q.session != nil || a.sessions == nil {
		return
	}
	if s.id == 0 {
		s.id = a.newID()
	}
	q.session, q.id = s, s.id
	a.sessions.mu.Lock()
	s.from, s.tls, s.last, s.lastAt = q.client, q.tls, q.method+" "+q.path, q.began
	s.requests++
	s.running++
	a.sessions.mu.Unlock()
	q.tell()
}

// attached is the session that a request was found to belong to; nil: none yet.
func attached(ctx context.Context) *session {
	q, ok := ctx.Value(requestKey{}).(*request)
	if !ok {
		return nil
	}
	q.of.mu.Lock()
	defer q.of.mu.Unlock()
	return q.session
}

// facts are what is known of a request. Activity.mu is held.
func (q *request) facts() conn.Facts {
	f := conn.Facts{
		ID: q.id, Protocol: "web", Client: q.client, Name: "unknown", State: q.method, Last: q.method + " " + q.path,
		Seconds: int64(time.Since(q.began) / time.Second), Requests: 1, In: q.in.Load(), Out: q.out.Load(), TLS: q.tls,
	}
	if q.session != nil {
		f.Account = q.session.name()
	}
	return f
}

// tell has the traces that select the request show its begin. Activity.mu is held.
func (q *request) tell() {
	if len(q.of.follows) == 0 {
		return
	}
	f := q.facts()
	for _, t := range q.of.follows {
		if slices.Contains(q.by, t) || !t.sel.Fits(&f) {
			continue
		}
		q.by = append(q.by, t)
		if t.meet(q.id) {
			t.feed.Add(conn.TraceLine{Session: q.id, Text: q.introduction()})
		}
		t.feed.Add(conn.TraceLine{Session: q.id, Text: q.arrow(" -> ", " ~> ") + q.method + " " + q.path})
	}
}

// introduction is the first line about a session, or about a request of none.
func (q *request) introduction() string {
	text := "=== web request of " + q.client.String()
	if q.session != nil {
		text = "=== web session of " + q.client.String() + ", account " + q.session.name()
	}
	if q.tls != "" {
		text += ", " + q.tls
	}
	return text
}

// arrow is the begin of a line: clear, or sealed where the client came by HTTPS.
func (q *request) arrow(clear, sealed string) string {
	if q.sealed {
		return sealed
	}
	return clear
}

// answered notes the status of the answer, when its begin is written. What belongs to a
// session is known by then.
func (q *request) answered(status int) {
	if status >= 200 && q.status.CompareAndSwap(0, int32(status)) { //nolint:gosec // three digits
		q.of.mu.Lock()
		defer q.of.mu.Unlock()
		q.tell()
	}
}

// end forgets a request that is answered.
func (a *Activity) end(q *request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.open, q)
	if !q.cut {
		q.status.CompareAndSwap(0, http.StatusOK) // as net/http answers for a handler that has written nothing
	}
	q.tell()
	status := q.status.Load()
	text := fmt.Sprintf("%s%d %s %s, %d octets", q.arrow("<-  ", "<~  "), status, q.method, q.path, q.out.Load())
	if n := q.in.Load(); n > 0 {
		text += fmt.Sprintf(" after %d octets from the client", n)
	}
	text += fmt.Sprintf(", %.3fs", time.Since(q.began).Seconds())
	for _, t := range q.by {
		if status != 0 {
			t.feed.Add(conn.TraceLine{Session: q.id, Text: text})
		}
		if q.cut {
			t.feed.Add(conn.TraceLine{Session: q.id, Text: "=== the request was ended by an operator"})
		}
	}
	s := q.session
	if s == nil {
		return
	}
	a.sessions.mu.Lock()
	s.in, s.out = s.in+q.in.Load(), s.out+q.out.Load()
	s.running--
	over := s.kicked && s.running == 0
	a.sessions.mu.Unlock()
	if over {
		go a.sessions.ended(s) // which removes files
	}
}

// countedBody counts what a client sends.
type countedBody struct {
	io.ReadCloser
	q *request
}

// Read implements io.Reader. A read that waits when its deadline becomes one of the past may
// still get what comes at that moment.
func (b countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.q.in.Add(int64(n))
	if b.q.past.Load() {
		return 0, errEnded
	}
	return n, err
}

// errEnded is what a handler hears of a request that an operator has ended.
var errEnded = errors.New("an operator has ended this request")

// countedAnswer counts what a client gets.
type countedAnswer struct {
	http.ResponseWriter
	q *request
}

// Unwrap is for http.ResponseController.
func (w countedAnswer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// SetReadDeadline is for http.ResponseController.
func (w countedAnswer) SetReadDeadline(at time.Time) error {
	return w.q.until(w.q.turn.SetReadDeadline, at)
}

// SetWriteDeadline is for http.ResponseController.
func (w countedAnswer) SetWriteDeadline(at time.Time) error {
	return w.q.until(w.q.turn.SetWriteDeadline, at)
}

// until sets a deadline, unless an operator has ended the request.
func (q *request) until(set func(time.Time) error, at time.Time) error {
	q.times.Lock()
	defer q.times.Unlock()
	if q.past.Load() {
		return errEnded
	}
	return set(at)
}

// WriteHeader implements http.ResponseWriter.
func (w countedAnswer) WriteHeader(status int) {
	w.q.answered(status)
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w countedAnswer) Write(p []byte) (int, error) {
	w.q.answered(http.StatusOK)
	n, err := w.ResponseWriter.Write(p)
	w.q.out.Add(int64(n))
	return n, err
}
