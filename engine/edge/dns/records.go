package dns

import (
	"cmp"
	"encoding/hex"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	miekg "github.com/miekg/dns"
)

// Outcome is the outcome of a question.
type Outcome uint8

// The outcomes of a question.
const (
	Found  Outcome = iota
	NoData         // the name exists without records of this type
	NoName         // NXDOMAIN
	Failed         // no name server answered
)

// Records is the answer to one question. It is shared, and never changes.
type Records struct {
	Outcome Outcome
	MX      []Exchange
	Addrs   []netip.Addr
	TLSA    []TLSA
	Texts   []string // TXT, with each record's strings joined
	Names   []string // PTR, written as in Exchange
	Secure  bool     // a trusted name server has validated the answer
	Why     string   // the reason for Failed
	Cut     bool     // records were left out, and one of them may be the one that counts
}

// Exchange is one MX record.
type Exchange struct {
	Name       string // lower case, without the final dot; "" is the null MX
	Preference uint16
}

// TLSA is a record that names a certificate (RFC 6698).
type TLSA struct {
	Usage    uint8
	Selector uint8 // 0: the certificate, 1: its public key
	Matching uint8 // 0: the whole, 1: SHA-256, 2: SHA-512
	Data     []byte
}

// The types of records for Ask. Other types have a function of their own.
const (
	TypeA    = miekg.TypeA
	TypeAAAA = miekg.TypeAAAA
	TypeMX   = miekg.TypeMX
)

// TypeName is the name of a type in zone files, such as "MX".
func TypeName(qtype uint16) string { return miekg.TypeToString[qtype] }

// The bounds for the time that answers are kept (negative answers: RFC 2308 sections 5 and
// 7).
const (
	minTTL, maxTTL           = time.Second, time.Hour
	minNegative, maxNegative = 5 * time.Second, 900 * time.Second
	failureTTL               = 10 * time.Second
)

// maxRecords bounds the records that one answer keeps: the best MX records, and first the
// texts that begin with "v=".
const maxRecords = 100

// maxText bounds the octets in one answer's TXT records.
const maxText = 16 << 10

// maxAliases bounds a chain of CNAMEs.
const maxAliases = 8

// read takes the records of type qtype out of an answer about name, through its CNAMEs. If
// the answer ends with a CNAME, next is the name to ask for.
func read(m *miekg.Msg, name string, qtype uint16) (rec *Records, ttl time.Duration, next string) {
	rec, ttl = &Records{Secure: m.AuthenticatedData}, maxTTL
	owner := name
	for range maxAliases {
		alias := cname(m, owner)
		if alias == nil || qtype == miekg.TypeCNAME {
			break
		}
		ttl = min(ttl, seconds(alias.Hdr.Ttl))
		owner = miekg.CanonicalName(alias.Target)
	}
	for _, rr := range bestFirst(m.Answer, owner, qtype) {
		if rec.add(rr) {
			ttl = min(ttl, seconds(rr.Header().Ttl))
		}
	}
	if rec.Cut && qtype == miekg.TypeTXT {
		return &Records{Outcome: Failed, Why: "too many TXT records"}, failureTTL, ""
	}
	if rec.len() > 0 {
		return rec, max(ttl, minTTL), ""
	}
	negative, soa := negativeTTL(m)
	rec.Outcome = NoData
	switch {
	case m.Rcode == miekg.RcodeNameError:
		rec.Outcome = NoName
	case owner != name && !soa:
		return rec, ttl, owner
	}
	return rec, max(min(ttl, negative), minNegative), ""
}

// bestFirst returns an owner's records of one type. If there are too many, the first ones
// are kept.
func bestFirst(answer []miekg.RR, owner string, qtype uint16) []miekg.RR {
	var all []miekg.RR
	for _, rr := range answer {
		if h := rr.Header(); h.Rrtype == qtype && strings.EqualFold(h.Name, owner) {
			all = append(all, rr)
		}
	}
	switch qtype {
	case miekg.TypeMX:
		slices.SortStableFunc(all, func(a, b miekg.RR) int { return cmp.Compare(preferenceOf(a), preferenceOf(b)) })
	case miekg.TypeTXT:
		slices.SortStableFunc(all, func(a, b miekg.RR) int { return cmp.Compare(rankOf(a), rankOf(b)) })
	}
	return all
}

