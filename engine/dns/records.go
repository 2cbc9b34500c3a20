package dns

import (
	"cmp"
	"encoding/hex"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"postrider/engine/tlspolicy"
)

// outcome is what a question came to.
type outcome uint8

const (
	found  outcome = iota
	noData         // the name is there, but nothing of this type
	noName         // NXDOMAIN
	failed         // nobody knows now
)

// records is the answer to one question. It is shared, and never changes.
type records struct {
	outcome outcome
	mx      []exchange
	addrs   []netip.Addr
	tlsa    []tlspolicy.TLSA
	texts   []string // TXT, the strings of each record put together
	names   []string // PTR, written as in exchange
	secure  bool     // a name server that is believed says that DNSSEC vouches for it
	why     string   // of failed, for the operator
	cut     bool     // there were more, and one that is not here may be the one that counts
}

// exchange is one MX record.
type exchange struct {
	name       string // as the user writes it: lower case, no final dot; "" is the null MX
	preference uint16
}

// How long answers are kept, whatever their servers say (RFC 2308 sections 5 and 7
// for those that say no).
const (
	minTTL, maxTTL           = time.Second, time.Hour
	minNegative, maxNegative = 5 * time.Second, 900 * time.Second
	failureTTL               = 10 * time.Second
)

// maxRecords bounds what one answer may take in memory: of more MX records the best
// are kept, of more texts those that begin with "v=".
const maxRecords = 100

// maxText bounds the octets of TXT records that are kept of one answer.
const maxText = 16 << 10

// maxAliases bounds a chain of CNAMEs.
const maxAliases = 8

// read takes the records of type qtype out of an answer about name, through its
// CNAMEs. next is set when the answer ends at an alias and says no more: that is
// the name to ask for.
func read(m *dns.Msg, name string, qtype uint16) (rec *records, ttl time.Duration, next string) {
	rec, ttl = &records{secure: m.AuthenticatedData}, maxTTL
	owner := name
	for range maxAliases {
		alias := cname(m, owner)
		if alias == nil || qtype == dns.TypeCNAME {
			break
		}
		ttl = min(ttl, seconds(alias.Hdr.Ttl))
		owner = dns.CanonicalName(alias.Target)
	}
	for _, rr := range bestFirst(m.Answer, owner, qtype) {
		if rec.add(rr) {
			ttl = min(ttl, seconds(rr.Header().Ttl))
		}
	}
	if rec.cut && qtype == dns.TypeTXT {
		return &records{outcome: failed, why: "there are more TXT records than are read"}, failureTTL, ""
	}
	if rec.len() > 0 {
		return rec, max(ttl, minTTL), ""
	}
	negative, soa := negativeTTL(m)
	rec.outcome = noData
	switch {
	case m.Rcode == dns.RcodeNameError:
		rec.outcome = noName
	case owner != name && !soa:
		return rec, ttl, owner
	}
	return rec, max(min(ttl, negative), minNegative), ""
}

// bestFirst are the records of an owner and a type, those first that should be kept
// when there are too many.
func bestFirst(answer []dns.RR, owner string, qtype uint16) []dns.RR {
	var all []dns.RR
	for _, rr := range answer {
		if h := rr.Header(); h.Rrtype == qtype && strings.EqualFold(h.Name, owner) {
			all = append(all, rr)
		}
	}
	switch qtype {
	case dns.TypeMX:
		slices.SortStableFunc(all, func(a, b dns.RR) int { return cmp.Compare(preferenceOf(a), preferenceOf(b)) })
	case dns.TypeTXT:
		slices.SortStableFunc(all, func(a, b dns.RR) int { return cmp.Compare(rankOf(a), rankOf(b)) })
	}
	return all
}

func preferenceOf(rr dns.RR) uint16 {
	if mx, ok := rr.(*dns.MX); ok {
		return mx.Preference
	}
	return math.MaxUint16
}

