package dns

import (
	"context"
	"net"
	"net/netip"
	"strings"

	miekg "github.com/miekg/dns"
)

// The lookups below have the form of [net.Resolver], for the libraries that check SPF, DKIM
// and DMARC. The error is always a *[net.DNSError]: IsNotFound for a name or type that is not
// there, IsTemporary when no name server answered.

// LookupTXT returns a name's TXT records. If there are too many, it keeps the texts that
// begin with "v=". If even they are too many, the error is temporary: a record that counts
// may be missing.
func (r *Resolver) LookupTXT(ctx context.Context, name string) ([]string, error) {
	rec, err := r.find(ctx, name, miekg.TypeTXT)
	if err != nil {
		return nil, err
	}
	return rec.Texts, nil
}

// LookupMX returns a domain's MX records. The null MX is "".
func (r *Resolver) LookupMX(ctx context.Context, domain string) ([]*net.MX, error) {
	rec, err := r.find(ctx, domain, miekg.TypeMX)
	if err != nil {
		return nil, err
	}
	all := make([]*net.MX, 0, len(rec.MX))
	for _, x := range rec.MX {
		all = append(all, &net.MX{Host: x.Name, Pref: x.Preference})
	}
	return all, nil
}

// LookupAddrs returns a host's IPv6 addresses if six is true, or its IPv4 addresses.
func (r *Resolver) LookupAddrs(ctx context.Context, host string, six bool) ([]netip.Addr, error) {
	qtype := miekg.TypeA
	if six {
		qtype = miekg.TypeAAAA
	}
	rec, err := r.find(ctx, host, qtype)
	if err != nil {
		return nil, err
	}
	return rec.Addrs, nil
}

// LookupIPAddr returns a host's IPv4 and IPv6 addresses.
func (r *Resolver) LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error) {
	four, err := r.LookupAddrs(ctx, host, false)
	six, err6 := r.LookupAddrs(ctx, host, true)
	if len(four)+len(six) == 0 {
		if !isNotFound(err6) {
			return nil, err6
		}
		return nil, err
	}
	var all []net.IPAddr
	for _, a := range append(four[:len(four):len(four)], six...) {
		all = append(all, net.IPAddr{IP: a.AsSlice()})
	}
	return all, nil
}

// LookupAddr returns an address's names by reverse DNS, with the final dot. The names are
// not verified.
func (r *Resolver) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	name, err := miekg.ReverseAddr(addr)
	if err != nil {
		return nil, &net.DNSError{Err: err.Error(), Name: addr, IsNotFound: true}
	}
	rec, err := r.find(ctx, name, miekg.TypePTR)
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(rec.Names))
	for _, n := range rec.Names {
		names = append(names, n+".")
	}
	return names, nil
}

// find asks one question and makes a net.DNSError if there is no record.
func (r *Resolver) find(ctx context.Context, name string, qtype uint16) (*Records, error) {
	q, ok := FQDN(strings.TrimSuffix(name, "."))
	if !ok {
		q, ok = looseQuestion(name)
	}
	if !ok {
		return nil, &net.DNSError{Err: "not a name of DNS", Name: name, IsNotFound: true}
	}
	switch rec := r.lookup(ctx, question{q, qtype}); rec.Outcome {
	case Found:
		return rec, nil
	case Failed:
		return nil, &net.DNSError{Err: rec.Why, Name: name, IsTemporary: true, IsTimeout: ctx.Err() != nil}
	}
	return nil, &net.DNSError{Err: "no such record", Name: name, IsNotFound: true}
}

// looseQuestion writes a name that is valid in DNS and not for hosts. SPF macros make such
// names.
func looseQuestion(name string) (string, bool) {
	var b strings.Builder
	for _, c := range []byte(name) {
		if c < ' ' || c > '~' {
			return "", false
		}
		if strings.IndexByte(` "();@$\`, c) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(c)
	}
	q := miekg.CanonicalName(b.String())
	_, ok := miekg.IsDomainName(q)
	return q, ok && name != "" && name != "."
}

func isNotFound(err error) bool {
	e, ok := err.(*net.DNSError)
	return ok && e.IsNotFound
}

// unescape turns \DDD and \X, as miekg/dns writes them, back into octets.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] != '\\' || i+1 == len(s):
			b = append(b, s[i])
		case i+3 < len(s) && isDigit(s[i+1]) && isDigit(s[i+2]) && isDigit(s[i+3]):
			b = append(b, (s[i+1]-'0')*100+(s[i+2]-'0')*10+s[i+3]-'0')
			i += 3
		default:
			b = append(b, s[i+1])
			i++
		}
	}
	return string(b)
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
