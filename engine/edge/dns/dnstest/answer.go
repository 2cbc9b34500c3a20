package dnstest

import (
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Behaviour is how a server misbehaves at a question.
type Behaviour struct {
	Delay    time.Duration // wait first
	Forge    Forgery       // send a false answer before the true one, over UDP
	Silent   bool          // send no answer (except for Forge)
	Rcode    int           // refuse with this code, such as dns.RcodeServerFailure
	Truncate bool          // over UDP: send only the header with TC set
	NoEDNS   bool          // refuse questions with EDNS0 as malformed, as old servers do
	Partial  bool          // don't follow a CNAME
	Referral bool          // don't answer, refer to another server, as a server without recursion
}

// Forgery is a kind of false answer, with forged.invalid or 192.0.2.66 in it.
type Forgery uint8

// The false answers.
const (
	NoForgery      Forgery = iota
	WrongID                // another question's id
	WrongQuestion          // the right id with another question
	Rubbish                // octets that are not a DNS message
	MalformedReply         // the right id and question, and a malformed rest
)

// ServeDNS answers one question; it is a dns.Handler.
func (s *Server) ServeDNS(w dns.ResponseWriter, m *dns.Msg) {
	if len(m.Question) != 1 {
		_ = w.WriteMsg(new(dns.Msg).SetRcode(m, dns.RcodeFormatError))
		return
	}
	tcp := w.RemoteAddr().Network() == "tcp"
	q := question{dns.CanonicalName(m.Question[0].Name), m.Question[0].Qtype}
	b := s.note(q, tcp)
	if b.Delay > 0 {
		select {
		case <-time.After(b.Delay):
		case <-s.done:
			return
		}
	}
	if b.Forge != NoForgery && !tcp {
		_, _ = w.Write(forged(m, b.Forge))
	}
	if b.Silent {
		return
	}
	reply := s.reply(m, q, b)
	if !tcp {
		size := dns.MinMsgSize
		if opt := m.IsEdns0(); opt != nil {
			size = int(opt.UDPSize())
		}
		if b.Truncate {
			reply.Answer, reply.Ns, reply.Truncated = nil, nil, true
		}
		reply.Truncate(size)
	}
	_ = w.WriteMsg(reply)
}

// note counts a question and returns the Behaviour for it.
func (s *Server) note(q question, tcp bool) Behaviour {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked[q]++
	if tcp {
		s.overTCP++
	}
	if b, ok := s.behave[q]; ok {
		return b
	}
	return s.behave[question{q.name, dns.TypeANY}]
}

func (s *Server) reply(m *dns.Msg, q question, b Behaviour) *dns.Msg {
	reply := new(dns.Msg).SetReply(m)
	reply.RecursionAvailable = !b.Referral
	reply.Compress = true
	opt := m.IsEdns0()
	switch {
	case b.NoEDNS && opt != nil:
		reply.Rcode = dns.RcodeFormatError
		return reply
	case b.Rcode != dns.RcodeSuccess:
		reply.Rcode = b.Rcode
		return reply
	case b.Referral:
		reply.Ns = []dns.RR{&dns.NS{Hdr: header(q.name, dns.TypeNS), Ns: "elsewhere.invalid."}}
		return reply
	}
	if opt != nil {
		reply.SetEdns0(dns.DefaultMsgSize, false)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.zone.answer(reply, q, b.Partial)
	reply.AuthenticatedData = m.AuthenticatedData && s.vouches(q.name)
	return reply
}

// vouches reports whether answers about a name have the AD bit.
func (s *Server) vouches(name string) bool {
	for at, end := 0, false; !end; at, end = dns.NextLabel(name, at) {
		if s.vouched[name[at:]] {
			return true
		}
	}
	return s.vouched["."]
}

// answer fills in the zone's records.
func (z zone) answer(reply *dns.Msg, q question, partial bool) {
	name := q.name
	for range 16 {
		records, exists := z.find(name)
		if !exists {
			reply.Rcode = dns.RcodeNameError
		}
		var alias *dns.CNAME
		found := false
		for _, rr := range records {
			if c, ok := rr.(*dns.CNAME); ok {
				alias = c
			}
			if rr.Header().Rrtype == q.qtype {
				reply.Answer, found = append(reply.Answer, rr), true
			}
		}
		if found {
			return
		}
		if alias == nil {
			reply.Ns = append(reply.Ns, z.soa(name))
			return
		}
		reply.Answer = append(reply.Answer, alias)
		if partial {
			return
		}
		name = dns.CanonicalName(alias.Target)
	}
	reply.Answer, reply.Rcode = nil, dns.RcodeServerFailure // a circle
}

// find returns copies of a name's records, or of the wildcard's with that name.
func (z zone) find(name string) (records []dns.RR, exists bool) {
	owner := name
	if !z.has(name) {
		owner = ""
		for at, end := dns.NextLabel(name, 0); !end; at, end = dns.NextLabel(name, at) {
			if z["*."+name[at:]] != nil {
				owner = "*." + name[at:]
				break
			}
		}
		if owner == "" {
			return nil, false
		}
	}
	for _, rr := range z[owner] {
		rr = dns.Copy(rr)
		rr.Header().Name = name
		records = append(records, rr)
	}
	return records, true
}

// has reports whether a name exists, with records or as the parent of other names.
func (z zone) has(name string) bool {
	if len(z[name]) > 0 {
		return true
	}
	for owner := range z {
		if strings.HasSuffix(owner, "."+name) {
			return true
		}
	}
	return false
}

// soa finds the SOA record for a name.
func (z zone) soa(name string) dns.RR {
	for at, end := 0, false; !end; at, end = dns.NextLabel(name, at) {
		for _, rr := range z[name[at:]] {
			if soa, ok := rr.(*dns.SOA); ok {
				return dns.Copy(soa)
			}
		}
	}
	return &dns.SOA{Hdr: header(".", dns.TypeSOA), Ns: "ns.invalid.", Mbox: "root.invalid.", Serial: 1, Refresh: 60, Retry: 60, Expire: 60, Minttl: 60}
}

// forged makes a false answer to m.
func forged(m *dns.Msg, kind Forgery) []byte {
	name := m.Question[0].Name
	f := new(dns.Msg).SetReply(m)
	f.RecursionAvailable = true
	switch m.Question[0].Qtype {
	case dns.TypeMX:
		f.Answer = []dns.RR{&dns.MX{Hdr: header(name, dns.TypeMX), Preference: 1, Mx: "forged.invalid."}}
	case dns.TypeA:
		f.Answer = []dns.RR{&dns.A{Hdr: header(name, dns.TypeA), A: []byte{192, 0, 2, 66}}}
	}
	switch kind {
	case WrongID:
		f.Id++
	case WrongQuestion:
		f.Question = []dns.Question{{Name: "other." + name, Qtype: m.Question[0].Qtype, Qclass: dns.ClassINET}}
	case Rubbish:
		return []byte("no DNS message at all, but long enough for a header")
	}
	wire, err := f.Pack()
	if err != nil {
		return nil // "other." made the name too long; there is nothing to send then
	}
	if kind == MalformedReply && len(f.Answer) > 0 {
		wire = wire[:len(wire)-3]
	}
	return wire
}

func header(name string, rrtype uint16) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: rrtype, Class: dns.ClassINET, Ttl: 60}
}
