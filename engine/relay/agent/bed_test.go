package agent

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"postrider/codec/dot"
	"postrider/codec/message"
	"postrider/codec/smtp"
	"postrider/engine/edge/dns"
	"postrider/engine/edge/dns/dnstest"
	"postrider/engine/host/maillog"
	"postrider/engine/mail/router"
	"postrider/engine/relay/mtasts"
	"postrider/engine/relay/mx"
	"postrider/engine/relay/queue"
	"postrider/engine/relay/tlspolicy"
	"postrider/storage"
	"postrider/storage/lsm"
)

// bed is a Courier with a store and a name server of its own.
type bed struct {
	*Courier
	t     testing.TB
	dns   *dnstest.Server
	store *lsm.Store
	port  int // the port of the mail hosts
	log   *lines
}

// lines is a log in memory.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer // under mu
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// lineByLine is the handler of the program, but each line is written when Handle returns.
type lineByLine struct {
	to    *lines
	attrs []slog.Attr
}

func (h lineByLine) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelInfo }
func (h lineByLine) Handle(ctx context.Context, r slog.Record) error {
	writer := maillog.New(h.to, false, slog.LevelInfo, "client.test")
	defer writer.Close()
	return writer.WithAttrs(h.attrs).Handle(ctx, r)
}
func (h lineByLine) WithAttrs(as []slog.Attr) slog.Handler {
	return lineByLine{h.to, append(slices.Clip(h.attrs), as...)}
}
func (h lineByLine) WithGroup(string) slog.Handler { return h }

// defaults are the settings of an empty configuration.
func defaults() Settings {
	return Settings{
		Hostname: "client.test", DefaultDomain: "localhost", Rules: transports(),
		Policy:   queue.Policy{Retry: []time.Duration{15 * time.Minute}, Jitter: 10, WarnAfter: 4 * time.Hour, Lifetime: 5 * 24 * time.Hour},
		Security: SecuritySettings{Rules: tlsRules(tlspolicy.May), MTASTS: true},

		ReturnSize: 50 << 10,
		Sizes: Sizes{
			Connections: 500, ConnectionsPerDestination: 20, InitialConnections: 5, MessagesPerConnection: 100, MaxEntries: 20000,
		},
		Times: Times{
			Connect: 30 * time.Second, Command: 5 * time.Minute, Data: 3 * time.Minute, MinDataRate: 500, Reply: 10 * time.Minute, Idle: 2 * time.Second,
		},
	}
}

func transports(rules ...string) *router.Transports {
	t, err := router.NewTransports("", rules, nil)
	if err != nil {
		panic(err)
	}
	return t
}

func tlsRules(least tlspolicy.Level, rules ...string) *tlspolicy.Rules {
	r, err := tlspolicy.NewRules(least, rules)
	if err != nil {
		panic(err)
	}
	return r
}

