package web

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"postrider/codec/dot"
	"postrider/engine/admit/login"
	"postrider/engine/mail/incoming"
	"postrider/engine/mail/router"
	"postrider/storage"
	"postrider/storage/lsm"
)

// house is a client over a store with the accounts alice and bob.
type house struct {
	t          *testing.T
	store      *lsm.Store
	client     *Client
	server     *httptest.Server
	alice, bob storage.AccountID
	logins     int
	purse      *purse
	activity   *Activity
}

func newHouse(t *testing.T) *house {
	t.Helper()
	store, err := lsm.Open(lsm.Options{Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler), Durability: lsm.None})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	h := &house{t: t, store: store, purse: &purse{max: 1 << 30}}
	var ids atomic.Uint64
	h.activity = NewActivity(func() uint64 { return ids.Add(1) })
	if err := store.AddDomain("example.org"); err != nil {
		t.Fatal(err)
	}
	for name, id := range map[string]*storage.AccountID{"alice": &h.alice, "bob": &h.bob} {
		if *id, err = store.AddAccount(storage.NewAccount{Name: name, Domain: "example.org", Hash: "hash"}); err != nil {
			t.Fatal(err)
		}
	}
	route := router.New(store, router.Settings{Hostname: "mx.example.org", DefaultDomain: "example.org"})
	h.client, err = New(Config{
		Store: store, DefaultDomain: "example.org", Hostname: "mx.example.org", Spool: t.TempDir() + "/spool", MaxSize: 4 << 20,
		Idle: time.Hour, Lifetime: 24 * time.Hour, Bounds: Bounds{Budget: h.purse, Activity: h.activity}, Log: slog.New(slog.DiscardHandler),
		Login: func(_ context.Context, user string, password []byte, _ netip.Addr) (storage.Account, error) {
			h.logins++
			a, err := route.Login([]byte(user))
			if err != nil || string(password) != "secret" {
				return a, login.ErrDenied
			}
			return a, nil
		},
		Submit: func(ctx context.Context, a storage.Account, m incoming.Mail) (incoming.Result, error) {
			if m.Sender != a.Name+"@"+a.Domain {
				return incoming.Result{}, ErrRefused
			}
			p := incoming.Entrance{Inbox: store, Router: route, Hostname: "mx.example.org", DefaultDomain: "example.org", MaxSize: 4 << 20}
			return p.Submit(ctx, m)
		},
		Addresses: func(a storage.Account) []string { return []string{a.Name + "@" + a.Domain} },
	})
	if err != nil {
		t.Fatal(err)
	}
	h.server = httptest.NewServer(h.client)
	t.Cleanup(h.server.Close)
	return h
}

// deliver puts a message, in plain form with LF, into bob's maildrop.
func (h *house) deliver(text string) storage.MessageID {
	h.t.Helper()
	var z dot.Normalizer
	wire := z.End(z.Append(nil, []byte(text)))
	d := h.store.NewDraft(0)
	d.Append(wire)
	done := make(chan error, 1)
	h.store.Deliver(&storage.Delivery{Draft: d, Arrival: time.Now(), Size: z.Counts().Size, Recipients: []storage.Recipient{{Account: h.bob, Trace: []byte("Return-Path: <x@example.com>\r\n")}},
		Done: func(_ *storage.Delivery, _ storage.Receipt, err error) { done <- err }})
	if err := <-done; err != nil {
		h.t.Fatal(err)
	}
	return d.ID()
}

// browser is a client with cookies that follows no redirections by itself.
type browser struct {
	t    *testing.T
	base string
	http.Client
}

