package dnstest

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// ask writes what a server says: the code and the sections, one record a line.
func ask(t *testing.T, s *Server, network, name string, qtype uint16) string {
	t.Helper()
	c := dns.Client{Net: network, Timeout: 5 * time.Second}
	m, _, err := c.Exchange(new(dns.Msg).SetQuestion(name, qtype), s.Addr())
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	text := dns.RcodeToString[m.Rcode]
	if m.Truncated {
		text += " TC"
	}
	for _, rr := range append(m.Answer, m.Ns...) {
		text += "\n" + strings.ReplaceAll(rr.String(), "\t", " ")
	}
	return text
}

func TestAnswers(t *testing.T) {
	s := Start(t,
		"example.org. 300 IN SOA ns. root. 1 1 1 1 42",
		"example.org. 300 IN MX 10 mx.example.org.",
		"mx.example.org. 300 IN A 192.0.2.1",
		"alias.example.org. 300 IN CNAME mx.example.org.",
		"*.wild.example.org. 300 IN A 192.0.2.2")
	f := func(name string, qtype uint16, lines ...string) {
		t.Helper()
		want := strings.Join(lines, "\n")
		for _, network := range []string{"udp", "tcp"} {
			if got := ask(t, s, network, name, qtype); got != want {
				t.Errorf("%s %s:\n%s\nwant\n%s", network, name, got, want)
			}
		}
	}
	soa := "example.org. 300 IN SOA ns. root. 1 1 1 1 42"
	f("example.org.", dns.TypeMX, "NOERROR", "example.org. 300 IN MX 10 mx.example.org.")
	f("example.org.", dns.TypeA, "NOERROR", soa)
	f("no.example.org.", dns.TypeA, "NXDOMAIN", soa)
	f("alias.example.org.", dns.TypeA, "NOERROR", "alias.example.org. 300 IN CNAME mx.example.org.", "mx.example.org. 300 IN A 192.0.2.1")
	f("a.b.wild.example.org.", dns.TypeA, "NOERROR", "a.b.wild.example.org. 300 IN A 192.0.2.2")
	f("wild.example.org.", dns.TypeA, "NOERROR", soa)

	s.Behave("mx.example.org", dns.TypeA, Behaviour{Rcode: dns.RcodeServerFailure})
	f("mx.example.org.", dns.TypeA, "SERVFAIL")
	f("mx.example.org.", dns.TypeMX, "NOERROR", soa)
	s.Behave("mx.example.org", dns.TypeANY, Behaviour{Truncate: true})
	s.Behave("mx.example.org", dns.TypeA, Behaviour{Truncate: true})
	if got := ask(t, s, "udp", "mx.example.org.", dns.TypeA); got != "NOERROR TC" {
		t.Error(got)
	}
	f("example.org.", dns.TypeTXT, "NOERROR", soa)
	if n := s.Asked("Example.org", dns.TypeMX); n != 2 {
		t.Errorf("%d questions for the MX", n)
	}
	if n := s.Asked("example.org", dns.TypeANY); n != 6 {
		t.Errorf("%d questions for the name", n)
	}

	if err := s.Set("mx.example.org", "mx.example.org. 300 IN A 192.0.2.3"); err != nil {
		t.Fatal(err)
	}
	s.Behave("mx.example.org", dns.TypeANY, Behaviour{})
	s.Behave("mx.example.org", dns.TypeA, Behaviour{})
	f("mx.example.org.", dns.TypeA, "NOERROR", "mx.example.org. 300 IN A 192.0.2.3")
	if err := s.Set("mx.example.org"); err != nil {
		t.Fatal(err)
	}
	f("mx.example.org.", dns.TypeA, "NXDOMAIN", soa)
	if err := s.Set("mx.example.org", "no record"); err == nil {
		t.Error("nonsense was taken for a record")
	}
}

// One address for UDP and TCP, taken and given back.
func TestListen(t *testing.T) {
	s, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Behave("held.example", dns.TypeANY, Behaviour{Delay: time.Hour})
	conn, err := net.Dial("udp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	wire, err := new(dns.Msg).SetQuestion("held.example.", dns.TypeA).Pack()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(wire); err != nil {
		t.Fatal(err)
	}
	for s.Asked("held.example", dns.TypeA) == 0 {
		time.Sleep(time.Millisecond)
	}
	if err := s.Close(); err != nil { // not in an hour
		t.Fatal(err)
	}
	again, err := Listen(s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	_ = again.Close()
	if _, err := Listen("127.0.0.1:0", "nonsense"); err == nil {
		t.Error("nonsense was taken for a record")
	}
}
