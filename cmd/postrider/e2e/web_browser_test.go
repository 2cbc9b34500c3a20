package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// visitor is a user with a browser.
type visitor struct {
	t       *testing.T
	ctx     context.Context
	url     string
	folder  string      // where downloads go
	fetched chan string // the GUID of each download that is complete
}

// visit starts a browser and opens a page of the server.
func (s *server) visit() *visitor {
	s.t.Helper()
	need(s.t, "chromium")
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath("chromium"), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.UserDataDir(s.profileFolder()), chromedp.WindowSize(1280, 800), chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("lang", "en-GB"), chromedp.Env("LANG=C.UTF-8"))
	ctx, stop := context.WithTimeout(s.t.Context(), 10*patience) // for the whole visit
	s.t.Cleanup(stop)
	ctx, stop = chromedp.NewExecAllocator(ctx, options...)
	s.t.Cleanup(stop)
	ctx, stop = chromedp.NewContext(ctx)
	s.t.Cleanup(stop)
	v := &visitor{t: s.t, ctx: ctx, url: "http://" + s.http[0], folder: s.t.TempDir(), fetched: make(chan string, 10)}
	chromedp.ListenTarget(ctx, func(e any) {
		switch e := e.(type) {
		case *page.EventJavascriptDialogOpening:
			go chromedp.Run(ctx, page.HandleJavaScriptDialog(true))
		case *browser.EventDownloadProgress:
			if e.State == browser.DownloadProgressStateCompleted {
				v.fetched <- e.GUID
			}
		}
	})
	v.do(browser.SetDownloadBehavior(browser.SetDownloadBehaviorBehaviorAllowAndName).WithDownloadPath(v.folder).WithEventsEnabled(true),
		chromedp.Navigate(v.url))
	return v
}

// profileFolder is a folder for a browser's profile. Processes of the browser write into
// it for a moment after the browser has ended.
func (s *server) profileFolder() string {
	s.t.Helper()
	dir, err := os.MkdirTemp("", "postrider-browser")
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		for end := time.Now().Add(patience); os.RemoveAll(dir) != nil && time.Now().Before(end); {
			time.Sleep(50 * time.Millisecond)
		}
	})
	return dir
}

func (v *visitor) do(actions ...chromedp.Action) {
	v.t.Helper()
	if err := chromedp.Run(v.ctx, actions...); err != nil {
		var at, text string
		again, stop := context.WithTimeout(context.WithoutCancel(v.ctx), time.Second)
		defer stop()
		_ = chromedp.Run(again, chromedp.Location(&at), chromedp.Evaluate("document.body.innerText", &text))
		v.t.Fatalf("%v\nat %s:\n%s", err, at, text)
	}
}

// signIn signs in as an account of the tests.
func (v *visitor) signIn(name string) {
	v.t.Helper()
	v.do(chromedp.WaitVisible(`input[name=user]`), chromedp.SendKeys(`input[name=user]`, name),
		chromedp.SendKeys(`input[name=password]`, password(name)+"\r"), chromedp.WaitVisible(`#list`))
}

// sees waits until an element has the text in it.
func (v *visitor) sees(selector, text string) {
	v.t.Helper()
	var got string
	for end := time.Now().Add(patience / 4); !strings.Contains(got, text); {
		v.do(chromedp.Text(selector, &got))
		if time.Now().After(end) {
			v.t.Fatalf("%s still has not %q in it, but %q", selector, text, got)
		}
	}
}

// click clicks on something and waits until what comes then is there.
func (v *visitor) click(selector, then string) {
	v.t.Helper()
	v.do(chromedp.Click(selector, chromedp.NodeVisible), chromedp.WaitVisible(then))
}

// saves clicks on a link and returns the file that comes.
func (v *visitor) saves(selector string) []byte {
	v.t.Helper()
	v.do(chromedp.Click(selector, chromedp.NodeVisible))
	select {
	case guid := <-v.fetched:
		b, err := os.ReadFile(filepath.Join(v.folder, guid))
		if err != nil {
			v.t.Fatal(err)
		}
		return b
	case <-time.After(patience):
		v.t.Fatal("no file came")
	}
	return nil
}

