package web

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/mail"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"postrider/engine/mail/entity"
	"postrider/storage"
)

// newest is the first message of a list.
func (b *browser) newest() (id, page string) {
	b.t.Helper()
	_, page = b.get("/")
	found := regexp.MustCompile(`href="/m/([0-9A-Z]{13})"`).FindStringSubmatch(page)
	if found == nil {
		b.t.Fatalf("no message in\n%s", page)
	}
	return found[1], page
}

// What is sent with attachments comes back octet for octet, as MIME and uuencoded.
func TestAttachmentsComeBack(t *testing.T) {
	h := newHouse(t)
	alice, bob := h.as("alice"), h.as("bob")
	source := rand.NewChaCha8([32]byte{1})
	for i, n := range []int{0, 1, 44, 45, 46, 57, 4096, 65536, 1 << 20} {
		octets := make([]byte, n)
		source.Read(octets)
		for _, uu := range []string{"", "1"} {
			text := fmt.Sprintf("Text %d.\r\n.\r\nend\r\n", i)
			r, page := alice.send(part{"token", "", alice.token()}, part{"from", "", "alice@example.org"}, part{"to", "", `"Bob; the one" <bob@example.org>`},
				part{"subject", "", "Grüße\r\nBcc: x@example.com"}, part{"text", "", text}, part{"uu", "", uu}, part{"file", "a b.bin", string(octets)}, part{"file", "ü.txt", "text\n"})
			if status(t, r, http.StatusSeeOther); r.StatusCode != http.StatusSeeOther {
				t.Fatal(page)
			}
			id, _ := bob.newest()
			_, page = bob.get("/m/" + id)
			has(t, page, fmt.Sprintf("Text %d.\n.\nend", i), "Bob; the one", "2 attachments")
			links := regexp.MustCompile(`/m/`+id+`/part/([0-9.u]+)`).FindAllString(page, -1)
			if len(links) != 2 {
				t.Fatalf("links %v in\n%s", links, page)
			}
			r, got := bob.get(links[0])
			if sha256.Sum256([]byte(got)) != sha256.Sum256(octets) {
				t.Errorf("%d octets, uu %q: %d others came back", n, uu, len(got))
			}
			if d := r.Header.Get("Content-Disposition"); d != `attachment; filename="a b.bin"` || r.Header.Get("Content-Type") != "application/octet-stream" {
				t.Errorf("%q %v", d, r.Header)
			}
			r, got = bob.get(links[1])
			if d := r.Header.Get("Content-Disposition"); got != "text\n" || d != "attachment; filename*=utf-8''%C3%BC.txt" {
				t.Errorf("%q %q", got, d)
			}
		}
	}
	if n := h.spooledFiles(); n != 0 {
		t.Errorf("%d files are still spooled", n)
	}
}

func TestAFormThatComesBackHasEverythingStill(t *testing.T) {
	h := newHouse(t)
	b := h.as("bob")
	fields := []part{{"token", "", b.token()}, {"from", "", "bob@example.org"}, {"cc", "", "no body@@"}, {"subject", "", "\"quoted\" <b>"}, {"text", "", "\n</textarea><script>"}, {"file", "a.txt", "octets"}}
	r, page := b.send(append(fields, part{"to", "", "alice"})...)
	status(t, r, http.StatusUnprocessableEntity)
	has(t, page, "a.txt", `value="&#34;quoted&#34; &lt;b&gt;"`, "\n\n&lt;/textarea&gt;&lt;script&gt;", `value="no body@@"`, `role="alert"`)
	kept := regexp.MustCompile(`name="kept" value="([A-Z0-9]+)"`).FindStringSubmatch(page)
	if kept == nil || h.spooledFiles() != 1 {
		t.Fatalf("%d files are spooled, and the page is\n%s", h.spooledFiles(), page)
	}
	alice := h.as("alice") // the file is not hers
	r, page = alice.send(part{"token", "", alice.token()}, part{"to", "", "x@@"}, part{"kept", "", kept[1]})
	status(t, r, http.StatusUnprocessableEntity)
	if strings.Contains(page, "a.txt") {
		t.Error("a file of another session is offered")
	}
	f := func(to string, want int, text string) {
		t.Helper()
		r, page := b.send(part{"token", "", b.token()}, part{"from", "", "bob@example.org"}, part{"to", "", to}, part{"kept", "", kept[1]})
		status(t, r, want)
		has(t, page, text)
	}
	f("", http.StatusUnprocessableEntity, "No recipients")
	f("nobody", http.StatusUnprocessableEntity, "No such user: nobody@example.org")
	f("alice, nobody", http.StatusOK, "Sent, but not to all")
	id, _ := alice.newest()
	_, page = alice.get("/m/" + id)
	has(t, page, "a.txt")
	if h.spooledFiles() != 0 {
		t.Error("the file is still spooled")
	}
}

