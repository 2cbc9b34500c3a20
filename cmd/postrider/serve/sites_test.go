package serve

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"postrider/cmd/sysexits"
	"postrider/engine/config"
	"postrider/storage"
)

// want reloads with the keys of change, and wants all of them applied.
func want(t *testing.T, r *running, file **config.Config, change map[string]string) {
	t.Helper()
	for name, value := range change {
		key := (*file).Key(name)
		if err := key.Set(value); err != nil {
			t.Fatal(err)
		}
	}
	done := r.reload()
	if done.Error != "" || len(done.Faults) > 0 || len(done.Changes) != len(change) {
		t.Fatalf("%v: %+v", change, done)
	}
	for _, c := range done.Changes {
		if !c.Applied {
			t.Errorf("%+v", c)
		}
	}
}

// status is the status of the answer to a request, or the error.
func status(client *http.Client, url string) string {
	answer, err := client.Get(url)
	if err != nil {
		return err.Error()
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, answer.Body)
	return fmt.Sprint(answer.StatusCode)
}

// Addresses of HTTP come and go with a reload, as the addresses of mail do, and so do the pages and
// the profiles on them.
func TestReload_AddressesOfHTTP(t *testing.T) {
	r, file := startRunning(t)
	if r.web.listening() != nil {
		t.Fatalf("%v before there is an address", r.web.listening())
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} //nolint:gosec // a test
	old := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}}}
	want(t, r, file, map[string]string{"web.listen": "127.0.0.1:0"})
	first := r.web.sites.addrs("http")[0].String()
	f := func(c *http.Client, url, answer string) {
		t.Helper()
		if got := status(c, url); got != answer && !(answer == "refused" && strings.Contains(got, "refused")) {
			t.Errorf("%s: %s, want %s", url, got, answer)
		}
	}
	f(client, "http://"+first+"/readyz", "200")
	f(client, "http://"+first+"/signin", "200")
	f(client, "http://"+first+"/debug/pprof/", "404")
	if all := r.web.listening(); len(all) != 1 || all[0].Name != "http" || all[0].Addrs[0] != first {
		t.Errorf("the status lists %v", all)
	}
	(*file).Web.Client = false
	want(t, r, file, map[string]string{"web.profiling": "true", "web.client": "false"})
	f(client, "http://"+first+"/signin", "404")
	f(client, "http://"+first+"/debug/pprof/heap", "200")
	want(t, r, file, map[string]string{"web.listen_tls": "127.0.0.1:0", "tls.acme_listen": "127.0.0.1:0"})
	within := r.web.sites.addrs("https")[0].String()
	f(client, "https://"+within+"/signin", "200")
	f(old, "https://"+within+"/signin", "200")
	f(client, "http://"+r.web.sites.addrs("acme")[0].String()+"/", "404")
	want(t, r, file, map[string]string{"tls.min_version": "1.3"})
	f(client, "https://"+within+"/signin", "200")
	if got := status(old, "https://"+within+"/signin"); !strings.Contains(got, "tls: ") {
		t.Errorf("TLS 1.2 below tls.min_version: %s", got)
	}
	want(t, r, file, map[string]string{"web.client": "true"})

	// A request that is under way goes on when its address is taken away.
	c, err := net.Dial("tcp", first)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "POST /signin HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 6\r\n\r\nuser")
	for until := time.Now().Add(time.Minute); r.web.working.Load() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("the request does not come")
		}
	}
	(*file).Web.Listen, (*file).Web.ListenTLS = nil, nil
	if done := r.reload(); done.Error != "" || len(done.Changes) != 2 {
		t.Fatalf("%+v", done)
	}
	want(t, r, file, map[string]string{"web.listen": "127.0.0.2:0"})
	f(client, "http://"+first+"/readyz", "refused")
	f(client, "https://"+within+"/signin", "refused")
	f(client, "http://"+r.web.sites.addrs("http")[0].String()+"/readyz", "200")
	fmt.Fprint(c, "=a")
	if answer, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("the request that was under way: %v, %v", answer, err)
	}
	if r.sockets.File("http", first) != nil || r.sockets.File("https", within) != nil {
		t.Error("a socket of an address that was taken away is open")
	}
}

// New sessions are greeted with another server.hostname, and mail for another domain is taken,
// with its postmaster.
func TestReload_Names(t *testing.T) {
	r, file := startRunning(t)
	(*file).Server.Domains = []string{"localhost"}
	want(t, r, file, map[string]string{"server.hostname": "other.test", "server.domains": "new.test"})
	c, err := net.Dial("tcp", r.srv.Addrs("smtp")[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	in := bufio.NewReader(c)
	for _, step := range []string{"220 other.test ", "EHLO here.test", "MAIL FROM:<>", "RCPT TO:<postmaster@new.test>"} {
		if !strings.HasPrefix(step, "220") {
			fmt.Fprintf(c, "%s\r\n", step)
			step = "250"
		}
		for {
			line, err := in.ReadString('\n')
			if err != nil || !strings.HasPrefix(line, step[:3]) || len(step) > 3 && !strings.HasPrefix(line, step) {
				t.Fatalf("%s: %q, %v", step, line, err)
			}
			if line[3] == ' ' {
				break
			}
		}
	}
	if !slices.Contains(r.store.Domains(), "new.test") {
		t.Error("the store does not have the domain")
	}
}

// A log whose file can't be opened again is told in the answer, and makes the exit code one of
// a failure; the keys are applied all the same.
func TestReload_LogThatCannotBeOpened(t *testing.T) {
	r, file := startRunning(t)
	dir := filepath.Join(t.TempDir(), "log")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	want(t, r, file, map[string]string{"log.to": filepath.Join(dir, "file")})
	if err := os.Rename(dir, dir+".old"); err != nil {
		t.Fatal(err)
	}
	if err := (*file).Key("smtp.max_hops").Set("101"); err != nil {
		t.Fatal(err)
	}
	done := r.reload()
	if done.Error != "" || len(done.Faults) != 1 || !strings.Contains(done.Faults[0], dir) || done.Code == 0 || len(done.Changes) != 1 || !done.Changes[0].Applied {
		t.Errorf("%+v", done)
	}
	var out strings.Builder
	err := printReloaded(&out, done, false)
	if code, _ := sysexits.Of(err); err == nil || int(code) != done.Code || !strings.Contains(err.Error(), dir) || !strings.Contains(out.String(), "smtp.max_hops applied") {
		t.Errorf("%v\n%s", err, out.String())
	}
	if err := os.Rename(dir+".old", dir); err != nil {
		t.Fatal(err)
	}
	if done := r.reload(); len(done.Faults) != 0 || done.Code != 0 {
		t.Errorf("%+v", done)
	}
}

// The floor of the store follows storage.free_floor.
func TestReload_FreeFloor(t *testing.T) {
	r, file := startRunning(t)
	want(t, r, file, map[string]string{"storage.free_floor": "1024GiB"})
	if err := r.store.Health().Err; !errors.Is(err, storage.ErrFull) {
		t.Errorf("with a floor that no disk here has: %v", err)
	}
	want(t, r, file, map[string]string{"storage.free_floor": "1"})
	if err := r.store.Health().Err; err != nil {
		t.Errorf("with a floor of an octet: %v", err)
	}
}
