package resolver

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"postrider/codec/growth"
)

// Of an answer with any number of records a bounded number is kept, and each is looked at
// once for each name in a chain of aliases.
func TestAnswers_Growth(t *testing.T) {
	header := func(qtype uint16) dns.RR_Header {
		return dns.RR_Header{Name: "x.test.", Rrtype: qtype, Class: dns.ClassINET, Ttl: 60}
	}
	for what, record := range map[string]struct {
		qtype uint16
		make  func(i int) dns.RR
	}{
		"MX": {dns.TypeMX, func(i int) dns.RR {
			return &dns.MX{Hdr: header(dns.TypeMX), Preference: uint16(65535 - i), Mx: fmt.Sprintf("m%d.test.", i)}
		}},
		"TXT": {dns.TypeTXT, func(i int) dns.RR {
			return &dns.TXT{Hdr: header(dns.TypeTXT), Txt: []string{"v=x", strings.Repeat("y", 200)}}
		}},
		"texts of nothing": {dns.TypeTXT, func(int) dns.RR { return &dns.TXT{Hdr: header(dns.TypeTXT), Txt: make([]string, 200)} }},
		"A": {dns.TypeA, func(i int) dns.RR {
			return &dns.A{Hdr: header(dns.TypeA), A: net.IPv4(10, byte(i>>16), byte(i>>8), byte(i))}
		}},
		"PTR":  {dns.TypePTR, func(i int) dns.RR { return &dns.PTR{Hdr: header(dns.TypePTR), Ptr: fmt.Sprintf("h%d.test.", i)} }},
		"TLSA": {dns.TypeTLSA, func(int) dns.RR { return &dns.TLSA{Hdr: header(dns.TypeTLSA), Certificate: strings.Repeat("00", 32)} }},
		"aliases": {dns.TypeA, func(i int) dns.RR {
			h := header(dns.TypeCNAME)
			h.Name = fmt.Sprintf("a%d.test.", i)
			return &dns.CNAME{Hdr: h, Target: fmt.Sprintf("a%d.test.", i+1)}
		}},
	} {
		growth.Linear(t, what, 500, func(n int) func() {
			m := new(dns.Msg)
			for i := range n {
				m.Answer = append(m.Answer, record.make(i))
			}
			return func() {
				if rec, _, _ := read(m, "x.test.", record.qtype); rec.len() > maxRecords {
					t.Errorf("%s: %d records are kept", what, rec.len())
				}
				read(m, "a0.test.", record.qtype)
			}
		})
	}
}

// Hosts with many addresses are put into an order in one pass, and of what is said about
// them a bounded number of notes is kept.
func TestHosts_Growth(t *testing.T) {
	growth.Linear(t, "hosts", 20, func(n int) func() {
		s := &search{Resolver: &Resolver{shuffle: func(int, func(i, j int)) {}}, port: 25}
		var all []candidate
		for i := range n {
			c := candidate{exchange: exchange{name: "m"}}
			for j := range 2 * maxRecords {
				c.addrs = append(c.addrs, netip.AddrFrom4([4]byte{10, byte(i), byte(j >> 8), byte(j)}))
			}
			all = append(all, c)
		}
		return func() {
			if got := len(s.order(all)); got != 2*maxRecords*n {
				t.Errorf("%d hosts", got)
			}
			for i := range 100 * n {
				s.note("note %d", i)
			}
			if len(s.answer.Notes) > maxNotes {
				t.Errorf("%d notes", len(s.answer.Notes))
			}
		}
	})
}
