package mtasts

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	miekg "github.com/miekg/dns"

	"postrider/engine/edge/dns"
	"postrider/engine/edge/dns/dnstest"
	"postrider/engine/relay/tlspolicy"
)

// bench is a cache before a name server and a web server of its own, with a clock
// that the test sets.
type bench struct {
	*Cache
	t    *testing.T
	dns  *dnstest.Server
	gets atomic.Int64
	hold chan struct{} // when not nil, the web server waits for it

	mu     sync.Mutex
	now    time.Time    // under mu
	answer http.Handler // under mu
}

const policy = "version: STSv1\nmode: enforce\nmx: mx.example.org\nmax_age: 604800\n"

// file serves text as the policy.
func file(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		fmt.Fprint(w, text)
	}
}

// start makes one. The web server's certificate is httptest's, for example.com and
// the names under it.
func start(t *testing.T, change func(*Options)) *bench {
	t.Helper()
	b := &bench{t: t, now: time.Unix(1.7e9, 0), answer: file(policy)}
	web := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.gets.Add(1)
		if b.hold != nil {
			<-b.hold
		}
		b.mu.Lock()
		h := b.answer
		b.mu.Unlock()
		h.ServeHTTP(w, r)
	}))
	web.StartTLS()
	t.Cleanup(web.Close)
	b.dns = dnstest.Start(t, `_mta-sts.example.com. 1 IN TXT "v=STSv1; id=1"`, "*.example.com. 300 IN A 127.0.0.1",
		`*.sub.example.com. 300 IN TXT "v=STSv1; id=1"`, "mta-sts.example.com. 300 IN A 127.0.0.1")
	none := filepath.Join(t.TempDir(), "none")
	clock := func() time.Time {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.now
	}
	roots := x509.NewCertPool()
	roots.AddCert(web.Certificate())
	names := dns.New(dns.Options{Servers: []string{b.dns.Addr()}, ResolvConf: none, HostsFile: none, Timeout: 5 * time.Second, Now: clock})
	o := Options{
		Names: names, Hosts: addrsIn(names),
		Roots: roots, Port: uint16(web.Listener.Addr().(*net.TCPAddr).Port), Now: clock, Patience: time.Minute,
	}
	if change != nil {
		change(&o)
	}
	b.Cache = New(t.Context(), o)
	return b
}

// addrsIn finds the IPv4 addresses of web servers.
func addrsIn(names *dns.Resolver) func(context.Context, string, uint16) ([]netip.AddrPort, error) {
	return func(ctx context.Context, name string, port uint16) (all []netip.AddrPort, err error) {
		addrs, err := names.LookupAddrs(ctx, name, false)
		for _, a := range addrs {
			all = append(all, netip.AddrPortFrom(a, port))
		}
		return all, err
	}
}

func (b *bench) pass(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = b.now.Add(d)
}

func (b *bench) serve(h http.Handler) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answer = h
}

// want asks for the policy of example.com: its mode and mx, or a part of the note.
func (b *bench) want(policy, note string, gets int64) {
	b.t.Helper()
	f := b.For(b.t.Context(), "example.com")
	got := ""
	if f.Policy != nil {
		got = f.Policy.String()
	}
	if got != policy || !strings.Contains(f.Note, note) || note == "" && f.Note != "" {
		b.t.Errorf("%q, note %q", got, f.Note)
	}
	if n := b.gets.Load(); n != gets {
		b.t.Errorf("%d fetches, want %d", n, gets)
	}
}

const enforced = "enforce, mx mx.example.org"

// A policy is fetched once, and again when its id is another.
func TestPolicy(t *testing.T) {
	b := start(t, nil)
	b.want(enforced, "", 1)
	b.want(enforced, "", 1)
	b.serve(file(strings.Replace(policy, "enforce", "testing", 1)))
	b.pass(time.Minute)
	b.want(enforced, "", 1)
	if err := b.dns.Set("_mta-sts.example.com", `_mta-sts.example.com. 1 IN TXT "v=STSv1; id=2"`); err != nil {
		t.Fatal(err)
	}
	b.pass(time.Minute)
	b.want("testing, mx mx.example.org", "", 2)
}