// rankOf puts the texts that programs read (SPF, DMARC, DKIM) before those that prove to
// somebody that the domain is somebody's.
func rankOf(rr dns.RR) int {
	if txt, ok := rr.(*dns.TXT); ok && len(txt.Txt) > 0 && isVersioned(txt.Txt[0]) {
		return 0
	}
	return 1
}

func isVersioned(text string) bool { return len(text) >= 2 && strings.EqualFold(text[:2], "v=") }

// add takes one record in, if there is room.
func (rec *records) add(rr dns.RR) bool {
	if rec.len() >= maxRecords {
		rec.left(rr)
		return false
	}
	switch rr := rr.(type) {
	case *dns.MX:
		rec.mx = append(rec.mx, exchange{strings.TrimSuffix(dns.CanonicalName(rr.Mx), "."), rr.Preference})
		return true
	case *dns.TXT:
		if !rec.addText(strings.Join(rr.Txt, "")) {
			rec.left(rr)
			return false
		}
		return true
	case *dns.PTR:
		rec.names = append(rec.names, strings.TrimSuffix(dns.CanonicalName(rr.Ptr), "."))
		return true
	case *dns.TLSA:
		data, err := hex.DecodeString(rr.Certificate)
		if err != nil {
			return false
		}
		rec.tlsa = append(rec.tlsa, tlspolicy.TLSA{Usage: rr.Usage, Selector: rr.Selector, Matching: rr.MatchingType, Data: data})
		return true
	case *dns.A:
		return rec.addAddr(rr.A.To4())
	case *dns.AAAA:
		return rec.addAddr(rr.AAAA.To16())
	}
	return false
}

// left notes that there was no room for a record. A text without a version is not
// missed where there is one with it.
func (rec *records) left(rr dns.RR) {
	if _, ok := rr.(*dns.TXT); ok && rankOf(rr) > 0 && slices.ContainsFunc(rec.texts, isVersioned) {
		return
	}
	rec.cut = true
}

// addText takes a text in as DNS has it: miekg/dns writes some octets as \DDD.
func (rec *records) addText(text string) bool {
	sum := len(text)
	for _, t := range rec.texts {
		sum += len(t)
	}
	if sum > maxText {
		return false
	}
	rec.texts = append(rec.texts, unescape(text))
	return true
}

// octets is about what the records take in memory, with the headers of their texts.
func (rec *records) octets() int {
	n := 24*len(rec.addrs) + len(rec.why)
	for _, x := range rec.mx {
		n += 24 + len(x.name)
	}
	for _, t := range rec.tlsa {
		n += 32 + len(t.Data)
	}
	for _, t := range rec.texts {
		n += 16 + len(t)
	}
	for _, name := range rec.names {
		n += 16 + len(name)
	}
	return n
}

func (rec *records) len() int {
	return len(rec.mx) + len(rec.addrs) + len(rec.tlsa) + len(rec.texts) + len(rec.names)
}

func (rec *records) addAddr(octets []byte) bool {
	addr, ok := netip.AddrFromSlice(octets)
	if ok {
		rec.addrs = append(rec.addrs, addr)
	}
	return ok
}

func cname(m *dns.Msg, owner string) *dns.CNAME {
	for _, rr := range m.Answer {
		if c, ok := rr.(*dns.CNAME); ok && strings.EqualFold(c.Hdr.Name, owner) {
			return c
		}
	}
	return nil
}

// negativeTTL is how long a "no" holds (RFC 2308 section 5). Without the SOA record
// that tells, it is kept for the shortest time there is.
func negativeTTL(m *dns.Msg) (ttl time.Duration, soa bool) {
	for _, rr := range m.Ns {
		if s, ok := rr.(*dns.SOA); ok {
			return min(seconds(s.Hdr.Ttl), seconds(s.Minttl), maxNegative), true
		}
	}
	return minNegative, false
}

func seconds(ttl uint32) time.Duration { return time.Duration(ttl) * time.Second }