// fetches is what the browser gets from an address that a script gives.
func (v *visitor) fetches(address string) (text string) {
	v.t.Helper()
	v.do(chromedp.Evaluate(`fetch(`+address+`).then((r) => r.text())`, &text, func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }))
	return text
}

// picture wants the page to fit a small telephone and a large desk. When
// POSTRIDER_PICTURES names a folder, it takes pictures of it there, at the width of a
// telephone and of a desk, light and dark.
func (v *visitor) picture(name string) {
	v.t.Helper()
	for _, width := range []int64{360, 1440} {
		var got int64
		v.do(chromedp.EmulateViewport(width, 800), chromedp.Evaluate(`document.documentElement.scrollWidth`, &got))
		if got > width {
			v.t.Errorf("the page %s is %d pixels wide on %d", name, got, width)
		}
	}
	v.do(chromedp.EmulateViewport(1280, 800))
	folder := os.Getenv("POSTRIDER_PICTURES")
	if folder == "" {
		return
	}
	for _, size := range []struct {
		name string
		w, h int64
	}{{"phone", 390, 844}, {"desk", 1280, 800}} {
		for _, scheme := range []string{"light", "dark"} {
			var b []byte
			v.do(chromedp.EmulateViewport(size.w, size.h), emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}),
				chromedp.Sleep(200*time.Millisecond), chromedp.CaptureScreenshot(&b))
			if err := os.WriteFile(filepath.Join(folder, name+"-"+size.name+"-"+scheme+".png"), b, 0o600); err != nil {
				v.t.Fatal(err)
			}
		}
	}
	v.do(chromedp.EmulateViewport(1280, 800))
}