func preferenceOf(rr miekg.RR) uint16 {
	if mx, ok := rr.(*miekg.MX); ok {
		return mx.Preference
	}
	return math.MaxUint16
}

// rankOf puts the texts that programs read (SPF, DMARC, DKIM) before texts such as
// "google-site-verification=...".
func rankOf(rr miekg.RR) int {
	if txt, ok := rr.(*miekg.TXT); ok && len(txt.Txt) > 0 && isVersioned(txt.Txt[0]) {
		return 0
	}
	return 1
}

func isVersioned(text string) bool { return len(text) >= 2 && strings.EqualFold(text[:2], "v=") }

// add adds one record, if there is room.
func (rec *Records) add(rr miekg.RR) bool {
	if rec.len() >= maxRecords {
		rec.left(rr)
		return false
	}
	switch rr := rr.(type) {
	case *miekg.MX:
		rec.MX = append(rec.MX, Exchange{strings.TrimSuffix(miekg.CanonicalName(rr.Mx), "."), rr.Preference})
		return true
	case *miekg.TXT:
		if !rec.addText(strings.Join(rr.Txt, "")) {
			rec.left(rr)
			return false
		}
		return true
	case *miekg.PTR:
		rec.Names = append(rec.Names, strings.TrimSuffix(miekg.CanonicalName(rr.Ptr), "."))
		return true
	case *miekg.TLSA:
		data, err := hex.DecodeString(rr.Certificate)
		if err != nil {
			return false
		}
		rec.TLSA = append(rec.TLSA, TLSA{Usage: rr.Usage, Selector: rr.Selector, Matching: rr.MatchingType, Data: data})
		return true
	case *miekg.A:
		return rec.addAddr(rr.A.To4())
	case *miekg.AAAA:
		return rec.addAddr(rr.AAAA.To16())
	}
	return false
}

// left notes that a record was left out. A text without "v=" does not count where there is
// one with it.
func (rec *Records) left(rr miekg.RR) {
	if _, ok := rr.(*miekg.TXT); ok && rankOf(rr) > 0 && slices.ContainsFunc(rec.Texts, isVersioned) {
		return
	}
	rec.Cut = true
}

// addText adds a text as it is in DNS: miekg/dns writes some octets as \DDD.
func (rec *Records) addText(text string) bool {
	sum := len(text)
	for _, t := range rec.Texts {
		sum += len(t)
	}
	if sum > maxText {
		return false
	}
	rec.Texts = append(rec.Texts, unescape(text))
	return true
}

// octets is about how much memory the records take, with the headers of Go's strings.
func (rec *Records) octets() int {
	n := 24*len(rec.Addrs) + len(rec.Why)
	for _, x := range rec.MX {
		n += 24 + len(x.Name)
	}
	for _, t := range rec.TLSA {
		n += 32 + len(t.Data)
	}
	for _, t := range rec.Texts {
		n += 16 + len(t)
	}
	for _, name := range rec.Names {
		n += 16 + len(name)
	}
	return n
}

func (rec *Records) len() int {
	return len(rec.MX) + len(rec.Addrs) + len(rec.TLSA) + len(rec.Texts) + len(rec.Names)
}

func (rec *Records) addAddr(octets []byte) bool {
	addr, ok := netip.AddrFromSlice(octets)
	if ok {
		rec.Addrs = append(rec.Addrs, addr)
	}
	return ok
}

func cname(m *miekg.Msg, owner string) *miekg.CNAME {
	for _, rr := range m.Answer {
		if c, ok := rr.(*miekg.CNAME); ok && strings.EqualFold(c.Hdr.Name, owner) {
			return c
		}
	}
	return nil
}

// negativeTTL is how long a negative answer is kept (RFC 2308 section 5): minNegative
// without an SOA record.
func negativeTTL(m *miekg.Msg) (ttl time.Duration, soa bool) {
	for _, rr := range m.Ns {
		if s, ok := rr.(*miekg.SOA); ok {
			return min(seconds(s.Hdr.Ttl), seconds(s.Minttl), maxNegative), true
		}
	}
	return minNegative, false
}

func seconds(ttl uint32) time.Duration { return time.Duration(ttl) * time.Second }
