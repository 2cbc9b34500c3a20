package web

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"postrider/storage"
)

// purse is a budget that remembers the most that was taken.
type purse struct {
	mu              sync.Mutex
	max, held, most int64
	refused         int
}

func (p *purse) Reserve(n int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held+n > p.max {
		p.refused++
		return false
	}
	p.held += n
	p.most = max(p.most, p.held)
	return true
}

func (p *purse) Release(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held -= n
}

// bounded gives the house's client another budget.
func (h *house) bounded(octets int64) *purse {
	h.purse.mu.Lock()
	defer h.purse.mu.Unlock()
	h.purse.max, h.purse.most = octets, h.purse.held
	return h.purse
}

func init() { workWait = 100 * time.Millisecond } // refusals are soon

func photograph(octets int) string {
	return "--b\nContent-Type: image/gif\nContent-ID: <p%d@x>\nContent-Transfer-Encoding: base64\n\n" +
		base64.StdEncoding.EncodeToString([]byte(pixel+strings.Repeat("x", octets))) + "\n"
}

// What a page takes is booked, refused with 503 when there is no room, and given back.
func TestPagesAreBooked(t *testing.T) {
	h := newHouse(t)
	letter := "Subject: photographs\nMIME-Version: 1.0\nContent-Type: multipart/related; boundary=b\n\n--b\nContent-Type: text/html\n\n<img src=\"cid:p0@x\"><img src=\"cid:p1@x\">\n"
	for i := range 2 {
		letter += fmt.Sprintf(photograph(3<<20), i)
	}
	id := h.deliver(letter + "--b--\n").String()
	b := h.as("bob")
	p := h.bounded(16 << 20)
	r, page := b.get("/m/" + id + "/html")
	status(t, r, http.StatusOK)
	if strings.Count(page, "data:image/gif") != 2 || p.most < 6<<20 {
		t.Errorf("%d pictures, %d octets booked", strings.Count(page, "data:image/gif"), p.most)
	}
	p.mu.Lock()
	p.max = 4 << 20
	p.mu.Unlock()
	r, _ = b.get("/m/" + id + "/html")
	status(t, r, http.StatusServiceUnavailable)
	if r.Header.Get("Retry-After") == "" || p.refused == 0 {
		t.Errorf("%v", r.Header)
	}
	r, _ = b.get("/") // which takes little
	status(t, r, http.StatusOK)
	eventually(t, func() bool { p.mu.Lock(); defer p.mu.Unlock(); return p.held == 0 })
}

func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	for until := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("it does not come true")
		}
	}
}

// Some requests of an account are worked on at once; requests of other accounts go on meanwhile.
func TestTurns(t *testing.T) {
	var ts turns
	begin := func(account storage.AccountID, ctx context.Context) (*work, error) {
		k := &work{ctx: ctx}
		return k, ts.take(context.WithValue(ctx, workKey{}, k), account)
	}
	var held []*work
	for range maxTurns {
		k, err := begin(1, t.Context())
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, k)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := begin(1, ended); err != context.Canceled {
		t.Error(err)
	}
	if k, err := begin(2, t.Context()); err != nil {
		t.Error(err)
	} else {
		k.end()
	}
	waited := make(chan error)
	go func() { _, err := begin(1, t.Context()); waited <- err }()
	held[0].end()
	if err := <-waited; err != nil {
		t.Error(err)
	}
}

// A request whose client has gone is not worked on any more.
func TestARequestWithoutItsClientEnds(t *testing.T) {
	h := newHouse(t)
	h.deliver("Subject: x\n\nwords\n")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l, err := read(ctx, strings.NewReader("Subject: x\n\n"+strings.Repeat("words\n", 1000)), nil)
	if err != context.Canceled {
		t.Errorf("%v, %v", l, err)
	}
	if _, err = (attended{ctx, strings.NewReader("x")}).Read(make([]byte, 1)); err != context.Canceled {
		t.Error(err)
	}
}