// Without a record nothing is fetched; with a policy in the cache that counts to its
// end, whatever becomes of the record (RFC 8461 section 3.1).
func TestRecordIsGone(t *testing.T) {
	b := start(t, nil)
	if f := b.For(t.Context(), "else.example"); f.Policy != nil || f.Note != "" {
		t.Errorf("%+v", f)
	}
	b.want(enforced, "", 1)
	if err := b.dns.Set("_mta-sts.example.com"); err != nil {
		t.Fatal(err)
	}
	b.pass(time.Hour)
	b.want(enforced, "", 1)
	b.dns.Behave("_mta-sts.example.com", miekg.TypeTXT, dnstest.Behaviour{Rcode: miekg.RcodeServerFailure})
	b.pass(time.Hour)
	b.want(enforced, "", 1)
	b.pass(604800 * time.Second)
	b.want("", "can't be read", 1)
}

// What can't be had is not asked for each time; an older policy counts meanwhile.
func TestFetchFails(t *testing.T) {
	b := start(t, nil)
	b.serve(http.NotFoundHandler())
	b.want("", "404", 1)
	b.want("", "404", 1)
	b.pass(retryAfter)
	b.serve(file(policy))
	b.want(enforced, "", 2)
	if err := b.dns.Set("_mta-sts.example.com", `_mta-sts.example.com. 1 IN TXT "v=STSv1; id=2"`); err != nil {
		t.Fatal(err)
	}
	b.serve(http.NotFoundHandler())
	b.pass(time.Minute)
	b.want(enforced, "404", 3)
	b.want(enforced, "404", 3)
}

// A policy that is a day old is fetched again in the background.
func TestRefresh(t *testing.T) {
	b := start(t, nil)
	b.want(enforced, "", 1)
	b.hold = make(chan struct{})
	b.pass(refreshMost)
	b.serve(file(strings.Replace(policy, "enforce", "none", 1)))
	if f := b.For(t.Context(), "example.com"); f.Policy == nil || f.Policy.Mode != tlspolicy.ModeEnforce {
		t.Errorf("%+v", f)
	}
	close(b.hold)
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if f := b.For(t.Context(), "example.com"); f.Policy.Mode == tlspolicy.ModeNone {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the policy is still the old one")
		}
	}
	if n := b.gets.Load(); n != 2 {
		t.Errorf("%d fetches", n)
	}
}

// Many callers at once wait for one fetch, and not for ever.
func TestPatience(t *testing.T) {
	b := start(t, func(o *Options) { o.Patience = time.Second })
	b.hold = make(chan struct{})
	var asking sync.WaitGroup
	for range 20 {
		asking.Go(func() {
			if f := b.For(t.Context(), "example.com"); f.Policy != nil || f.Note != "the policy has not been fetched yet" {
				t.Errorf("%+v", f)
			}
		})
	}
	asking.Wait()
	close(b.hold)
	for end := time.Now().Add(time.Minute); b.known("example.com").Policy == nil; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the fetch did not go on")
		}
	}
	if n := b.gets.Load(); n != 1 {
		t.Errorf("%d fetches", n)
	}
}

// What RFC 8461 section 3.3 forbids to be taken for a policy.
func TestNotAPolicy(t *testing.T) {
	f := func(note string, h http.HandlerFunc) {
		t.Helper()
		b := start(t, nil)
		b.serve(h)
		b.want("", note, 1)
	}
	f("302", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/else", http.StatusFound) })
	f("text/html", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, policy)
	})
	f("65536", file(policy+strings.Repeat("x: y\n", 20_000)))
	f("version", file("<html>"))
	f("500", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })

	b := start(t, func(o *Options) { o.Roots = x509.NewCertPool() })
	b.want("", "certificate", 0)
	b = start(t, nil)
	b.client.Transport.(*http.Transport).TLSClientConfig.ServerName = "mta-sts.else.test" // whose name the certificate has not
	b.want("", "certificate", 0)
}

func TestCacheIsBounded(t *testing.T) {
	b := start(t, func(o *Options) { o.Size = 5 })
	for i := range 20 {
		b.note(fmt.Sprintf("d%d.test", i), "1", &tlspolicy.STS{Mode: tlspolicy.ModeNone}, nil)
		if n := b.entries.Len(); n > 5 {
			t.Fatalf("%d domains", n)
		}
	}
	if n := b.entries.Len(); n != 5 {
		t.Errorf("%d domains", n)
	}
}
