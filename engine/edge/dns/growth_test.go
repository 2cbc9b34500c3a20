package dns

import (
	"fmt"
	"net"
	"strings"
	"testing"

	miekg "github.com/miekg/dns"

	"postrider/codec/growth"
)

// read keeps a bounded number of an answer's records, and looks at each record once for each
// name in a chain of aliases.
func TestAnswers_Growth(t *testing.T) {
	header := func(qtype uint16) miekg.RR_Header {
		return miekg.RR_Header{Name: "x.test.", Rrtype: qtype, Class: miekg.ClassINET, Ttl: 60}
	}
	for what, record := range map[string]struct {
		qtype uint16
		make  func(i int) miekg.RR
	}{
		"MX": {miekg.TypeMX, func(i int) miekg.RR {
			return &miekg.MX{Hdr: header(miekg.TypeMX), Preference: uint16(65535 - i), Mx: fmt.Sprintf("m%d.test.", i)}
		}},
		"TXT": {miekg.TypeTXT, func(i int) miekg.RR {
			return &miekg.TXT{Hdr: header(miekg.TypeTXT), Txt: []string{"v=x", strings.Repeat("y", 200)}}
		}},
		"texts of nothing": {miekg.TypeTXT, func(int) miekg.RR { return &miekg.TXT{Hdr: header(miekg.TypeTXT), Txt: make([]string, 200)} }},
		"A": {miekg.TypeA, func(i int) miekg.RR {
			return &miekg.A{Hdr: header(miekg.TypeA), A: net.IPv4(10, byte(i>>16), byte(i>>8), byte(i))}
		}},
		"PTR": {miekg.TypePTR, func(i int) miekg.RR { return &miekg.PTR{Hdr: header(miekg.TypePTR), Ptr: fmt.Sprintf("h%d.test.", i)} }},
		"TLSA": {miekg.TypeTLSA, func(int) miekg.RR {
			return &miekg.TLSA{Hdr: header(miekg.TypeTLSA), Certificate: strings.Repeat("00", 32)}
		}},
		"aliases": {miekg.TypeA, func(i int) miekg.RR {
			h := header(miekg.TypeCNAME)
			h.Name = fmt.Sprintf("a%d.test.", i)
			return &miekg.CNAME{Hdr: h, Target: fmt.Sprintf("a%d.test.", i+1)}
		}},
	} {
		growth.Linear(t, what, 500, func(n int) func() {
			m := new(miekg.Msg)
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
