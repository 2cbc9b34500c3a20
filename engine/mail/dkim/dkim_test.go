package dkim

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"postrider/codec/dot"
	"postrider/engine/edge/dns/dnstest"
)

const letter = "Received: by mx.test\r\nFrom: Alice <alice@example.org>\r\nTo: bob@example.net\r\n" +
	"Subject: lunch\r\nDate: Mon, 23 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@example.org>\r\n\r\n" +
	".a line with a dot\r\n..and two\r\nspaces   inside \r\n\r\n\r\n"

// create makes a key and stops the test when that fails.
func create(t *testing.T, dir, domain, selector string, bits int) *Key {
	t.Helper()
	k, err := Create(dir, domain, selector, bits)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// private is a directory as keys want it.
func private(t *testing.T) string { return filepath.Join(t.TempDir(), "dkim") }

func open(t *testing.T, dir string) *Keys {
	t.Helper()
	k, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// sign signs text, in plain form, in pieces of n octets.
func sign(t *testing.T, k *Keys, domain, text string, n int) string {
	t.Helper()
	s := k.Begin(k.For(domain))
	for run := range slices.Chunk(dot.AppendStuffed(nil, []byte(text)), n) {
		s.Append(run)
	}
	fields, err := s.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return fields
}

// zone serves the records of keys, as they are printed, and returns how to look
// them up.
func zone(t *testing.T, keys ...*Key) func(string) ([]string, error) {
	t.Helper()
	var records []string
	for _, k := range keys {
		records = append(records, k.Record())
	}
	srv := dnstest.Start(t, records...)
	r := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, srv.Addr())
	}}
	return func(name string) ([]string, error) { return r.LookupTXT(context.Background(), name+".") }
}

// verify has go-msgauth look at a message: the domains and selectors of the
// signatures that hold.
func verify(t *testing.T, text string, lookUp func(string) ([]string, error)) (good int, faults []error) {
	t.Helper()
	vs, err := dkim.VerifyWithOptions(strings.NewReader(text), &dkim.VerifyOptions{LookupTXT: lookUp})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range vs {
		if v.Err == nil {
			good++
		} else {
			faults = append(faults, v.Err)
		}
	}
	return good, faults
}

func TestSignaturesVerify(t *testing.T) {
	dir := private(t)
	rsa, ed := create(t, dir, "example.org", "r1", 2048), create(t, dir, "example.org", "e1", 0)
	keys := open(t, dir)
	lookUp := zone(t, rsa, ed)
	for _, n := range []int{1, 7, len(letter) + 10} {
		fields := sign(t, keys, "example.org", letter, n)
		if good, faults := verify(t, fields+letter, lookUp); good != 2 || faults != nil {
			t.Errorf("in pieces of %d: %d signatures hold, %v\n%s", n, good, faults, fields)
		}
		for line := range strings.Lines(fields) {
			if !strings.HasSuffix(line, "\r\n") || line[0] == '.' || len(line) > 998 {
				t.Errorf("line %q", line)
			}
		}
		for what, forged := range map[string]string{
			"body":         strings.Replace(letter, "spaces", "Spaces", 1),
			"subject":      strings.Replace(letter, "lunch", "money", 1),
			"another From": "From: eve@example.com\r\n" + letter,
			"a Cc":         "Cc: eve@example.com\r\n" + letter,
		} {
			if good, _ := verify(t, fields+forged, lookUp); good != 0 {
				t.Errorf("changed %s: %d signatures hold", what, good)
			}
		}
		if good, faults := verify(t, fields+"Received: by relay.test\r\n"+letter, lookUp); good != 2 {
			t.Errorf("after another hop: %v", faults)
		}
	}
}

// Signatures are checked by dkimpy, which shares nothing with go-msgauth.
func TestSignaturesVerifyByPython(t *testing.T) {
	const script = `
import dkim, sys
text = sys.stdin.buffer.read()
records = {sys.argv[i].encode(): sys.argv[i+1].encode() for i in range(1, len(sys.argv), 2)}
d = dkim.DKIM(text)
print(*[d.verify(i, dnsfunc=lambda name, timeout=5: records.get(name)) for i in range(len([h for h in d.headers if h[0].lower() == b"dkim-signature"]))])
`
	if out, err := exec.Command("/usr/bin/python3", "-c", "import dkim, nacl").CombinedOutput(); err != nil {
		t.Skipf("needs the Debian packages python3-dkim and python3-nacl: %s", out)
	}
	dir := private(t)
	rsa, ed := create(t, dir, "example.org", "r1", 2048), create(t, dir, "example.org", "e1", 0)
	fields := sign(t, open(t, dir), "example.org", letter, 100)
	for text, want := range map[string]string{
		fields + letter: "True True\n", fields + strings.Replace(letter, "lunch", "money", 1): "False False\n",
	} {
		cmd := exec.Command("/usr/bin/python3", "-c", script, rsa.Name()+".", rsa.Value(), ed.Name()+".", ed.Value())
		cmd.Stdin = strings.NewReader(text)
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil || string(out) != want {
			t.Errorf("dkimpy says %q (%v), want %q", out, err, want)
		}
	}
}

