package web

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"postrider/engine/mail/router"
	"postrider/storage"
)

// sessions are the sessions of users that have signed in. They are in memory only: a
// restart ends all of them.
type sessions struct {
	ended func(*session) // called without the lock

	mu             sync.Mutex
	idle, lifetime time.Duration
	all            map[[sha256.Size]byte]*session // by the hash of the cookie
	swept          time.Time
}

// session is one browser that has signed in. Fields do not change unless noted.
type session struct {
	account storage.Account // as it was then
	token   string          // in the forms
	began   time.Time
	used    time.Time // guarded by sessions.mu
	spooled           // guarded by its own lock
	seen
}

// seen is what an operator sees of a session: see Activity.
type seen struct {
	id            uint64 // 0: none yet; guarded by Activity.mu
	state         string // as Activity.selected has found it; guarded by Activity.mu
	inNow, outNow int64  // as state

	// Written while both of these are held. The last request is one of the user or of an
	// open page.
	from     netip.Addr
	tls      string
	last     string
	lastAt   time.Time
	requests int64
	running  int   // requests
	in, out  int64 // octets of requests that have ended
	kicked   bool  // an operator has ended it
}

const (
	maxSessions          = 20000
	maxSessionsOfAccount = 50
	sweepEvery           = time.Minute
)

func newSessions(idle, lifetime time.Duration, ended func(*session)) *sessions {
	return &sessions{idle: idle, lifetime: lifetime, ended: ended, all: make(map[[sha256.Size]byte]*session)}
}

// configure replaces the times, also for sessions that are open.
func (ss *sessions) configure(idle, lifetime time.Duration) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	ss.idle, ss.lifetime = idle, lifetime
}

// begin makes a session and returns the value of its cookie. When there are too many, of
// the account or at all, the one that was not used for longest ends.
func (ss *sessions) begin(account storage.Account, now time.Time) (cookie string, s *session) {
	cookie = rand.Text() + rand.Text()[:6] // 160 bits
	s = &session{account: account, token: rand.Text(), began: now, used: now, seen: seen{lastAt: now}}
	ss.mu.Lock()
	gone := ss.sweep(now)
	if g := ss.oldest(maxSessionsOfAccount, func(o *session) bool { return o.account.ID == account.ID }); g != nil {
		gone = append(gone, g)
	}
	if g := ss.oldest(maxSessions, func(*session) bool { return true }); g != nil {
		gone = append(gone, g)
	}
	ss.all[sha256.Sum256([]byte(cookie))] = s
	ss.mu.Unlock()
	ss.end(gone)
	return cookie, s
}

// sweep removes the sessions that are over.
func (ss *sessions) sweep(now time.Time) (gone []*session) {
	for k, s := range ss.all {
		if ss.over(s, now) {
			delete(ss.all, k)
			gone = append(gone, s)
		}
	}
	return gone
}

// oldest removes, of the sessions for which of is true, the one that was not used for
// longest, if there are limit of them.
func (ss *sessions) oldest(limit int, of func(*session) bool) *session {
	n := 0
	var key [sha256.Size]byte
	var last *session
	for k, s := range ss.all {
		if !of(s) {
			continue
		}
		if n++; last == nil || s.used.Before(last.used) {
			key, last = k, s
		}
	}
	if n < limit {
		return nil
	}
	delete(ss.all, key)
	return last
}

func (ss *sessions) over(s *session, now time.Time) bool {
	return now.Sub(s.used) >= ss.idle || now.Sub(s.began) >= ss.lifetime
}

func (ss *sessions) end(gone []*session) {
	for _, s := range gone {
		ss.ended(s)
	}
}

// find is the session of a cookie, if it is not over, or nil. account reads an
// account from the store: a session ends when the password was changed. idle: the request
// is not an act of the user, and does not extend the session.
func (ss *sessions) find(cookie string, now time.Time, idle bool, account func(storage.AccountID) (storage.Account, error)) *session {
	key := sha256.Sum256([]byte(cookie))
	var gone []*session
	ss.mu.Lock()
	if now.Sub(ss.swept) >= sweepEvery {
		ss.swept, gone = now, ss.sweep(now)
	}
	s := ss.all[key]
	over := s != nil && ss.over(s, now)
	if s != nil && !over {
		a, err := account(s.account.ID)
		if over = err != nil || !storage.SameLogin(&a, &s.account); !over && !idle {
			s.used = now
		}
	}
	if over {
		delete(ss.all, key)
	}
	ss.mu.Unlock()
	if over {
		s, gone = nil, append(gone, s)
	}
	ss.end(gone)
	return s
}

// forget ends the session of a cookie.
func (ss *sessions) forget(cookie string) {
	key := sha256.Sum256([]byte(cookie))
	ss.mu.Lock()
	s := ss.all[key]
	delete(ss.all, key)
	ss.mu.Unlock()
	if s != nil {
		ss.ended(s)
	}
}

func (s *session) name() string { return router.Mailbox(s.account.Name, s.account.Domain) }

func (s *session) frame() Frame { return Frame{Name: s.name(), CanWrite: true, Token: s.token} }

// owns reports whether a form came from a page of the session.
func (s *session) owns(token string) bool {
	return subtle.ConstantTimeCompare([]byte(token), []byte(s.token)) == 1
}

// cookieName is the name of the cookie. With TLS browsers hold it to this very host.
func cookieName(r *http.Request) string {
	if isSecure(r) {
		return "__Host-postrider"
	}
	return "postrider"
}

// current is the session of a request, or nil.
func (c *Client) current(r *http.Request) *session {
	if s := attached(r.Context()); s != nil {
		return s // also when it has been ended meanwhile
	}
	cookie, err := r.Cookie(cookieName(r))
	if err != nil {
		return nil
	}
	byItself := r.Header.Get("X-Refresh") != "" // a list that asks for itself
	s := c.sessions.find(cookie.Value, time.Now(), byItself, c.cfg.Load().Store.Account)
	if s != nil {
		attach(r.Context(), s)
	}
	return s
}

// session is the session of a request; without one the browser is sent to sign in.
func (c *Client) session(w http.ResponseWriter, r *http.Request) (*session, bool) {
	if s := c.current(r); s != nil {
		if r.PathValue("path") == "" && !strings.HasSuffix(r.URL.Path, "/raw") { // else a file is sent, however long that takes
			if err := c.turns.take(r.Context(), s.account.ID); err != nil {
				failed(w, s.frame(), err)
				return nil, false
			}
		}
		return s, true
	}
	to := "/signin"
	if r.Method == http.MethodGet && r.URL.Path != "/" {
		to += "?" + url.Values{"next": {r.URL.RequestURI()}}.Encode()
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil, false
}

// mayChange reads the form of a POST and wants the session's token in it.
func (c *Client) mayChange(w http.ResponseWriter, r *http.Request) bool {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	s := c.current(r)
	if err := r.ParseForm(); err != nil || s == nil || !s.owns(r.PostForm.Get("token")) {
		say(w, http.StatusForbidden, Frame{}, "Refused", "This page is too old. Go back, load it again, and try once more.")
		return false
	}
	return true
}