func TestUploadsAreBounded(t *testing.T) {
	h := newHouse(t)
	b := h.as("bob")
	token := part{"token", "", b.token()}
	r, page := b.send(token, part{"to", "", "alice"}, part{"file", "big", strings.Repeat("x", 4<<20+1)})
	status(t, r, http.StatusRequestEntityTooLarge)
	has(t, page, "larger than a message may be")
	r, _ = b.send(token, part{"to", "", "alice"}, part{"file", "big", strings.Repeat("x", 4<<20-100)}) // too large once it is base64
	status(t, r, http.StatusUnprocessableEntity)
	r, _ = b.send(token, part{"to", "", "alice"}, part{"text", "", strings.Repeat("x", maxField+1)})
	status(t, r, http.StatusUnprocessableEntity)
	many := []part{token}
	for range maxFields + 1 {
		many = append(many, part{"file", "x", ""})
	}
	r, _ = b.send(many...)
	status(t, r, http.StatusRequestEntityTooLarge)
	if n := h.spooledFiles(); n > maxUploads {
		t.Errorf("%d files", n)
	}
	b.post("/signout", url.Values{"token": {token.text}})
	if n, octets := h.spooledFiles(), h.client.spool.octets.Load(); n != 0 || octets != 0 {
		t.Errorf("%d files, %d octets are left when he has signed out", n, octets)
	}
	if n, _, _ := h.store.Usage(h.alice); n != 0 {
		t.Error("something was sent")
	}
}

func TestTheSpoolIsEmptiedAtTheStart(t *testing.T) {
	h := newHouse(t)
	b := h.as("bob")
	b.send(part{"token", "", b.token()}, part{"file", "x", "y"})
	if h.spooledFiles() != 1 {
		t.Fatal("nothing was spooled")
	}
	if _, err := New(*h.client.Settings()); err != nil {
		t.Fatal(err)
	}
	if h.spooledFiles() != 0 {
		t.Error("a file of the process before is still there")
	}
}

func TestReplies(t *testing.T) {
	h := newHouse(t)
	id := h.deliver("From: =?utf-8?q?J=C3=BCrgen?= <j@example.com>\nTo: Bob <BOB@example.org>, Carl <carl@example.com>\nCc: j@example.com, d@example.com\n" +
		"Subject: Re: news\nMessage-ID: <3@x>\nReferences: <1@x> <2@x>\nDate: Thu, 26 Nov 2026 10:00:00 +0100\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n" +
		"--b\n\nOne\n> two\n\n--b\nContent-Type: application/pdf; name=x.pdf\n\npdf\n--b--\n").String()
	b := h.as("bob")
	_, page := b.get("/compose?reply=" + id)
	has(t, page, `name="to" value="&#34;Jürgen&#34; &lt;j@example.com&gt;"`, `name="cc" value=""`, `name="subject" value="Re: news"`,
		`name="inreplyto" value="3@x"`, `name="references" value="1@x 2@x 3@x"`, "On Thu, 26 Nov 2026 10:00 &#43;0100, Jürgen &lt;j@example.com&gt; wrote:\n&gt; One\n&gt;&gt; two\n")
	_, page = b.get("/compose?all=" + id)
	has(t, page, `name="cc" value="&#34;Carl&#34; &lt;carl@example.com&gt;, d@example.com"`)
	_, page = b.get("/compose?forward=" + id)
	has(t, page, `name="subject" value="Fwd: Re: news"`, "From: Jürgen &lt;j@example.com&gt;", "\nOne\n&gt; two", `name="part" value="2" checked`, "x.pdf")
	r, _ := b.send(part{"token", "", b.token()}, part{"to", "", "bob"}, part{"inreplyto", "", "3@x"}, part{"references", "", "1@x 2@x 3@x\r\nX: y"}, part{"of", "", id}, part{"part", "", "2"})
	status(t, r, http.StatusSeeOther)
	sent, _ := b.newest()
	_, raw := b.get("/m/" + sent + "/raw")
	has(t, raw, "In-Reply-To: <3@x>\r\n", "<1@x>", `name="x.pdf"`)
	if strings.Contains(raw, "\nX: y") {
		t.Error("a field was smuggled in")
	}
	has(t, raw, "\r\ncGRm")
}

func TestParseAddresses(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		as, err := entity.TypedAddresses(in, "example.org")
		var words []string
		for _, a := range as {
			words = append(words, a.String())
		}
		got := strings.Join(words, " | ")
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%q gives %s, not %s", in, got, want)
		}
	}
	f("", "")
	f(" , ;", "")
	f("bob", "<bob@example.org>")
	f("bob, alice@example.com", "<bob@example.org> | <alice@example.com>")
	f("bob; alice", "<bob@example.org> | <alice@example.org>")
	f("Bob <bob@example.com>, \"A; b\" <a@example.com>", `"Bob" <bob@example.com> | "A; b" <a@example.com>`)
	f("Jürgen <j@example.com>", "=?utf-8?q?J=C3=BCrgen?= <j@example.com>")
	f("bob@example.com\r\nBcc: x@example.com", "error")
	f("friends: bob, alice@example.com;", "<bob@example.org> | <alice@example.com>")
	f("the whole house, bob", "error")
	f("bob@", "error")
}

