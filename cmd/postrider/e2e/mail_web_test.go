package e2e

import (
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"slices"
	"testing"
)

// reader is a signed-in user of the web client, without a browser.
type reader struct {
	t    *testing.T
	http http.Client
	base string
}

func (s *server) signedIn(name string) *reader {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	r := &reader{t: s.t, http: http.Client{Jar: jar}, base: "http://" + s.http[0]}
	answer, err := r.http.PostForm(r.base+"/signin", url.Values{"user": {name}, "password": {password(name)}})
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK || answer.Request.URL.Path != "/" {
		s.t.Fatalf("signing in: %s at %s", answer.Status, answer.Request.URL)
	}
	return r
}

// page gets a page, or a file.
func (r *reader) page(path string) []byte {
	r.t.Helper()
	answer, err := r.http.Get(r.base + path)
	if err != nil {
		r.t.Fatal(err)
	}
	defer answer.Body.Close()
	octets, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		r.t.Fatalf("%s: %s, %v", path, answer.Status, err)
	}
	return octets
}

var (
	rowLink   = regexp.MustCompile(`<a href="(/m/[0-9A-Z]+)"`)
	olderLink = regexp.MustCompile(`<a class="button" href="([^"]+)" rel="next"`)
	fileLink  = regexp.MustCompile(`<a class="file" href="([^"]+)"`)
	heading   = regexp.MustCompile(`<h1 id="subject">([^<]*)</h1>`)
)

// compareInPages saves all attachments from the pages of the web client.
func compareInPages(t *testing.T, s *server, list []parcel) {
	t.Helper()
	r := s.signedIn("reader")
	got := make(map[string][][]byte)
	files := 0
	for at := "/"; at != ""; {
		page := r.page(at)
		for _, row := range rowLink.FindAllSubmatch(page, -1) {
			message := r.page(string(row[1]))
			title := heading.FindSubmatch(message)
			if title == nil {
				t.Fatalf("%s has no heading:\n%s", row[1], message)
			}
			subject := html.UnescapeString(string(title[1]))
			got[subject] = [][]byte{}
			for _, link := range fileLink.FindAllSubmatch(message, -1) {
				got[subject] = append(got[subject], r.page(html.UnescapeString(string(link[1]))))
				files++
			}
		}
		at = ""
		if older := olderLink.FindSubmatch(page); older != nil {
			at = html.UnescapeString(string(older[1]))
		}
	}
	if len(got) != len(list) {
		t.Errorf("the pages have %d messages of %d", len(got), len(list))
	}
	for _, p := range list {
		if !slices.Equal(digests(got[p.subject], true), digests(p.files, true)) {
			t.Errorf("%s (uuencoded %v, raw %v): the pages give %d files of %d, or other ones", p.subject, p.uu, p.raw, len(got[p.subject]), len(p.files))
		}
	}
	t.Logf("%d attachments saved from the pages", files)
}
