package dns

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	miekg "github.com/miekg/dns"

	"postrider/engine/edge/dns/dnstest"
)

var mxAndHost = []string{"example.org. 300 IN MX 10 mx.example.org.", "mx.example.org. 300 IN A 192.0.2.1"}

const mxAnswer = "10 mx.example.org"

// impatient is for tests in which a server is silent: they have to wait for it.
func impatient(o *Options) { o.Timeout = 300 * time.Millisecond }

// One server that answers is enough, whatever is wrong with the server before it.
func TestNextServer(t *testing.T) {
	f := func(what string, bad dnstest.Behaviour) {
		t.Helper()
		first := dnstest.Start(t, mxAndHost...)
		first.Behave("example.org", miekg.TypeMX, bad)
		b := start(t, func(o *Options) {
			if bad.Silent {
				impatient(o)
			}
			o.Servers = append([]string{first.Addr()}, o.Servers...)
		}, mxAndHost...)
		b.want("example.org", TypeMX, mxAnswer)
		if b.dns.Asked("example.org", miekg.TypeMX) == 0 || first.Asked("example.org", miekg.TypeMX) == 0 {
			t.Errorf("%s: one of the servers was not asked", what)
		}
		// From now on the server that answered comes first.
		first.Behave("example.org", miekg.TypeMX, dnstest.Behaviour{})
		before := first.Questions()
		b.want("other.example.org", TypeMX, "no such name")
		if first.Questions() != before {
			t.Errorf("%s: the server that failed is still the first to be asked", what)
		}
	}
	f("silence", dnstest.Behaviour{Silent: true})
	f("SERVFAIL", dnstest.Behaviour{Rcode: miekg.RcodeServerFailure})
	f("REFUSED", dnstest.Behaviour{Rcode: miekg.RcodeRefused})
	f("no recursion", dnstest.Behaviour{Referral: true})
	f("malformed", dnstest.Behaviour{Forge: dnstest.MalformedReply, Silent: true})
}

// A question to a port without a server fails at once.
func TestDeadServer(t *testing.T) {
	gone, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := gone.LocalAddr().String()
	_ = gone.Close()
	b := start(t, func(o *Options) { o.Servers = append([]string{addr}, o.Servers...) }, mxAndHost...)
	b.want("example.org", TypeMX, mxAnswer)
}

func TestNoServerAnswers(t *testing.T) {
	f := func(what string, bad dnstest.Behaviour, asked int, why string) {
		t.Helper()
		second := dnstest.Start(t)
		b := start(t, func(o *Options) {
			if bad.Silent {
				impatient(o)
			}
			o.Servers = append(o.Servers, second.Addr())
		})
		b.dns.Behave("example.org", miekg.TypeANY, bad)
		second.Behave("example.org", miekg.TypeANY, bad)
		rec := b.Ask(t.Context(), "example.org.", TypeMX)
		if n, m := b.dns.Asked("example.org", miekg.TypeMX), second.Asked("example.org", miekg.TypeMX); n != asked || m != asked {
			t.Errorf("%s: asked %d and %d times, want %d", what, n, m, asked)
		}
		want := fmt.Sprintf("%s: %s; %s: %s", b.dns.Addr(), why, second.Addr(), why)
		if rec.Outcome != Failed || rec.Why != want {
			t.Errorf("%s: %q, want %q", what, rec.Why, want)
		}
	}
	f("silence", dnstest.Behaviour{Silent: true}, 2, "timed out")
	f("SERVFAIL", dnstest.Behaviour{Rcode: miekg.RcodeServerFailure}, 1, "SERVFAIL")
	f("REFUSED", dnstest.Behaviour{Rcode: miekg.RcodeRefused}, 1, "REFUSED")
	f("unknown code", dnstest.Behaviour{Rcode: 12}, 1, "RCODE 12")
	f("no recursion", dnstest.Behaviour{Referral: true}, 1, "no recursion: the server refers to other servers")
}

// A lost packet is sent again in the second round.
func TestSecondRound(t *testing.T) {
	b := start(t, impatient, mxAndHost...)
	b.dns.Behave("example.org", miekg.TypeMX, dnstest.Behaviour{Silent: true})
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		for b.dns.Asked("example.org", miekg.TypeMX) == 0 {
			time.Sleep(time.Millisecond)
		}
		b.dns.Behave("example.org", miekg.TypeMX, dnstest.Behaviour{})
	}()
	b.source.Load().servers.rounds = 100 // however slow this machine is
	b.want("example.org", TypeMX, mxAnswer)
	<-answered
	if b.dns.Asked("example.org", miekg.TypeMX) < 2 {
		t.Error("the lost question was answered")
	}
}

