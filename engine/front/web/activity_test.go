package web

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"postrider/engine/edge/conn"
)

// until waits for what others bring about.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// The users who are signed in are listed with their last request, and selected by what a
// session has.
func TestActivity_Look(t *testing.T) {
	h := newHouse(t)
	bob, alice := h.as("bob"), h.as("alice")
	if r, _ := bob.get("/?q=geheim"); r.StatusCode != http.StatusOK {
		t.Fatal(r.Status)
	}
	alice.get("/compose")
	found := h.activity.Look(conn.Selection{})
	slices.SortFunc(found, func(a, b conn.Facts) int { return strings.Compare(a.Account, b.Account) })
	if len(found) != 2 {
		t.Fatalf("%+v", found)
	}
	a, b := found[0], found[1]
	if a.Account != "alice@example.org" || a.Last != "GET /compose" || a.State != "IDLE" || a.Requests != 2 || a.Out == 0 {
		t.Errorf("%+v", a)
	}
	if b.Protocol != "web" || b.Account != "bob@example.org" || b.Last != "GET /?(hidden)" || !b.Client.IsLoopback() || b.ID == a.ID || b.ID == 0 || b.In == 0 {
		t.Errorf("%+v", b)
	}
	for _, test := range []struct {
		sel  conn.Selection
		want int
	}{
		{conn.Selection{Protocol: "web"}, 2}, {conn.Selection{Protocol: "pop3"}, 0}, {conn.Selection{Account: "bob"}, 1}, {conn.Selection{Account: "BOB@example.org"}, 1},
		{conn.Selection{Account: "ob"}, 0}, {conn.Selection{IDs: []uint64{a.ID, 1 << 60}}, 1}, {conn.Selection{Client: netip.MustParsePrefix("127.0.0.0/8")}, 2},
		{conn.Selection{Client: netip.MustParsePrefix("192.0.2.0/24")}, 0}, {conn.Selection{Account: "bob", IDs: []uint64{a.ID}}, 0},
	} {
		if got := h.activity.Look(test.sel); len(got) != test.want {
			t.Errorf("%+v: %d, want %d", test.sel, len(got), test.want)
		}
	}
	bob.post("/signout", url.Values{"token": {bob.token()}})
	if got := h.activity.Look(conn.Selection{}); len(got) != 1 || got[0].Account != "alice@example.org" {
		t.Errorf("after bob has signed out: %+v", got)
	}
}

// raw sends the begin of a request over a connection of its own, as the browser would.
func (b *browser) raw(begin string) net.Conn {
	b.t.Helper()
	at, err := url.Parse(b.base)
	if err != nil {
		b.t.Fatal(err)
	}
	c, err := net.Dial("tcp", at.Host)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { c.Close() })
	line, rest, _ := strings.Cut(begin, "\r\n")
	cookie := b.Jar.Cookies(at)[0]
	if _, err := fmt.Fprintf(c, "%s HTTP/1.1\r\nHost: %s\r\nCookie: %s=%s\r\n%s", line, at.Host, cookie.Name, cookie.Value, rest); err != nil {
		b.t.Fatal(err)
	}
	return c
}

// A session that an operator ends is signed out, and its download ends at once, though the
// client does not take it. Other users go on.
func TestActivity_EndsDownloads(t *testing.T) {
	h := newHouse(t)
	bob, alice := h.as("bob"), h.as("alice")
	id := h.deliver("Subject: long\n\n" + strings.Repeat(strings.Repeat("x", 70)+"\n", 400_000))
	c := bob.raw("GET /m/" + id.String() + "/raw\r\n\r\n")
	sel := conn.Selection{Account: "bob"}
	until(t, "the download has begun", func() bool {
		found := h.activity.Look(sel)
		return len(found) == 1 && found[0].State == "GET" && found[0].Out > 100<<10
	})
	if n := h.activity.End(sel, false); n != 1 {
		t.Errorf("%d sessions are told to end, want 1", n)
	}
	until(t, "no request is under way", func() bool {
		h.activity.mu.Lock()
		defer h.activity.mu.Unlock()
		return len(h.activity.open) == 0
	})
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, answer.Body); err == nil {
		t.Errorf("the download has come to its end, %d octets", n)
	}
	if r, _ := bob.get("/"); r.StatusCode != http.StatusSeeOther || r.Header.Get("Location") != "/signin" {
		t.Errorf("bob is not signed out: %s", r.Status)
	}
	if r, _ := alice.get("/"); r.StatusCode != http.StatusOK {
		t.Errorf("alice: %s", r.Status)
	}
	if n := h.activity.End(sel, true); n != 0 {
		t.Errorf("%d sessions of bob are left", n)
	}
}

