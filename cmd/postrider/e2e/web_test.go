package e2e

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os/exec"
	"strings"
	"testing"
)

// The web client is served within TLS too, with the headers that browsers enforce; that
// listener has no metrics. Without the web client there are only metrics.
func TestWebClientWithinTLS(t *testing.T) {
	t.Parallel()
	s := newServer(t, "alice")
	s.args = append(s.args, "--https", "127.0.0.1:0", "--http", "127.0.0.1:0")
	s.configure("[web]\nclient = false\n")
	s.start()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := http.Client{Jar: jar, Timeout: patience, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	get := func(address string, want int) (*http.Response, string) {
		t.Helper()
		r, err := c.Get(address)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		b, err := io.ReadAll(r.Body)
		if err != nil || r.StatusCode != want {
			t.Errorf("%s: %s, %v", address, r.Status, err)
		}
		return r, string(b)
	}
	plain, within := "http://"+s.http[0], "https://"+s.https[0]
	get(plain+"/metrics", http.StatusOK)
	get(plain+"/healthz", http.StatusOK)
	get(plain+"/signin", http.StatusNotFound)
	get(within+"/metrics", http.StatusNotFound)
	r, _ := get(within+"/", http.StatusOK)
	if r.Request.URL.Path != "/signin" || r.Header.Get("Strict-Transport-Security") == "" {
		t.Errorf("at %s, %v", r.Request.URL, r.Header)
	}
	r, err = c.PostForm(within+"/signin", url.Values{"user": {"alice"}, "password": {password("alice")}})
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	_, page := get(within+"/", http.StatusOK)
	if !strings.Contains(page, "alice@localhost") {
		t.Errorf("not signed in:\n%s", page)
	}

	// A password that is changed ends the session.
	change := exec.Command(binary, "account", "passwd", "alice", "--password-stdin", "--data", s.data)
	change.Stdin = strings.NewReader("another-secret\n")
	if out, err := change.CombinedOutput(); err != nil {
		t.Fatalf("account passwd: %v\n%s", err, out)
	}
	if r, _ := get(within+"/", http.StatusOK); r.Request.URL.Path != "/signin" {
		t.Errorf("the session goes on at %s", r.Request.URL)
	}
}