// Answers with another id, or to another question, don't count.
func TestForgedAnswersArePassedOver(t *testing.T) {
	for _, forgery := range []dnstest.Forgery{dnstest.WrongID, dnstest.WrongQuestion, dnstest.Rubbish} {
		b := start(t, nil, mxAndHost...)
		b.dns.Behave("example.org", miekg.TypeANY, dnstest.Behaviour{Forge: forgery})
		b.want("example.org", TypeMX, mxAnswer)
		if n := b.dns.Questions(); n != 1 {
			t.Errorf("forgery %d: %d questions", forgery, n)
		}
	}
	b := start(t, impatient, mxAndHost...)
	b.dns.Behave("example.org", miekg.TypeANY, dnstest.Behaviour{Forge: dnstest.WrongID, Silent: true})
	b.wantFailed("example.org")
}

func TestTCPForLongAnswers(t *testing.T) {
	b := start(t, nil, mxAndHost...)
	b.dns.Behave("example.org", miekg.TypeMX, dnstest.Behaviour{Truncate: true})
	b.want("example.org", TypeMX, mxAnswer)
	if n := b.dns.OverTCP(); n != 1 {
		t.Errorf("%d questions over TCP", n)
	}
}

func TestServerWithoutEDNS(t *testing.T) {
	b := start(t, nil, mxAndHost...)
	b.dns.Behave("example.org", miekg.TypeANY, dnstest.Behaviour{NoEDNS: true})
	b.want("example.org", TypeMX, mxAnswer)
	b = start(t, nil, mxAndHost...)
	b.dns.Behave("example.org", miekg.TypeANY, dnstest.Behaviour{Rcode: miekg.RcodeFormatError})
	b.wantFailed("example.org")
}

func TestServersOfResolvConf(t *testing.T) {
	file := filepath.Join(t.TempDir(), "resolv.conf")
	text := "nameserver 192.0.2.53\nnameserver 2001:db8::53\noptions timeout:3 attempts:4\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r := New(Options{ResolvConf: file})
	if got := strings.Join(r.Servers(), " "); got != "192.0.2.53:53 [2001:db8::53]:53" || r.source.Load().servers.timeout != 3*time.Second || r.source.Load().servers.rounds != 4 {
		t.Errorf("%s, %v, %d", got, r.source.Load().servers.timeout, r.source.Load().servers.rounds)
	}
	r = New(Options{ResolvConf: file, Servers: []string{"192.0.2.1:5353"}, Timeout: time.Second, Attempts: 1})
	if got := strings.Join(r.Servers(), " "); got != "192.0.2.1:5353" || r.source.Load().servers.timeout != time.Second || r.source.Load().servers.rounds != 1 {
		t.Errorf("%s, %v, %d", got, r.source.Load().servers.timeout, r.source.Load().servers.rounds)
	}
	r = New(Options{ResolvConf: file + ".gone"})
	if got := strings.Join(r.Servers(), " "); got != "127.0.0.1:53" || r.source.Load().servers.timeout != 5*time.Second || r.source.Load().servers.rounds != 2 {
		t.Errorf("%s, %v, %d", got, r.source.Load().servers.timeout, r.source.Load().servers.rounds)
	}
}

// read reads any answer without a panic, and what it keeps is bounded.
func FuzzRead(f *testing.F) {
	for _, rr := range []string{"example.org. 1 IN MX 1 .", "example.org. 1 IN CNAME example.org.", "example.org. 1 IN A 192.0.2.1", "org. 1 IN SOA a. b. 1 1 1 1 1"} {
		record, err := miekg.NewRR(rr)
		if err != nil {
			f.Fatal(err)
		}
		m := new(miekg.Msg).SetQuestion("example.org.", miekg.TypeMX)
		m.Answer, m.Ns = []miekg.RR{record}, []miekg.RR{record}
		wire, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(wire)
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		m := new(miekg.Msg)
		if m.Unpack(wire) != nil {
			return
		}
		for _, qtype := range []uint16{miekg.TypeMX, miekg.TypeA, miekg.TypeAAAA} {
			rec, ttl, next := read(m, "example.org.", qtype)
			n := len(rec.MX) + len(rec.Addrs)
			if n > maxRecords || (n > 0) != (rec.Outcome == Found) || next != "" && n > 0 {
				t.Fatalf("%+v next %q", rec, next)
			}
			if ttl > maxTTL || next == "" && ttl < minTTL {
				t.Fatalf("kept for %v", ttl)
			}
		}
	})
}
