package mx

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"
)

func TestListeners(t *testing.T) {
	now := time.Unix(1e9, 0)
	var fault error
	machine := []net.Addr{
		&net.IPNet{IP: net.IPv4(192, 0, 2, 1), Mask: net.CIDRMask(24, 32)},
		&net.IPNet{IP: net.ParseIP("2001:db8::1"), Mask: net.CIDRMask(64, 128)},
	}
	interfaces := func() ([]net.Addr, error) { return machine, fault }
	own := func(listener string) func(string) bool {
		is := Listeners([]netip.AddrPort{netip.MustParseAddrPort("192.0.2.200:2525"), netip.MustParseAddrPort(listener)},
			interfaces, func() time.Time { return now })
		return func(a string) bool { return is(netip.MustParseAddrPort(a)) }
	}
	f := func(listener, addr string, want bool) {
		t.Helper()
		if got := own(listener)(addr); got != want {
			t.Errorf("a listener at %s has %s: %v", listener, addr, got)
		}
	}
	f("192.0.2.1:25", "192.0.2.1:25", true)
	f("192.0.2.1:25", "192.0.2.1:26", false)
	f("192.0.2.1:25", "127.0.0.1:25", false)
	f("192.0.2.1:25", "192.0.2.200:2525", true)
	f("0.0.0.0:25", "192.0.2.1:25", true)
	f("0.0.0.0:25", "127.9.9.9:25", true)
	f("0.0.0.0:25", "192.0.2.2:25", false)
	f("0.0.0.0:25", "192.0.2.1:26", false)
	f("0.0.0.0:25", "[2001:db8::1]:25", false)
	f("[::]:25", "[2001:db8::1]:25", true)
	f("[::]:25", "[::1]:25", true)
	f("[::]:25", "192.0.2.1:25", true)

	// A new address is known within a minute. The known addresses stay while the system
	// call fails.
	is := own("0.0.0.0:25")
	if is("192.0.2.9:25") {
		t.Error("192.0.2.9 is not there yet")
	}
	machine = []net.Addr{&net.IPNet{IP: net.IPv4(192, 0, 2, 9), Mask: net.CIDRMask(24, 32)}}
	now = now.Add(interfacesAge)
	if !is("192.0.2.9:25") || is("192.0.2.1:25") {
		t.Error("the interfaces are not read again")
	}
	fault = errors.New("no netlink")
	now = now.Add(interfacesAge)
	if !is("192.0.2.9:25") {
		t.Error("forgotten when the system didn't say")
	}
	if _, err := net.InterfaceAddrs(); err != nil {
		t.Errorf("the system's own list: %v", err)
	}
}
