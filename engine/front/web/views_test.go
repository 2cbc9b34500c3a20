package web

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// A message can be looked at as HTML, text, source and header, and the neighbours in the
// list are a click away.
func TestViewsOfAMessage(t *testing.T) {
	h := newHouse(t)
	var ids []string
	for i := range 9 {
		ids = append(ids, h.deliver(fmt.Sprintf("From: a@x.example\nSubject: n%d\nX-Odd: a\u009bb <b>\n\tc\u202e\nMIME-Version: 1.0\nContent-Type: multipart/alternative; boundary=b\n\n"+
			"--b\nContent-Type: text/plain; charset=utf-8\n\nplain \u202ewords\u009b %d\n--b\nContent-Type: text/html; charset=utf-8\n\n<p class=\"x\">formatted</p>\n--b--\n", i, i)).String())
	}
	b := h.as("bob")
	_, page := b.get("/m/" + ids[4])
	has(t, page, `href="/m/`+ids[5]+`" data-key="k" rel="prev">Newer`, `href="/m/`+ids[3]+`" data-key="j" rel="next">Older`, "<iframe", `as=html" aria-current="true"`, "not given; arrived")
	_, page = b.get("/m/" + ids[8])
	if strings.Contains(page, `rel="prev"`) {
		t.Error("the newest message has a newer one")
	}
	_, page = b.get("/m/" + ids[0])
	if strings.Contains(page, `rel="next"`) || !strings.Contains(page, ids[1]) {
		t.Error("the oldest message")
	}
	_, page = b.get("/m/" + ids[4] + "?as=text")
	has(t, page, "plain words", " 4")
	_, source := b.get("/m/" + ids[4] + "?as=source")
	has(t, source, `&lt;p class=&#34;x&#34;&gt;formatted&lt;/p&gt;`)
	_, header := b.get("/m/" + ids[4] + "?as=headers")
	has(t, header, "<dt>X-Odd</dt><dd>a", "b &lt;b&gt;", "<dt>Return-Path</dt>")
	for _, p := range []string{page, source, header} {
		if strings.ContainsAny(p, "\u202e\u009b") || strings.Contains(p, "<iframe") {
			t.Errorf("%.3000q", p)
		}
	}
	id := h.deliver("Subject: x\nDate: the day after tomorrow\n\nonly text\n").String()
	_, page = b.get("/m/" + id + "?as=html")
	has(t, page, "only text", "can’t be read; arrived")
	if strings.Contains(page, "HTML") {
		t.Error("there is no HTML to look at")
	}
}

// Only the assets are served from their folder.
func TestAssets(t *testing.T) {
	h := newHouse(t)
	b := h.browser()
	for path, want := range map[string]int{"/assets/style.css": 200, "/assets/keys.js": 200, "/assets/icon.svg": 200, "/assets/%2e%2e/pages/layout.html": 404,
		"/assets/..%2fpages%2flist.html": 404, "/assets/%2e%2e%2fframe.go": 404, "/pages/layout.html": 404, "/assets/./pages/layout.html": 404} {
		r, body := b.get(path)
		if ok := r.StatusCode == want || want == 404 && r.StatusCode >= 300 && r.StatusCode < 500; !ok || strings.Contains(body, "{{") {
			t.Errorf("%s: %s %.100s", path, r.Status, body)
		}
		if r.StatusCode == http.StatusOK && r.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", path, r.Header)
		}
	}
}