// A person signs in, sends with attachments, receives, opens, saves and compares, replies,
// forwards, searches, deletes.
func TestWebClientInABrowser(t *testing.T) {
	t.Parallel()
	s := newServer(t, "alice", "bob")
	s.args = append(s.args, "--http", "127.0.0.1:0")
	s.start()
	file := make([]byte, 3<<20)
	rand.Read(file)
	folder := t.TempDir()
	path := filepath.Join(folder, "Käse & Wein.bin")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(folder, "empty.txt")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}

	alice := s.visit()
	alice.picture("signin")
	alice.signIn("alice")
	alice.sees("#list", "No mail.")
	alice.picture("empty")
	alice.click(`[data-key=c]`, `#to`)
	alice.do(chromedp.SendKeys(`#to`, "bob, nobody@@"), chromedp.SendKeys(`#subject`, "Grüße, und die Zahlen"),
		chromedp.SendKeys(`#text`, "Dear Bob,\n\nhere are the figures.\n.\nSee http://example.org/a?b=c.\n"), chromedp.SetUploadFiles(`input[type=file]`, []string{path, empty}))
	alice.click(`.actions button`, `.note.bad`) // an address is wrong: all is still there
	alice.sees(`.kept`, "Käse & Wein.bin")
	alice.picture("compose")
	alice.do(chromedp.SetValue(`#to`, "bob"))
	alice.click(`.actions button`, `.note.good`)

	bob := s.visit()
	bob.signIn("bob")
	bob.sees(`.row .subject`, "Grüße, und die Zahlen")
	bob.do(chromedp.KeyEvent("j"), chromedp.KeyEvent("\r"), chromedp.WaitVisible(`article`))
	bob.sees(`.text`, "here are the figures.\n.\nSee")
	bob.sees(`.fields`, "alice@localhost")
	bob.picture("message")
	if got := bob.saves(`.files li:nth-child(1) a`); !bytes.Equal(got, file) {
		t.Errorf("the attachment came back with %d octets, or others", len(got))
	}
	if got := bob.saves(`.files li:nth-child(2) a`); len(got) != 0 {
		t.Errorf("the empty attachment came back with %d octets", len(got))
	}
	bob.do(chromedp.KeyEvent("r"), chromedp.WaitVisible(`#to`))
	var text string
	bob.do(chromedp.Value(`#text`, &text))
	if !strings.Contains(text, "> here are the figures.\n> .\n") {
		t.Errorf("the reply quotes %q", text)
	}
	bob.picture("reply")
	bob.click(`.actions button`, `.note.good`)
	bob.click(`.row a`, `article`)
	bob.do(chromedp.KeyEvent("f"), chromedp.WaitVisible(`.kept`), chromedp.SendKeys(`#to`, "alice@localhost"))
	bob.click(`.actions button`, `.note.good`)

	alice.do(chromedp.Navigate(alice.url + "/"))
	alice.sees(`.row:nth-child(2) .subject`, "Re: Grüße, und die Zahlen")
	alice.sees(`.row:nth-child(1) .subject`, "Fwd: Grüße, und die Zahlen")
	alice.click(`.row:nth-child(1) a`, `article`)
	if got := alice.saves(`.files li:nth-child(1) a`); !bytes.Equal(got, file) {
		t.Error("the forwarded attachment is not what it was")
	}
	if raw := alice.fetches(`document.querySelector("article ~ .keys a").href`); !strings.Contains(raw, "\r\nReceived: ") || !strings.Contains(raw, "\r\nContent-Transfer-Encoding: base64\r\n") {
		t.Errorf("the raw source is %.2000q", raw)
	}
	alice.do(chromedp.SetValue(`#q`, "RE: grüße"), chromedp.Submit(`#q`), chromedp.WaitVisible(`.row`))
	alice.sees(`.count`, "1 found")
	alice.do(chromedp.Navigate(alice.url+"/"), chromedp.Click(`#all`))
	alice.click(`button.danger`, `.note.good`)
	alice.sees(`#list`, "No mail.")
	bob.click(`.row a`, `article`)
	bob.click(`button.danger`, `.note.good`)
	bob.sees(`#list`, "No mail.")

	var many [][]byte
	for i := range 60 {
		from := []string{"Maria Sample <maria@sample.com>", "news@example.org", "=?utf-8?q?J=C3=BCrgen?= <j@example.net>", "\"The printer on the second floor, which never sleeps\" <printer@example.com>"}[i%4]
		subject := []string{"lunch", "What changed this week in the harbour, and why it matters to those who sail", "Re: Re: the invoice", "Toner is low"}[i*7%4]
		many = append(many, fmt.Appendf(nil, "From: %s\r\nSubject: %s %d\r\n\r\n%s", from, subject, i, strings.Repeat("Text.\r\n", i*i)))
	}
	s.send("bob", many...)
	bob.do(chromedp.Navigate(bob.url + "/"))
	bob.sees(`.count`, "1–50 of 60")
	bob.picture("list")
	bob.click(`[rel=next]`, `[rel=prev]`)
	bob.sees(`.count`, "51–60 of 60")
	bob.sees(`.row:last-child .subject`, "lunch 0")
	bob.click(`.who button`, `input[name=password]`)
	bob.do(chromedp.Navigate(bob.url+"/"), chromedp.WaitVisible(`input[name=password]`))
	s.check()
}