// A request that changes something goes on to its end, unless it is cut off.
func TestActivity_EndsNoChange(t *testing.T) {
	for _, now := range []bool{false, true} {
		h := newHouse(t)
		bob := h.as("bob")
		id := h.deliver("Subject: x\n\nx\n")
		body := url.Values{"token": {bob.token()}, "id": {id.String()}}.Encode()
		c := bob.raw(fmt.Sprintf("POST /delete\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", len(body), body[:10]))
		sel := conn.Selection{Account: "bob"}
		until(t, "the request is there", func() bool {
			found := h.activity.Look(sel)
			return len(found) == 1 && found[0].State == "POST"
		})
		if n := h.activity.End(sel, now); n != 1 || len(h.activity.Look(sel)) != 0 {
			t.Errorf("%d sessions are told to end, want 1", n)
		}
		_, _ = c.Write([]byte(body[10:])) // it may be closed
		answer, err := http.ReadResponse(bufio.NewReader(c), nil)
		messages, _, fault := h.store.Usage(h.bob)
		if fault != nil {
			t.Fatal(fault)
		}
		if now && (err == nil || messages != 1) {
			t.Errorf("cut off, and the message is deleted: %v", answer)
		}
		if !now && (err != nil || answer.StatusCode != http.StatusSeeOther || strings.Contains(answer.Header.Get("Location"), "signin") || messages != 0) {
			t.Errorf("the message is not deleted: %v, %v", answer, err)
		}
	}
}

// traced is what a trace shows, meanwhile.
type traced struct {
	mu    sync.Mutex
	lines []string
	stop  func()
}

func (h *house) trace(t *testing.T, sel conn.Selection) *traced {
	feed, tr := conn.NewFeed(), new(traced)
	ctx, cancel := context.WithCancel(t.Context())
	stop := h.activity.Follow(sel, feed)
	var reads sync.WaitGroup
	tr.stop = func() { stop(); cancel(); reads.Wait() }
	t.Cleanup(tr.stop)
	reads.Go(func() {
		_ = feed.Run(ctx, func(all []conn.TraceLine) error {
			tr.mu.Lock()
			defer tr.mu.Unlock()
			for _, l := range all {
				tr.lines = append(tr.lines, fmt.Sprint(l.Session, " ", l.Text))
			}
			return nil
		})
	})
	return tr
}

func (tr *traced) text() string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return strings.Join(tr.lines, "\n")
}

// A trace shows the requests that it selects, requests of an account from its login on, in order,
// and nothing that is secret.
func TestActivity_Follow(t *testing.T) {
	h := newHouse(t)
	all, ofBob := h.trace(t, conn.Selection{Client: netip.MustParsePrefix("127.0.0.1/32")}), h.trace(t, conn.Selection{Account: "bob"})
	bob, alice := h.as("bob"), h.as("alice")
	id := h.deliver("Subject: x\n\nwords of the body\n")
	bob.get("/?q=geheim")
	bob.get("/m/" + id.String())
	alice.get("/compose")
	h.browser().get("/")
	h.browser().get("/nowhere/%1b/" + strings.Repeat("x", 1000))
	session := h.activity.Look(conn.Selection{Account: "bob"})[0].ID
	until(t, "all lines are there", func() bool { return strings.Count(all.text(), "<- ") == 7 && strings.Count(ofBob.text(), "<- ") == 3 })
	for _, want := range []string{
		fmt.Sprintf("%d === web session of 127.0.0.1, account bob@example.org\n%[1]d  -> POST /signin\n%[1]d <-  303 POST /signin, ", session),
		" octets after 24 octets from the client, 0.", fmt.Sprintf("%d  -> GET /m/%s\n%[1]d <-  200 GET /m/%[2]s, ", session, id), fmt.Sprintf("%d  -> GET /?(hidden)\n", session),
	} {
		if !strings.Contains(ofBob.text(), want) || !strings.Contains(all.text(), want) {
			t.Errorf("no %q in\n%s", want, ofBob.text())
		}
	}
	if text := all.text(); !strings.Contains(text, "account alice@example.org\n") || !strings.Contains(text, "<-  404 GET /nowhere/%1b/xxx") || !strings.Contains(text, "more octets)") || !strings.Contains(text, "<-  303 GET /, ") {
		t.Errorf("the requests of all:\n%s", text)
	}
	if n := strings.Count(ofBob.text(), "==="); n != 1 {
		t.Errorf("the session of bob is introduced %d times", n)
	}
	at, _ := url.Parse(h.server.URL)
	for _, secret := range []string{"geheim", "secret", bob.Jar.Cookies(at)[0].Value, bob.token(), "words of the body", "alice"} {
		if strings.Contains(ofBob.text(), secret) || secret != "alice" && strings.Contains(all.text(), secret) {
			t.Errorf("%q is shown", secret)
		}
	}
	all.stop()
	ofBob.stop()
	before := all.text()
	bob.get("/")
	if h.activity.mu.Lock(); len(h.activity.follows) != 0 || all.text() != before {
		t.Error("a trace goes on after its end")
	}
	h.activity.mu.Unlock()
}