// A form has the token first and the fields of the page, and no more of them.
func TestForms(t *testing.T) {
	h := newHouse(t)
	b := h.as("alice")
	token := b.token()
	post := func(fields ...[2]string) (*http.Response, string) {
		var body bytes.Buffer
		m := multipart.NewWriter(&body)
		for _, f := range fields {
			w, _ := m.CreateFormField(f[0])
			_, _ = io.WriteString(w, f[1])
		}
		m.Close()
		r, _ := http.NewRequest(http.MethodPost, b.base+"/send", &body)
		r.Header.Set("Content-Type", m.FormDataContentType())
		return b.do(r)
	}
	ok := [][2]string{{"token", token}, {"to", "bob"}, {"subject", "x"}, {"text", "hello"}}
	r, _ := post(ok...)
	status(t, r, http.StatusSeeOther)
	r, _ = post(append(ok, [2]string{"other", strings.Repeat("x", 3<<20)}, [2]string{"subject", "again"})...) // passed over
	status(t, r, http.StatusSeeOther)
	r, _ = post(ok[1], ok[0])
	status(t, r, http.StatusForbidden)
	r, _ = post([2]string{"token", "wrong"}, ok[1])
	status(t, r, http.StatusForbidden)
	r, _ = post()
	status(t, r, http.StatusForbidden)
	r, page := post(ok[0], ok[1], [2]string{"subject", strings.Repeat("x", 4001)})
	status(t, r, http.StatusUnprocessableEntity)
	has(t, page, "Subject is longer than 4 kB")
	var many [][2]string
	for range maxFields {
		many = append(many, [2]string{"part", "1"})
	}
	r, _ = post(append(ok[:1:1], many...)...)
	status(t, r, http.StatusRequestEntityTooLarge)
	p := h.bounded(1 << 20)
	r, _ = post(ok[0], ok[1], [2]string{"text", strings.Repeat("words\r\n", 200_000)})
	status(t, r, http.StatusServiceUnavailable)
	if p.most > 1<<20 {
		t.Error(p.most)
	}
}

// One account fills its share of the spool, and others still send.
func TestAnAccountsShareOfTheSpool(t *testing.T) {
	sp := spool{}
	for range 4 {
		if !sp.book(1, maxAccount/4) {
			t.Fatal("its share is refused")
		}
	}
	if sp.book(1, 1) {
		t.Error("more than its share is taken")
	}
	if !sp.book(2, maxAccount) || sp.octets.Load() != 2*maxAccount {
		t.Error("another account has no room")
	}
	sp.free(1, maxAccount)
	if !sp.book(1, maxAccount) || !sp.book(3, maxAccount) || !sp.book(4, maxAccount) || sp.book(5, 1) {
		t.Error("the spool holds more, or less, than it may")
	}
}

func TestHosts(t *testing.T) {
	handler := func(always bool) http.Handler {
		return Hosts{Names: []string{"mx.example.org", "mail.example.org"}, Always: always}.Only(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	}
	f := func(from, host string, always bool, want int) {
		t.Helper()
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr, r.Host = from, host
		w := httptest.NewRecorder()
		handler(always).ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%s from %s: %d", host, from, w.Code)
		}
	}
	for _, host := range []string{"localhost", "LOCALHOST:8025", "127.0.0.1:8025", "[::1]:8025", "::1", "192.0.2.7", "mx.example.org", "MAIL.example.org.:80", "app.localhost:80", "mailbox", ""} {
		f("127.0.0.1:9", host, true, 200)
	}
	for _, host := range []string{"evil.example", "localhost.evil.example:8025", "127.0.0.1.evil.example", "xmx.example.org", "example.org", "mx.example.org.evil.example", "a b.c\x1b"} {
		f("127.0.0.1:9", host, false, 421)
		f("[::1]:9", host, false, 421)
		f("192.0.2.9:9", host, true, 421)
		f("192.0.2.9:9", host, false, 200)
	}
}

func TestProxies(t *testing.T) {
	p := Proxies{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	f := func(from string, forwarded []string, proto, want string, secure bool) {
		t.Helper()
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = from
		r.Header["X-Forwarded-For"] = forwarded
		r.Header.Set("X-Forwarded-Proto", proto)
		p.Believe(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if got := addressOf(r).String(); got != want || isSecure(r) != secure {
				t.Errorf("%s %q: %s, secure %v", from, forwarded, got, isSecure(r))
			}
		})).ServeHTTP(httptest.NewRecorder(), r)
	}
	f("192.0.2.1:5", []string{"198.51.100.1"}, "https", "192.0.2.1", false) // no proxy of ours
	f("10.1.1.1:5", []string{"198.51.100.1"}, "https", "198.51.100.1", true)
	f("10.1.1.1:5", []string{"127.0.0.1, 198.51.100.1"}, "http", "198.51.100.1", false)
	f("10.1.1.1:5", []string{"127.0.0.1", "198.51.100.1, 10.2.2.2"}, "", "198.51.100.1", false)
	f("[fd00::1]:5", []string{"[2001:db8::7]:4711"}, "HTTPS", "2001:db8::7", true)
	f("10.1.1.1:5", []string{"198.51.100.1:80, unknown"}, "", "10.1.1.1", false)
	f("10.1.1.1:5", nil, "", "10.1.1.1", false)
	f("10.1.1.1:5", []string{strings.Repeat("10.9.9.9, ", 5000) + "10.8.8.8"}, "", "10.9.9.9", false)
}
