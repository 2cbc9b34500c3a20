package conn

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"
)

// booked is a connection that a test has opened.
type booked struct {
	ip netip.Addr
	at seat
}

// taker opens as many connections as Clients admits, from many clients.
func (c *Clients) take(at seat, most int, ip func(i int) netip.Addr) (all []booked) {
	for i := range most {
		if a := ip(i); c.admit(a, at) == admitted {
			all = append(all, booked{a, at})
		}
	}
	return all
}

func (c *Clients) leaveAll(all []booked) {
	for _, b := range all {
		c.leave(b.ip, b.at)
	}
}

// from is the ith address in so many networks. Each client is used ten times.
func from(networks int) func(i int) netip.Addr {
	return func(i int) netip.Addr {
		n, host := i%networks, i/networks/10
		return netip.AddrFrom4([4]byte{198, byte(18 + n>>8), byte(n), byte(host)})
	}
}

var everything = Offered{true, true, true, true}

// New limits count for the next connection; open connections are counted out as ever.
func TestClients_Configure(t *testing.T) {
	c := NewClients(100, 10, everything)
	ip, own := netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("10.1.2.3")
	open := c.take(seat{service: MailService}, 20, func(int) netip.Addr { return ip })
	if len(open) != 10 {
		t.Fatalf("%d connections of one client", len(open))
	}
	c.Configure(20, 5, Offered{MailService: true})
	if why := c.admit(ip, seat{}); why != TooManyOfClient {
		t.Errorf("over the new limit: %v", why)
	}
	ours := c.take(seat{own: true}, 20, func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 1, byte(i), 1}) })
	if len(ours) != 10 || c.admit(own, seat{own: true}) != TooManyInAll {
		t.Errorf("%d of ours beside 10, of 20", len(ours))
	}
	c.Configure(1000, 100, everything)
	if why := c.admit(ip, seat{}); why != admitted {
		t.Errorf("under the new limit: %v", why)
	}
	c.leave(ip, seat{})
	c.leaveAll(append(open, ours...))
	if all, strange := c.Open(); all != 0 || strange != 0 || len(c.by) != 0 || len(c.networks) != 0 {
		t.Errorf("%d, %d are still counted", all, strange)
	}
}

// Strangers at one service leave the other services their tenth, and our own networks theirs,
// with any number of connections and networks.
func TestStrangersLeaveRoom(t *testing.T) {
	own := netip.MustParseAddr("10.1.2.3")
	for attacked := range services {
		for _, networks := range []int{1, 2, 10, 100, 1000} {
			t.Run(fmt.Sprintf("%s from %d networks", serviceNames[attacked], networks), func(t *testing.T) {
				c := NewClients(1000, 1000, everything)
				all := c.take(seat{service: attacked}, 20_000, from(networks))
				if len(all) > 600 || networks == 1000 && len(all) != 600 {
					t.Errorf("strangers have %d", len(all))
				}
				// One network leaves half free, two a third, and so on.
				if free := 600 - len(all); free < 600/(networks+1)-1 {
					t.Errorf("%d are free", free)
				}
				newcomer := netip.MustParseAddr("203.0.113.1")
				if why := c.admit(newcomer, seat{service: attacked}); (why == admitted) != (len(all) < 600) {
					t.Errorf("a newcomer: %s", reasonWords[why])
				} else if why == admitted {
					all = append(all, booked{newcomer, seat{service: attacked}})
				}
				for s := range services {
					if s != attacked {
						got := c.take(seat{service: s}, 1000, func(i int) netip.Addr { return netip.AddrFrom4([4]byte{203, byte(i >> 8), byte(i), 1}) })
						if len(got) < 100 {
							t.Errorf("%s has %d", serviceNames[s], len(got))
						}
						c.leaveAll(got[100:])
						all = append(all, got[:100]...)
					}
				}
				ours := c.take(seat{service: attacked, own: true}, 1000, func(int) netip.Addr { return own })
				if len(ours) < 100 || c.total != 1000 {
					t.Errorf("our own networks have %d", len(ours))
				}
				if c.admit(own, seat{own: true}) != TooManyInAll {
					t.Error("more than limits.connections")
				}
				c.leaveAll(all)
				c.leaveAll(ours)
				wantEmpty(t, c)
			})
		}
	}
}

func wantEmpty(t *testing.T, c *Clients) {
	t.Helper()
	if c.total != 0 || c.strange != [services]int{} || len(c.by)+len(c.networks) != 0 {
		t.Errorf("still in the books: %d, %v, %v, %v", c.total, c.strange, c.by, c.networks)
	}
}