func TestWhichKeySigns(t *testing.T) {
	dir := private(t)
	for _, k := range []struct {
		domain, selector string
		bits             int
	}{{"example.org", "r2", 1024}, {"example.org", "r1", 1024}, {"example.org", "e9", 0}, {"deep.example.org", "x", 0}} {
		create(t, dir, k.domain, k.selector, k.bits)
	}
	keys := open(t, dir)
	for domain, want := range map[string]string{
		"example.org": "r1 e9", "sub.example.org": "r1 e9", "deep.example.org": "x", "a.deep.example.org": "x",
		"example.net": "", "org": "", "notexample.org": "",
	} {
		var got []string
		for _, k := range keys.For(domain) {
			got = append(got, k.Selector)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", domain, got, want)
		}
	}
	if err := os.Remove(filepath.Join(dir, "r1._domainkey.example.org.pem")); err != nil {
		t.Fatal(err)
	}
	if err := keys.Reload(); err != nil || keys.For("example.org")[0].Selector != "r2" {
		t.Errorf("the new key does not take over: %v", err)
	}
}

func TestBadKeys(t *testing.T) {
	dir := private(t)
	create(t, dir, "example.org", "r1", 1024)
	if _, err := Create(dir, "example.org", "r1", 1024); !errors.Is(err, os.ErrExist) {
		t.Errorf("a second key of that name: %v", err)
	}
	for _, selector := range []string{"", "A", "a..b", "-a", "a_b", "../x"} {
		if _, err := Create(dir, "example.org", selector, 1024); err == nil {
			t.Errorf("selector %q was taken", selector)
		}
	}
	if _, err := Create(dir, "example.org", "r0", 512); err == nil {
		t.Error("a key of 512 bits was made")
	}
	keys := open(t, dir)
	for name, text := range map[string]string{"nothing.pem": "", "r3._domainkey.example.org.pem": "no key"} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := keys.Reload(); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "r1._domainkey.example.org.pem")
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := keys.Reload(); err == nil || !strings.Contains(err.Error(), "chmod 600 "+path) {
		t.Errorf("a key that others can read: %v", err)
	}
	if len(keys.For("example.org")) != 1 {
		t.Error("a failed Reload took the keys away")
	}
}

func TestWhatCanNotBeSigned(t *testing.T) {
	dir := private(t)
	create(t, dir, "example.org", "e1", 0)
	keys := open(t, dir)
	s := keys.Begin(keys.For("example.org"))
	s.Append([]byte("Subject: a header without an end\r\n"))
	if fields, err := s.Finish(); err == nil {
		t.Errorf("signed: %s", fields)
	}
	s = keys.Begin(keys.For("example.org"))
	s.Append([]byte(letter))
	s.Abort()
	if _, err := s.Finish(); !errors.Is(err, ErrVoid) {
		t.Errorf("after Abort: %v", err)
	}
}

func TestStream(t *testing.T) {
	dir := private(t)
	k := create(t, dir, "example.org", "e1", 0)
	keys := open(t, dir)
	text := letter + strings.Repeat("a line of a large message.\r\n", 40_000)
	wire := dot.AppendStuffed(nil, []byte(text))
	s := keys.Stream(keys.For("example.org"))
	for run := range slices.Chunk(wire, 30_000) {
		s.Append(run)
		down := make(chan struct{})
		s.Notify(10_000, func() { close(down) })
		<-down
		if n := s.Backlog(); n > 10_000 {
			t.Fatalf("%d octets are not signed after Notify", n)
		}
	}
	done := make(chan string, 1)
	s.Finish(func(fields string, err error) {
		if err != nil {
			t.Error(err)
		}
		done <- fields
	})
	if good, faults := verify(t, <-done+text, zone(t, k)); good != 1 {
		t.Error(faults)
	}

	void := keys.Stream(keys.For("example.org"))
	void.Append(wire)
	void.Abort()
	if n := len(void.queue); n != 0 {
		t.Errorf("%d pieces are kept after Abort", n)
	}
}

func TestSelectorsGrow(t *testing.T) {
	now := time.Date(2026, 12, 31, 23, 0, 0, 0, time.UTC)
	if a, b := NewSelector(false, now), NewSelector(false, now.Add(2*time.Hour)); a >= b {
		t.Errorf("%s is not before %s", a, b)
	}
}
