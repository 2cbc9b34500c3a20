package capture

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"postrider/codec/dot"
	"postrider/engine/edge/conn"
	"postrider/engine/front/web"
	"postrider/storage"
	"postrider/storage/lsm"
)

// desk is a view over a store of its own.
type desk struct {
	t       *testing.T
	store   *lsm.Store
	account storage.AccountID
	server  *httptest.Server

	activity *web.Activity
}

// A stream of events is listed, and an operator can end it.
func TestEventsAreEndedByAnOperator(t *testing.T) {
	d := newDesk(t)
	r, err := http.Get(d.server.URL + "/api/v1/events")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if _, err := r.Body.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	found := d.activity.Look(conn.Selection{Protocol: "web"})
	if len(found) != 1 || found[0].Last != "GET /api/v1/events" || found[0].State != "GET" || found[0].Account != "" {
		t.Fatalf("%+v", found)
	}
	if n := d.activity.End(conn.Selection{IDs: []uint64{found[0].ID}}, false); n != 1 {
		t.Errorf("%d requests are told to end, want 1", n)
	}
	_, _ = io.Copy(io.Discard, r.Body) // to its end
	for until := time.Now().Add(time.Minute); len(d.activity.Look(conn.Selection{})) != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("the stream goes on")
		}
	}
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	store, err := lsm.Open(lsm.Options{Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler), Durability: lsm.None})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	if err := store.AddDomain("example.org"); err != nil {
		t.Fatal(err)
	}
	d := &desk{t: t, store: store}
	if d.account, err = store.AddAccount(storage.NewAccount{Name: "captured", Domain: "example.org", Hash: "hash"}); err != nil {
		t.Fatal(err)
	}
	var ids atomic.Uint64
	d.activity = web.NewActivity(func() uint64 { return ids.Add(1) })
	d.server = httptest.NewServer(New(Config{Store: store, Account: d.account, Started: time.Now(), Bounds: web.Bounds{Activity: d.activity}, Log: slog.New(slog.DiscardHandler)}))
	t.Cleanup(d.server.Close)
	return d
}

// deliver captures a message, in plain form with LF, for recipients.
func (d *desk) deliver(text string, to ...string) storage.MessageID {
	d.t.Helper()
	var z dot.Normalizer
	wire := z.End(z.Append(nil, []byte(text)))
	draft := d.store.NewDraft(0)
	draft.Append(wire)
	trace := "Return-Path: <app@sender.example>\r\n"
	for _, r := range to {
		trace += "Delivered-To: " + r + "\r\n"
	}
	done := make(chan error, 1)
	d.store.Deliver(&storage.Delivery{Draft: draft, Arrival: time.Now(), Size: z.Counts().Size, Recipients: []storage.Recipient{{Account: d.account, Trace: []byte(trace)}},
		Done: func(_ *storage.Delivery, _ storage.Receipt, err error) { done <- err }})
	if err := <-done; err != nil {
		d.t.Fatal(err)
	}
	return draft.ID()
}

// ask asks the API and wants a status.
func (d *desk) ask(method, path string, status int, v any) string {
	d.t.Helper()
	r, err := http.NewRequestWithContext(d.t.Context(), method, d.server.URL+path, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		d.t.Fatal(err)
	}
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	if err != nil || a.StatusCode != status {
		d.t.Fatalf("%s %s: %s %.500s %v", method, path, a.Status, b, err)
	}
	if v != nil {
		if err := json.Unmarshal(b, v); err != nil {
			d.t.Fatalf("%s %s: %v in %.500s", method, path, err, b)
		}
	}
	return string(b)
}

// search wants the subjects that a query finds, the newest first.
func (d *desk) search(query string, want ...string) {
	d.t.Helper()
	var f found
	d.ask("GET", "/api/v1/search?query="+url.QueryEscape(query), 200, &f)
	var got []string
	for _, m := range f.Messages {
		got = append(got, m.Subject)
	}
	if !slices.Equal(got, want) || !f.Complete {
		d.t.Errorf("%s: %q, complete %v, want %q", query, got, f.Complete, want)
	}
}