func TestQuotedAndShownText(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		if got := quoted(in); got != want {
			t.Errorf("quoted(%q) = %q, not %q", in, got, want)
		}
	}
	f("", "")
	f("a\n\nb", "> a\n>\n> b\n")
	f("> a\n>> b", ">> a\n>>> b\n")
	f(strings.Repeat("word ", 20)+"end", "> "+strings.Repeat("word ", 14)+"word\n> word word word word word end\n")
	f(">"+strings.Repeat(" über", 20), ">> "+strings.Repeat("über ", 14)+"über\n>> über über über über über\n")
	f(strings.Repeat("x", 100)+" y", "> "+strings.Repeat("x", 100)+"\n> y\n")
	if got := withoutTags([]byte("<style>p{}</style><p>One &amp; two</p><p>Three<br>four</p><script>x</script>")); got != "One & two\n\nThree \nfour" && got != "One & two\n\nThree\nfour" {
		t.Errorf("%q", got)
	}
	bs := blocks("a http://x.example/b). c\n> q\n>> r\n> s\nend\n\n")
	if len(bs) != 3 || bs[1].Depth != 1 || len(bs[1].Inner) != 3 || bs[1].Inner[1].Depth != 2 || bs[0].Runs[1] != (run{"http://x.example/b", true}) {
		t.Errorf("%+v", bs)
	}
	if bs := blocks(strings.Repeat("\n", 3*maxLines) + "x"); len(bs) != maxLines+1 {
		t.Errorf("%d lines are shown", len(bs))
	}
	as := []*mail.Address{{Name: "A \"b\"", Address: "a@x"}, {Address: "A@X"}, {Address: "c@x"}}
	if got := list(as, map[string]bool{}, func(a string) bool { return a == "c@x" }); got != `"A \"b\"" <a@x>` {
		t.Error(got)
	}
}

func TestSearchAndPages(t *testing.T) {
	h := newHouse(t)
	for i := range 120 {
		h.deliver(fmt.Sprintf("From: \"Sender %d\" <s%d@example.com>\nSubject: number %d of =?utf-8?q?M=C3=A4rz?=\n\nword\n", i%3, i%3, i))
	}
	b := Mailbox{Store: h.store, Account: h.bob}
	l, err := b.Page(t.Context(), 2)
	if err != nil || len(l.Rows) != 20 || l.Rows[19].Subject != "number 0 of März" || l.More != 0 || l.Total != 120 {
		t.Errorf("%d rows, %+v, %v", len(l.Rows), l.More, err)
	}
	if l, err = b.Page(t.Context(), 3); err != nil || len(l.Rows) != 0 {
		t.Error(len(l.Rows), err)
	}
	f := func(query string, want int, more bool) {
		t.Helper()
		l, err := b.Search(t.Context(), query, storage.MaxMessageID)
		if err != nil || len(l.Rows) != want || (l.More != 0) != more {
			t.Errorf("%q: %d rows, more %s, %v", query, len(l.Rows), l.More, err)
		}
	}
	f("SENDER märz", pageRows, true)
	f("s1@EXAMPLE", 40, false)
	f("\"sender 1\"", 0, false)
	f("word", 0, false)
	f("number 119", 1, false)
	l, _ = b.Search(t.Context(), "sender", storage.MaxMessageID)
	next, err := b.Search(t.Context(), "sender", l.More)
	if err != nil || next.Rows[0].Subject != "number 69 of März" {
		t.Errorf("%+v, %v", next.Rows[0], err)
	}
	browser := h.as("bob")
	_, page := browser.get("/?q=" + url.QueryEscape("sender <b>"))
	has(t, page, "Nothing of “sender &lt;b&gt;”", "120 messages looked at")
	r, _ := browser.get("/?page=-7")
	status(t, r, http.StatusOK)
	r, _ = browser.get("/?page=99999999999999999999")
	status(t, r, http.StatusOK)
}

// However a message is damaged, there is a page that shows what can be read of it.
func TestDamagedMessagesAreShown(t *testing.T) {
	h := newHouse(t)
	b := h.as("bob")
	f := func(message string, wanted ...string) {
		t.Helper()
		id := h.deliver(message).String()
		r, page := b.get("/m/" + id)
		status(t, r, http.StatusOK)
		has(t, page, wanted...)
		r, _ = b.get("/m/" + id + "/raw?save=1")
		status(t, r, http.StatusOK)
	}
	f("", "(no subject)", "No text.")
	f("no header at all\n", "(no subject)")
	f("Content-Type: multipart/mixed; boundary=b\n\n--b\n\ncut", "cut")
	f("Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: image/png; name=x.png\nContent-Transfer-Encoding: base64\n\n!!!!\n--b--\n", "x.png")
	f("Subject: x\n\nbegin 644 f.txt\n#86)C\n", "f.txt")
	f("Content-Type: text/plain; charset=nonsense\n\nw\xf6rd\n", "wörd")
	f("Subject: =?utf-8?b?AAA\n\n"+strings.Repeat("long ", maxText/5+10), "Only the first")
}