func (h *house) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		h.t.Fatal(err)
	}
	return &browser{h.t, h.server.URL, http.Client{Jar: jar, Transport: h.server.Client().Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// as is a browser in which an account has signed in.
func (h *house) as(name string) *browser {
	h.t.Helper()
	b := h.browser()
	r, _ := b.post("/signin", url.Values{"user": {name}, "password": {"secret"}})
	if r.StatusCode != http.StatusSeeOther {
		h.t.Fatalf("sign in: %s", r.Status)
	}
	return b
}

func (b *browser) do(r *http.Request) (*http.Response, string) {
	b.t.Helper()
	a, err := b.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer a.Body.Close()
	body, err := io.ReadAll(a.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return a, string(body)
}

func (b *browser) get(path string) (*http.Response, string) {
	b.t.Helper()
	r, err := http.NewRequest(http.MethodGet, b.base+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.do(r)
}

func (b *browser) post(path string, v url.Values) (*http.Response, string) {
	b.t.Helper()
	r, err := http.NewRequest(http.MethodPost, b.base+path, strings.NewReader(v.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.do(r)
}

var tokenField = regexp.MustCompile(`name="token" value="([A-Z0-9]+)"`)

// token is the one of the session's forms.
func (b *browser) token() string {
	b.t.Helper()
	_, page := b.get("/")
	found := tokenField.FindStringSubmatch(page)
	if found == nil {
		b.t.Fatalf("no token in\n%s", page)
	}
	return found[1]
}

// part is a field of a form, or a file.
type part struct{ field, file, text string }

func (b *browser) send(parts ...part) (*http.Response, string) {
	b.t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for _, p := range parts {
		var to io.Writer
		var err error
		if p.file != "" {
			to, err = w.CreateFormFile(p.field, p.file)
		} else {
			to, err = w.CreateFormField(p.field)
		}
		if err == nil {
			_, err = io.WriteString(to, p.text)
		}
		if err != nil {
			b.t.Fatal(err)
		}
	}
	w.Close()
	r, err := http.NewRequest(http.MethodPost, b.base+"/send", &body)
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Content-Type", w.FormDataContentType())
	return b.do(r)
}

func status(t *testing.T, r *http.Response, want int) {
	t.Helper()
	if r.StatusCode != want {
		t.Errorf("%s %s: %s, not %d", r.Request.Method, r.Request.URL.Path, r.Status, want)
	}
}

func has(t *testing.T, text string, wanted ...string) {
	t.Helper()
	for _, w := range wanted {
		if !strings.Contains(text, w) {
			t.Errorf("%q is missing in\n%s", w, text)
		}
	}
}

// spooledFiles is how many files the spool folder has.
func (h *house) spooledFiles() int {
	h.t.Helper()
	files, err := os.ReadDir(h.client.spool.folder)
	if err != nil {
		h.t.Fatal(err)
	}
	return len(files)
}

func TestSigningInMakesASession(t *testing.T) {
	h := newHouse(t)
	b := h.browser()
	r, _ := b.get("/m/0000000000001")
	status(t, r, http.StatusSeeOther)
	if to := r.Header.Get("Location"); to != "/signin?next=%2Fm%2F0000000000001" {
		t.Errorf("sent to %s", to)
	}
	r, wrong := b.post("/signin", url.Values{"user": {"bob"}, "password": {"x"}})
	status(t, r, http.StatusUnauthorized)
	r, unknown := b.post("/signin", url.Values{"user": {"bib"}, "password": {"x"}})
	status(t, r, http.StatusUnauthorized)
	if wrong != strings.ReplaceAll(unknown, "bib", "bob") || len(r.Cookies()) > 0 {
		t.Error("an unknown name can be told from a wrong password")
	}
	r, _ = b.post("/signin", url.Values{"user": {"bob"}, "password": {"secret"}, "next": {"/m/0000000000001"}})
	status(t, r, http.StatusSeeOther)
	c := r.Cookies()
	if len(c) != 1 || c[0].Name != "postrider" || !c[0].HttpOnly || c[0].SameSite != http.SameSiteLaxMode || c[0].Secure || len(c[0].Value) < 32 || r.Header.Get("Location") != "/m/0000000000001" {
		t.Errorf("%v to %s", c, r.Header.Get("Location"))
	}
	r, page := b.get("/")
	status(t, r, http.StatusOK)
	has(t, page, "bob@example.org", "No mail.")
	r, _ = b.post("/signout", url.Values{"token": {b.token()}})
	status(t, r, http.StatusSeeOther)
	again, _ := http.NewRequest(http.MethodGet, b.base+"/", nil)
	again.AddCookie(c[0])
	r, _ = b.do(again)
	status(t, r, http.StatusSeeOther)
}

func TestWithinTLSTheCookieIsBoundToTheHost(t *testing.T) {
	h := newHouse(t)
	h.server = httptest.NewTLSServer(h.client)
	t.Cleanup(h.server.Close)
	b := h.browser()
	r, _ := b.post("/signin", url.Values{"user": {"bob"}, "password": {"secret"}})
	c := r.Cookies()
	if len(c) != 1 || c[0].Name != "__Host-postrider" || !c[0].Secure || c[0].Path != "/" || c[0].Domain != "" {
		t.Errorf("%v", c)
	}
	r, _ = b.get("/")
	status(t, r, http.StatusOK)
}

func TestAPasswordInClearTextIsTakenFromThisHostOnly(t *testing.T) {
	h := newHouse(t)
	f := func(from string, cleartext, tlsOnly bool, want int) {
		t.Helper()
		cfg := *h.client.Settings()
		cfg.ClearText, cfg.TLSOnly = cleartext, tlsOnly
		h.client.Configure(cfg)
		before := h.logins
		r := httptest.NewRequest(http.MethodPost, "http://localhost/signin", strings.NewReader("user=bob&password=secret"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.RemoteAddr = from
		w := httptest.NewRecorder()
		h.client.ServeHTTP(w, r)
		if w.Code != want || (h.logins > before) != (want == http.StatusSeeOther) {
			t.Errorf("from %s: %d, %d logins", from, w.Code, h.logins-before)
		}
	}
	f("127.0.0.1:1", false, false, http.StatusSeeOther)
	f("[::1]:1", false, false, http.StatusSeeOther)
	f("192.0.2.1:1", false, false, http.StatusForbidden)
	f("@", false, false, http.StatusForbidden)
	f("192.0.2.1:1", true, false, http.StatusSeeOther)
	f("127.0.0.1:1", true, true, http.StatusForbidden)
}

func TestWhatChangesSomethingNeedsTheToken(t *testing.T) {
	h := newHouse(t)
	id := h.deliver("Subject: x\n\ny\n").String()
	b := h.as("bob")
	token, foreign := b.token(), h.as("alice").token()
	for _, wrong := range []string{"", "x", foreign} {
		r, _ := b.post("/delete", url.Values{"id": {id}, "token": {wrong}})
		status(t, r, http.StatusForbidden)
		r, _ = b.post("/signout", url.Values{"token": {wrong}})
		status(t, r, http.StatusForbidden)
		r, _ = b.send(part{"token", "", wrong}, part{"to", "", "bob"}, part{"file", "x", "octets"})
		status(t, r, http.StatusForbidden)
	}
	r, _ := b.send(part{"file", "x", "octets"}, part{"token", "", token}, part{"to", "", "bob"})
	status(t, r, http.StatusForbidden)
	for _, field := range []string{"Sec-Fetch-Site", "Origin"} {
		q, _ := http.NewRequest(http.MethodPost, b.base+"/delete", strings.NewReader(url.Values{"id": {id}, "token": {token}}.Encode()))
		q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		q.Header.Set(field, map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "http://evil.example"}[field])
		r, _ = b.do(q)
		status(t, r, http.StatusForbidden)
	}
	if n, _, _ := h.store.Usage(h.bob); n != 1 || h.spooledFiles() != 0 {
		t.Errorf("%d messages are left, %d files are spooled", n, h.spooledFiles())
	}
	r, _ = b.post("/delete", url.Values{"id": {id}, "token": {token}, "back": {"//evil.example/"}})
	status(t, r, http.StatusSeeOther)
	if to := r.Header.Get("Location"); to != "/?deleted=1" {
		t.Errorf("sent to %s", to)
	}
	if n, _, _ := h.store.Usage(h.bob); n != 0 {
		t.Error("it is still there")
	}
}

func TestAccountsSeeOnlyTheirOwnMail(t *testing.T) {
	h := newHouse(t)
	id := h.deliver("Subject: for bob\nContent-Type: application/pdf\n\ny\n").String()
	b := h.as("alice")
	for _, path := range []string{"/m/" + id, "/m/" + id + "/raw", "/m/" + id + "/html", "/m/" + id + "/part/1", "/compose?reply=" + id, "/compose?forward=" + id, "/m/x"} {
		r, page := b.get(path)
		status(t, r, http.StatusNotFound)
		if strings.Contains(page, "for bob") {
			t.Errorf("%s shows it", path)
		}
	}
	token := b.token()
	r, _ := b.post("/delete", url.Values{"id": {id}, "token": {token}})
	status(t, r, http.StatusSeeOther) // what is not there is passed over
	r, _ = b.send(part{"token", "", token}, part{"to", "", "alice"}, part{"of", "", id}, part{"part", "", "1"})
	status(t, r, http.StatusServiceUnavailable)
	r, _ = b.send(part{"token", "", token}, part{"to", "", "alice"}, part{"from", "", "bob@example.org"})
	status(t, r, http.StatusForbidden)
	if n, _, _ := h.store.Usage(h.bob); n != 1 {
		t.Error("alice has deleted it")
	}
	if n, _, _ := h.store.Usage(h.alice); n != 0 {
		t.Error("alice has got something")
	}
}

// Every page has the policies for browsers, and no page has content that they forbid.
func TestEveryPageHasPolicies(t *testing.T) {
	h := newHouse(t)
	id := h.deliver("Subject: x\nContent-Type: text/html\n\n<b>y</b>\n").String()
	b := h.as("bob")
	for _, path := range []string{"/", "/?q=x", "/signin", "/compose", "/m/" + id, "/m/" + id + "?as=text", "/m/" + id + "/html", "/m/" + id + "/raw", "/assets/style.css", "/nothing"} {
		r, page := b.get(path)
		csp := r.Header.Get("Content-Security-Policy")
		if !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors") || r.Header.Get("X-Content-Type-Options") != "nosniff" || r.Header.Get("Referrer-Policy") == "" {
			t.Errorf("%s: %v", path, r.Header)
		}
		framed := strings.HasSuffix(path, "/html")
		if strings.Contains(csp, "unsafe-inline") != framed || strings.Contains(csp, "sandbox") != (framed || strings.HasSuffix(path, "/raw")) {
			t.Errorf("%s: %s", path, csp)
		}
		if !framed && regexp.MustCompile(`<style|<script>|\sstyle=|\son[a-z]+=|javascript:`).MatchString(page) {
			t.Errorf("%s has a script or a style within", path)
		}
	}
}

func TestPathsLeadNowhereElse(t *testing.T) {
	f := func(in, next, local string) {
		t.Helper()
		if got := nextPath(in); got != next {
			t.Errorf("nextPath(%q) = %q, not %q", in, got, next)
		}
		if got := localPath(in, ""); got != local {
			t.Errorf("localPath(%q) = %q, not %q", in, got, local)
		}
	}
	f("", "/", "/")
	f("/", "/", "/")
	f("/?page=2&deleted=7", "/?page=2&deleted=7", "/?page=2")
	f("/m/0000000000001?as=text", "/m/0000000000001?as=text", "/")
	f("/compose?to=x", "/compose?to=x", "/")
	for _, bad := range []string{"http://evil.example/", "//evil.example/m/", "/\\evil.example", "\\\\evil.example/m/", "javascript:alert(1)", "/signout", "m/1", "/m/\r\nSet-Cookie: x"} {
		f(bad, "/", "/")
	}
}

func TestADeletionAndASessionNeverMeet(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	id := h.deliver("Subject: x\n\ny\n")
	box := Mailbox{Store: h.store, Account: h.bob}
	lock, err := h.store.LockMaildrop(h.bob) // as a POP3 session has it
	if err != nil {
		t.Fatal(err)
	}
	l, err := lock.List(10)
	if err != nil || l.Len() != 1 {
		t.Fatal(l, err)
	}
	b := h.as("bob")
	r, page := b.post("/delete", url.Values{"id": {id.String()}, "token": {b.token()}})
	status(t, r, http.StatusConflict)
	has(t, page, "POP3 session", "Nothing was deleted")
	if r, _ := b.get("/m/" + id.String()); r.StatusCode != http.StatusOK {
		t.Error("no one can read meanwhile")
	}
	deleted := make(chan error)
	go func() { deleted <- box.Delete(t.Context(), []storage.MessageID{id}) }()
	time.Sleep(2 * lockLook) // it waits, or begins after the release
	if m, err := lock.Open(id); err != nil {
		t.Errorf("the session has lost its message: %v", err)
	} else {
		m.Close()
	}
	lock.Release()
	if err := <-deleted; err != nil {
		t.Errorf("it did not wait for the end of the session: %v", err)
	}
	if err := lock.Expunge([]storage.MessageID{id}); !errors.Is(err, storage.ErrFenced) {
		t.Errorf("the session that is over deletes: %v", err)
	}
	if n, _, _ := h.store.Usage(h.bob); n != 0 {
		t.Errorf("%d messages are left", n)
	}
	if err := box.Delete(t.Context(), []storage.MessageID{id}); err != nil {
		t.Errorf("again: %v", err)
	}
	if lock, err = h.store.LockMaildrop(h.bob); err != nil {
		t.Errorf("the lock was kept: %v", err)
	} else {
		lock.Release()
	}
}
