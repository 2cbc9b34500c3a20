package mx

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	miekg "github.com/miekg/dns"

	"postrider/engine/edge/dns/dnstest"
	"postrider/engine/mail/router"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// nowhere are addresses to which no domain may lead.
var nowhere = []string{
	"0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.0.0.5", "127.255.255.255",
	"169.254.0.1", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.168.0.1", "198.18.0.1", "198.19.255.255", "240.0.0.1",
	"::1", "::7f00:1", "::a00:1", "fc00::1", "fd12:3456::1", "fec0::1", "64:ff9b:1::808:808", "100::1",
	"64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b::c0a8:1", "2002:7f00:1::1", "2002:a00:1::", "2002:c0a8:101:1::25",
	"::ffff:0:7f00:1", "::ffff:0:ac10:1", "2001:0:808:808::80ff:fffe", "2001::3f57:fefe",
}

// somewhere are their public neighbours.
var somewhere = []string{
	"1.0.0.1", "9.255.255.255", "11.0.0.1", "100.63.255.255", "100.128.0.1", "126.255.255.255", "128.0.0.1", "169.253.255.255", "169.255.0.1",
	"172.15.255.255", "172.32.0.1", "192.0.1.1", "192.0.2.1", "192.167.255.255", "192.169.0.1", "198.17.255.255", "198.20.0.1", "223.255.255.255",
	"::808:808", "2001:db8::1", "2a00::1", "fbff::1", "64:ff9b::808:808", "64:ff9c::7f00:1", "2002:808:808::1", "2003:7f00:1::1",
	"::ffff:0:808:808", "2001:0:7f00:1::f7f7:f7f7",
}

// record is an address record for a name.
func record(name, addr string) string {
	if strings.Contains(addr, ":") {
		return name + ". 300 IN AAAA " + addr
	}
	return name + ". 300 IN A " + addr
}

func TestDomainsLeadToPublicAddressesOnly(t *testing.T) {
	b := start(t, nil, "example.org. 300 IN MX 10 mx.example.org.")
	for _, addr := range nowhere {
		if err := b.dns.Set("mx.example.org", record("mx.example.org", addr)); err != nil {
			t.Fatal(err)
		}
		b.now = b.now.Add(time.Hour) // nothing comes from the cache
		shown := netip.MustParseAddr(addr).String()
		b.want("example.org", "5.4.4 mail for example.org is not sent to mx.example.org["+shown+"]: this address is private or local, and not in relay.private_networks")
		b.wantCause("example.org", ErrPrivate)
	}
	for _, addr := range somewhere {
		if err := b.dns.Set("mx.example.org", record("mx.example.org", addr)); err != nil {
			t.Fatal(err)
		}
		b.now = b.now.Add(time.Hour) // nothing comes from the cache
		b.want("example.org", "10 mx.example.org "+netip.AddrPortFrom(netip.MustParseAddr(addr), 25).String())
	}
}

// A domain may lead to an address by MX, CNAME, its own address or an address literal: the
// same rules hold for all of them.
func TestWaysToPrivateAddresses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(file, []byte("127.0.0.1 localhost\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	records := []string{
		"plain.example. 300 IN A 127.0.0.5",
		"mixed.example. 300 IN MX 10 in.example.", "mixed.example. 300 IN MX 20 out.example.",
		"both.example. 300 IN MX 10 both.example.", "both.example. 300 IN A 192.0.2.7", "both.example. 300 IN A 10.0.0.7",
		"alias.example. 300 IN MX 10 cname.example.", "cname.example. 300 IN CNAME in.example.",
		"in.example. 300 IN A 10.1.2.3", "in.example. 300 IN AAAA fd00::1", "out.example. 300 IN A 192.0.2.9",
		"us.example. 300 IN MX 10 here.example.", "here.example. 300 IN A 127.0.0.1",
		"half.example. 300 IN MX 10 gone.invalid.", "half.example. 300 IN MX 20 in.example.",
	}
	ours := netip.MustParseAddrPort("127.0.0.1:25")
	own := func(a netip.AddrPort) bool { return a == ours }
	rules, err := router.NewTransports("smart.example", []string{"in.test=[in.example]", "by.test=mx", "loop.test=[127.0.0.5]:2525"}, []string{"@a.test=alias.example"})
	if err != nil {
		t.Fatal(err)
	}
	b := start(t, func(o *settings) { o.HostsFile, o.Own, o.Named = file, own, rules.Names }, records...)
	const why = "]: this address is private or local, and not in relay.private_networks"
	b.want("plain.example", "5.4.4 mail for plain.example is not sent to plain.example[127.0.0.5"+why)
	b.want("mixed.example", "20 out.example 192.0.2.9:25")
	b.want("both.example", "10 both.example 192.0.2.7:25")
	b.want("half.example", "5.4.4 mail for half.example is not sent to in.example[10.1.2.3"+why)
	b.want("localhost:2525", "5.4.4 mail for localhost is not sent to localhost[127.0.0.1"+why)
	b.want("us.example", "5.4.6 mail for us.example loops back to myself")
	// Address literals of recipients, and names that packages ask for.
	b.want("[127.0.0.6]", "5.4.4 mail for 127.0.0.6 is not sent to 127.0.0.6[127.0.0.6"+why)
	b.want("[::ffff:10.0.0.1]", "5.4.4 mail for ::ffff:10.0.0.1 is not sent to ::ffff:10.0.0.1[10.0.0.1"+why)
	b.want("[plain.example]:443", "5.4.4 mail for plain.example is not sent to plain.example[127.0.0.5"+why)
	// A next hop that the operator named.
	b.want("[in.example]", "0 in.example [fd00::1]:25", "0 in.example 10.1.2.3:25")
	b.want("alias.example", "10 cname.example [fd00::1]:25", "10 cname.example 10.1.2.3:25")
	b.want("[127.0.0.5]:2525", "0 127.0.0.5 127.0.0.5:2525")

	// A network that the operator permits.
	b = start(t, func(o *settings) {
		o.Named = func(router.Hop) bool { return false }
		o.Private = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::/0")}
	}, append(records, "six.example. 300 IN AAAA 64:ff9b::a00:1", "zero.example. 300 IN AAAA ::", "link.example. 300 IN AAAA fe80::1", "mapped.example. 300 IN AAAA ::ffff:10.0.0.1")...)
	b.want("alias.example", "10 cname.example [fd00::1]:25", "10 cname.example 10.1.2.3:25")
	b.want("six.example", "0 six.example [64:ff9b::a00:1]:25")
	b.want("plain.example", "5.4.4 mail for plain.example is not sent to plain.example[127.0.0.5"+why)
	b.want("link.example", "5.4.4 "+serviceError+"link.example type=A: Host found but no data record of requested type")
	b.want("zero.example", "5.4.4 "+serviceError+"zero.example type=A: Host found but no data record of requested type")
	b.want("mapped.example", "5.4.4 "+serviceError+"mapped.example type=A: Host found but no data record of requested type")
}

// Mail waits while a lookup fails that might find another address.
func TestPrivateAddressWhileTheOtherFamilyFails(t *testing.T) {
	b := start(t, nil, "example.org. 300 IN MX 10 mx.example.org.", "mx.example.org. 300 IN A 127.0.0.5",
		"example.org. 300 IN MX 20 servfail.example.")
	b.dns.Behave("servfail.example", miekg.TypeANY, dnstest.Behaviour{Rcode: miekg.RcodeServerFailure})
	b.want("example.org", "4.4.3 "+serviceError+"servfail.example type=A: Host not found, try again")
}