// Clients counts an IPv6 /48 as one network, whatever addresses in it are used.
func TestAnIPv6SiteIsOneNetwork(t *testing.T) {
	c := NewClients(1000, 100, Offered{true})
	all := c.take(seat{}, 5000, func(i int) netip.Addr {
		return netip.AddrFrom16([16]byte{0x20, 0x01, 0xd, 0xb8, 0, 1, byte(i >> 8), byte(i), 15: byte(i)})
	})
	if n := len(all); n < 400 || n > 460 {
		t.Errorf("one /48 has %d of 900", n)
	}
	c.leaveAll(all)
	wantEmpty(t, c)
}

// A client that has logged in does not count for its network. A connection with XCLIENT
// counts for the client that it names.
func TestLoginsAndNamedClients(t *testing.T) {
	c := NewClients(1000, 1000, Offered{POP3Service: true})
	site := netip.MustParseAddr("192.0.2.7")
	at := seat{service: POP3Service}
	n := 0
	for ; c.admit(site, at) == admitted; n++ {
		in := at
		c.login(site, &in)
		if !in.loggedIn {
			t.Fatal("not logged in")
		}
	}
	if n != 900 {
		t.Errorf("one site has %d logins of 900", n)
	}
	for range n {
		c.leave(site, seat{service: POP3Service, loggedIn: true})
	}
	wantEmpty(t, c)

	c = NewClients(100, 10, Offered{true})
	proxy, strange := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("192.0.2.1")
	var moved []seat
	for {
		s := seat{own: true}
		if c.admit(proxy, s) != admitted {
			t.Fatal("the proxy is refused")
		}
		if !c.move(proxy, &s, strange, false) {
			if s != (seat{own: true}) {
				t.Errorf("a move that failed left %+v", s)
			}
			c.leave(proxy, s)
			break
		}
		moved = append(moved, s)
	}
	if len(moved) != 10 {
		t.Errorf("the named client has %d of 10", len(moved))
	}
	for i := range moved {
		if i%2 == 0 && !c.move(strange, &moved[i], proxy, true) {
			t.Error("back to a network of our own")
		}
	}
	for i, s := range moved {
		c.leave([]netip.Addr{proxy, strange}[i%2], s)
	}
	wantEmpty(t, c)
}

// Strangers get connections also under the smallest limits.
func TestLimitsOfFewConnections(t *testing.T) {
	for most := 1; most < 30; most++ {
		c := NewClients(most, most, everything)
		all := c.take(seat{service: MailService}, 100, func(i int) netip.Addr { return netip.AddrFrom4([4]byte{203, 0, byte(i), 1}) })
		if len(all) < (most+1)/2 {
			t.Errorf("of %d connections strangers have %d", most, len(all))
		}
		c.leaveAll(all)
		wantEmpty(t, c)
	}
}

// All counts are right after any order of admit, move, login and leave.
func TestTheBooksOfConnectionsBalance(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	c := NewClients(200, 30, Offered{true, true, true})
	var open []booked
	for range 50_000 {
		ip := netip.AddrFrom4([4]byte{203, 0, byte(random.IntN(8)), byte(random.IntN(3))})
		switch i := random.IntN(max(len(open), 1)); {
		case random.IntN(2) == 0:
			b := booked{ip, seat{service: Service(random.IntN(int(services))), own: random.IntN(4) == 0}}
			if c.admit(b.ip, b.at) == admitted {
				open = append(open, b)
			}
		case len(open) == 0:
		case random.IntN(3) == 0:
			c.login(open[i].ip, &open[i].at)
		case random.IntN(3) == 0:
			if c.move(open[i].ip, &open[i].at, ip, random.IntN(2) == 0) {
				open[i].ip = ip
			}
		default:
			c.leave(open[i].ip, open[i].at)
			open = append(open[:i], open[i+1:]...)
		}
		if c.total != len(open) || c.total > 200 {
			t.Fatalf("%d connections, %d counted", len(open), c.total)
		}
	}
	c.leaveAll(open)
	wantEmpty(t, c)
}

// Log lines about refused connections come once in ten seconds. The next line has how many
// were left out.
func TestRefusalsAreToldNowAndThen(t *testing.T) {
	c := NewClients(1, 1, Offered{})
	now := time.Unix(1_800_000_000, 0)
	for i, want := range []struct {
		after     time.Duration
		notLogged int
		logged    bool
	}{{0, 0, true}, {0, 0, false}, {refusalsEvery - 1, 0, false}, {1, 2, true}, {refusalsEvery, 0, true}} {
		now = now.Add(want.after)
		if notLogged, logged := c.mayLog(now); logged != want.logged || notLogged != want.notLogged {
			t.Errorf("%d: %d left out, logged %v; want %+v", i, notLogged, logged, want)
		}
	}
}