// A hostile message does nothing: no request goes out, no script runs, nothing but the
// frame shows it.
func TestWebClientWithHostileHTML(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	outside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		t.Errorf("a request reached the outside: %s %s", r.Method, r.URL)
	}))
	t.Cleanup(outside.Close)
	s := newServer(t, "bob")
	s.args = append(s.args, "--http", "127.0.0.1:0")
	s.start()
	html, err := os.ReadFile("testdata/hostile.html")
	if err != nil {
		t.Fatal(err)
	}
	body := strings.ReplaceAll(string(html), "OUTSIDE", outside.URL)
	s.send("bob", []byte("From: \"<script>document.title='pwned'</script>\" <evil@example.com>\r\nTo: bob@localhost\r\nSubject: <img src="+outside.URL+"/subject onerror=document.title='pwned'>\r\n"+
		"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"+strings.ReplaceAll(body, "\n", "\r\n")+
		"\r\n--b\r\nContent-Type: text/html\r\nContent-Disposition: attachment; filename=\"../../x\\\"><script>.html\"\r\n\r\n<script>document.title='pwned'</script>\r\n--b--\r\n"))

	bob := s.visit()
	bob.signIn("bob")
	title := func(want string) { // by the browser's history: within the frame's document there are no scripts to ask
		t.Helper()
		var at int64
		var entries []*page.NavigationEntry
		bob.do(chromedp.Sleep(300*time.Millisecond), chromedp.NavigationEntries(&at, &entries))
		if got := entries[at].Title; !strings.HasPrefix(got, want) {
			t.Errorf("the title is %q, not %q", got, want)
		}
	}
	title("Mail")
	bob.click(`.row a`, `iframe`)
	title("<img src=")
	bob.picture("hostile")
	var frame string
	bob.do(chromedp.AttributeValue(`iframe`, "src", &frame, nil))
	left := bob.fetches(`document.querySelector("iframe").src`)
	if !strings.Contains(left, "Harmless words") || strings.Contains(left, outside.URL+"/") && !strings.Contains(left, `href="`+outside.URL) {
		t.Errorf("of the message is left:\n%s", left)
	}
	_, left, _ = strings.Cut(left, "<body>")
	for _, form := range []string{`<(script|form|input|button|meta|base|svg|math|iframe|object|embed|link|style|video|audio|source|template)`,
		`<[^>]*(\bon\w+=|javascript:|url\(|background=|position|expression|srcset|ping=)`, `<[^>]*src="[^"]`} {
		if found := regexp.MustCompile(`(?i)` + form).FindString(left); found != "" {
			t.Errorf("%q is left of the message:\n%s", found, left)
		}
	}
	bob.do(chromedp.Navigate(bob.url + frame))
	title("The message")
	bob.do(chromedp.Navigate(strings.TrimSuffix(bob.url+frame, "/html")), chromedp.WaitVisible(`.file`))
	if got := bob.saves(`.file`); !strings.Contains(string(got), "pwned") {
		t.Errorf("the HTML file came as %q", got)
	}
	title("<img src=")

	// A harmless message keeps its formatting and its inline picture.
	s.send("bob", []byte(strings.ReplaceAll(formatted, "\n", "\r\n")))
	bob.do(chromedp.Navigate(bob.url + "/"))
	bob.click(`.row a`, `iframe`)
	bob.picture("html")
	if left = bob.fetches(`document.querySelector("iframe").src`); !strings.Contains(left, `<h1 style="color: #1f5f8b; font-family: Georgia, serif">`) || !strings.Contains(left, `src="data:image/png;base64,iVBOR`) {
		t.Errorf("of a harmless message is left:\n%s", left)
	}
	bob.click(`.views a[href$=text]`, `.text`)
	bob.sees(`.text`, "The ferry runs again.")
	if n := calls.Load(); n != 0 {
		t.Errorf("%d requests reached the outside", n)
	}
}

// formatted is a message with formatting.
const formatted = `From: The Harbour Weekly <weekly@example.org>
To: Bob <bob@localhost>
Subject: What changed this week in the harbour
Date: Thu, 26 Nov 2026 13:00:00 +0100
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=m

--m
Content-Type: multipart/alternative; boundary=a

--a

Dear reader,

The ferry runs again.
--a
Content-Type: multipart/related; boundary=r

--r
Content-Type: text/html; charset=utf-8

<div style="max-width:560px; margin:0 auto"><h1 style="color:#1f5f8b; font-family:Georgia, serif">The Harbour Weekly</h1>
<p>Dear reader,</p><p>the <b>ferry</b> runs again <img src="cid:dot@x" alt="a dot" width="24" height="24">, and <a href="https://example.org/ferry">its timetable</a> is new.</p>
<table border="1" cellpadding="6" style="border-collapse:collapse"><tr><th>Day</th><th>First</th></tr><tr><td>Monday</td><td>06:10</td></tr></table>
<blockquote>Better late than never.</blockquote></div>
--r
Content-Type: image/png
Content-ID: <dot@x>
Content-Transfer-Encoding: base64

iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==
--r--
--a--
--m
Content-Type: application/pdf; name="timetable.pdf"
Content-Disposition: attachment; filename="timetable.pdf"

%PDF
--m--
`