func mixed(subject string, parts ...string) string {
	return "From: shop@sender.example\nSubject: " + subject + "\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\n" + strings.Join(parts, "\n--b\n") + "\n--b--\n"
}

// The header of a part decides where it is listed and whether it is counted.
func TestAttachmentsAndInline(t *testing.T) {
	d := newDesk(t)
	f := func(fields string, attachments, inline int) {
		t.Helper()
		id := d.deliver(mixed(fields, "Content-Type: text/plain\n\nhi", fields+"\n\nR0lG"))
		var w whole
		d.ask("GET", "/api/v1/message/"+id.String(), 200, &w)
		var l found
		d.ask("GET", "/api/v1/messages?limit=1", 200, &l)
		if len(w.Attachments) != attachments || len(w.Inline) != inline || l.Messages[0].Attachments != attachments {
			t.Errorf("%s: %d attachments, %d inline, %d counted", fields, len(w.Attachments), len(w.Inline), l.Messages[0].Attachments)
		}
	}
	f("Content-Type: text/calendar; name=a.ics\nContent-Disposition: attachment; filename=a.ics\nContent-ID: <c1@x>", 1, 0)
	f("Content-Type: image/gif\nContent-Disposition: ATTACHMENT\nContent-ID: <c1@x>", 1, 0)
	f("Content-Type: image/gif; name=a.gif\nContent-ID: <c1@x>", 0, 1)
	f("Content-Type: image/gif\nContent-Disposition: inline; filename=a.gif", 0, 1)
	f("Content-Type: application/zip; name=a.zip", 1, 0)
	f("Content-Type: application/octet-stream\nContent-Disposition: inline; filename=a.bin\nContent-ID: <c1@x>", 0, 1)
	d.search("has:inline -has:attachment", "Content-Type: application/octet-stream", "Content-Type: image/gif", "Content-Type: image/gif; name=a.gif")
}

// A message of HTML only has a text and a snippet, and its words are found whatever is
// between them; parts that are not text are not found.
func TestHTMLOnly(t *testing.T) {
	d := newDesk(t)
	id := d.deliver("Subject: offer\nMIME-Version: 1.0\nContent-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n"+
		"<html><head><title>ti</title><style>"+strings.Repeat(".banner{x:y}", 500)+"</style></head>=\n<body><div style=3D\"display:none\">Early words</div><p>Your <i>new</i>\n<b>pass</b>word, Zo&euml;:&nbsp;"+
		"<a href=3D\"https://app.example/reset?t=3D123\">follow\n the link</a> within&#32;an hour</p><script>var secretword</script></body></html>\n", "zoe@one.example")
	var w whole
	d.ask("GET", "/api/v1/message/"+id.String(), 200, &w)
	if !strings.Contains(w.Text, "Your new password, Zoë:") || !strings.Contains(w.Text, "https://app.example/reset?t=123") || strings.Contains(w.Text, "banner") || !strings.Contains(w.HTML, "<b>pass</b>") {
		t.Errorf("%q", w.Text)
	}
	var l found
	d.ask("GET", "/api/v1/messages", 200, &l)
	if got := l.Messages[0].Snippet; !strings.HasPrefix(got, "Early words Your new password, Zoë: follow the link within an hour") {
		t.Errorf("snippet %q", got)
	}
	for _, q := range []string{`"your new password"`, `"zoë: follow the link within an hour"`, "reset?t=123", "early", "-secretword", "-banner"} {
		d.search(q, "offer")
	}
	d.search("secretword")
	d.search("banner")
}