// newBed makes a Courier that trusts roots. web is the port of the MTA-STS policies.
func newBed(t testing.TB, roots *x509.CertPool, web int, change func(*Settings), records ...string) *bed {
	t.Helper()
	set := defaults()
	set.Policy.Retry = []time.Duration{time.Second}
	if change != nil {
		change(&set)
	}
	b := &bed{t: t, dns: dnstest.Start(t, records...), port: freePort(t), log: new(lines)}
	none := filepath.Join(t.TempDir(), "none")
	var err error
	if b.store, err = lsm.Open(lsm.Options{Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	names := dns.New(dns.Options{
		Servers: []string{b.dns.Addr()}, ResolvConf: none, HostsFile: none, Timeout: 5 * time.Second, DNSSEC: dns.DNSSECAuto,
	})
	hosts := mx.New(names, mx.Options{
		Port: uint16(b.port), Families: mx.OnlyIPv4,
		Named: set.Rules.Names, Private: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	})
	log := slog.New(lineByLine{to: b.log})
	routes := router.Settings{
		Hostname: set.Hostname, DefaultDomain: set.DefaultDomain, Delimiter: '+', Literals: []netip.Addr{netip.MustParseAddr("127.0.0.1")},
	}
	if b.Courier, err = New(set, b.store, router.New(b.store, routes), hosts, log); err != nil {
		t.Fatal(err)
	}
	b.rules().security.roots = roots
	if b.rules().security.sts != nil {
		b.rules().security.sts = mtasts.New(b.ctx, mtasts.Options{Names: names, Hosts: hosts.Addrs, Roots: roots, Port: uint16(web), Log: log})
	}
	b.Start()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the log:\n%s", b.log)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		b.Stop(ctx)
		if err := b.store.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// at is the address of mail host n: 127.0.0.n and the port.
func (b *bed) at(n int) string { return fmt.Sprintf("127.0.0.%d:%d", n, b.port) }

// submit queues a message and returns its entry's id.
func (b *bed) submit(to string) storage.EntryID {
	b.t.Helper()
	d := &storage.Delivery{Arrival: time.Now()}
	if !b.address(d, to, "joe@client.test") {
		b.t.Fatalf("%s can't be addressed", to)
	}
	if err := b.deliver(d, []byte("Subject: x\r\n\r\nx\r\n")); err != nil {
		b.t.Fatal(err)
	}
	var last storage.EntryID
	_ = b.store.Queued(storage.QueueFilter{}, func(e *storage.QueueEntry) bool {
		last = e.ID
		return true
	})
	return last
}

// until waits until f returns true.
func (b *bed) until(what string, f func() bool) {
	b.t.Helper()
	for end := time.Now().Add(hang); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			b.t.Fatalf("%s: waited in vain", what)
		}
	}
}

// send sends a message and returns once the queue is empty.
func (b *bed) send(to string) {
	b.t.Helper()
	b.submit(to)
	b.until("the queue is empty", func() bool {
		n, _ := b.store.QueueTotal()
		return n == 0
	})
}

// deferred sends a message and returns why it is deferred.
func (b *bed) deferred(to string) string {
	b.t.Helper()
	b.submit(to)
	why := ""
	b.until("the message is deferred", func() bool {
		_ = b.store.Queued(storage.QueueFilter{}, func(e *storage.QueueEntry) bool {
			if e.Attempts > 0 {
				why = e.Status + " " + e.Reason
			}
			return true
		})
		return why != ""
	})
	return why
}

// wantLog waits for words in the log: a line may come some time after its event.
func (b *bed) wantLog(words string) {
	b.t.Helper()
	b.until(fmt.Sprintf("the log has %q", words), func() bool { return strings.Contains(b.log.String(), words) })
}

func wantText(t testing.TB, got string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(got, w) {
			t.Errorf("%q has no %q", got, w)
		}
	}
}

// readRoots refuses a missing file, and one without certificates.
func TestRootsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "roots.pem")
	if _, err := readRoots(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
	if err := os.WriteFile(path, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readRoots(path); err == nil || !strings.Contains(err.Error(), "PEM") {
		t.Errorf("%v", err)
	}
}

// address gives d a recipient and a reverse-path: false when there is no such recipient.
func (b *bed) address(d *storage.Delivery, to, from string) bool {
	rcpt, refused := smtp.ParseRcpt([]byte("TO:<"+to+">"), 0, true)
	if refused != nil {
		return false
	}
	var places router.Placement
	if o := places.Add(b.router, &rcpt, true); o != router.Local && o != router.NotOurs {
		return false
	}
	places.Seal(storage.Envelope{ReversePath: from, Origin: "a test"})
	d.Relayed = places.Relayed
	for _, t := range places.Targets {
		d.Recipients = append(d.Recipients, storage.Recipient{Account: t.Account, Trace: message.AppendReturnPath(nil, []byte(from))})
	}
	return true
}

// deliver stores text, with a Received field in front, for the recipients of d.
func (b *bed) deliver(d *storage.Delivery, text []byte) error {
	d.Draft = b.store.NewDraft(0)
	text = append(message.AppendReceived(nil, message.Received{Host: "client.test", With: "local", ID: []byte(d.Draft.ID().String()), At: d.Arrival}), text...)
	var form dot.Normalizer
	d.Draft.Append(form.End(form.Append(nil, text)))
	d.Size = form.Counts().Size
	_, err := storage.Put(b.t.Context(), b.store, d)
	return err
}