// All of the text and the names of files are searched, far into a long message.
func TestSearchReadsAll(t *testing.T) {
	d := newDesk(t)
	d.deliver(mixed("long", "Content-Type: application/octet-stream; name=first.bin\nContent-Transfer-Encoding: base64\n\n"+strings.Repeat(strings.Repeat("QUJD", 18)+"\n", 8000),
		"Content-Type: text/plain\n\n"+strings.Repeat("filler words\n", 20_000)+"The needle\nin the haystack\n", "Content-Type: application/pdf; name*=utf-8''Stra%C3%9Fe.pdf\nContent-Disposition: attachment\n\n%PDF"))
	d.deliver("Subject: short\n\nneedle,\tin   a\nhay stack\n")
	d.search(`"needle in the haystack"`, "long")
	d.search("straße.pdf", "long")
	d.search("first.bin needle", "long")
	d.search(`"hay stack"`, "short")
	d.search("needle", "short", "long")
	var l found
	d.ask("GET", "/api/v1/messages", 200, &l)
	if l.Messages[1].Attachments != 2 {
		t.Errorf("%d attachments", l.Messages[1].Attachments)
	}
	d.deliver("Subject: endless\n\n" + strings.Repeat("abcdefgh ij\n", maxLooked/12+1) + "needle\n")
	d.ask("GET", "/api/v1/search?query=needle", 200, &l)
	if l.Complete || l.Matching != 2 {
		t.Errorf("%+v", l)
	}
	d.ask("DELETE", "/api/v1/search?query=-needle", 200, nil) // what is open is not deleted
	d.search("subject:endless", "endless")
}

// A search that deletes removes what it finds and nothing else.
func TestDeleteBySearch(t *testing.T) {
	d := newDesk(t)
	for i := range 4 {
		d.deliver(fmt.Sprintf("From: a@x.example\nReply-To: r%d@x.example\nSubject: n%d\n\n%s\n", i, i, strings.Repeat("x", 100*i)), "x@y.example")
	}
	for _, bad := range []string{"tag:old", "-tag:keep", "is:starred", "-older:3d", "before:soon", ""} {
		d.ask("DELETE", "/api/v1/search?query="+url.QueryEscape(bad), 400, nil)
	}
	for _, none := range []string{"before:2001-09-09", "-after:2001-09-09", "is:read", "-is:unread", "smaller:1", "reply-to:r9", "from:r1@x.example",
		"to:x@y.example", "from:app@sender.example", "-to:z@y.example -to:x@y.example"} {
		d.ask("DELETE", "/api/v1/search?query="+url.QueryEscape(none), 200, nil)
		d.search("to:x@y.example", "n3", "n2", "n1", "n0")
	}
	d.ask("DELETE", "/api/v1/search?query="+url.QueryEscape("reply-to:r2@x.example after:2001-09-09"), 200, nil)
	d.search("is:unread", "n3", "n1", "n0")
	d.ask("GET", "/api/v1/wait?query=is:unread&count=3&timeout=1ms", 200, nil)
	d.ask("GET", "/api/v1/search?query=after:2026-01-01&tz=Nowhere/Land", 400, nil)
	d.ask("GET", "/api/v1/search?query=after:2001-01-01&tz=Pacific/Auckland", 200, nil)
	d.ask("DELETE", "/api/v1/search?query="+url.QueryEscape("larger:1"), 200, nil)
	d.search("")
}

// What the limits or the API delete is not kept for an undelete, whatever is configured.
func TestCapturedMailIsNotKept(t *testing.T) {
	d := newDesk(t)
	d.store.SetRetention(storage.Retention{DeletedMail: time.Hour})
	for range 3 {
		d.deliver("Subject: x\n\nx\n", "a@example.org")
	}
	v := New(Config{Store: d.store, Account: d.account, Keep: 2, Log: slog.New(slog.DiscardHandler)})
	if err := v.trim(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	d.ask("DELETE", "/api/v1/messages", 200, nil)
	n, _, err := d.store.Usage(d.account)
	if k := d.store.Kept(); n != 0 || err != nil || k != (storage.Kept{}) {
		t.Errorf("%d messages are left, %v; kept: %+v", n, err, k)
	}
}
