package screen

import (
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postrider/codec/smtp"
	"postrider/engine/admit/policy"
	"postrider/engine/edge/dns"
	"postrider/engine/edge/dns/dnstest"
	"postrider/engine/edge/limit"
	"postrider/engine/mail/incoming"
)

// manyClients are 65,536 manyClients, a quarter of them IPv6.
func manyClients() []netip.Addr {
	all := make([]netip.Addr, 1<<16)
	for i := range all {
		all[i] = netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
		if i%4 == 0 {
			all[i] = netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 0, 0, byte(i >> 8), byte(i), 0, 0, 0, 0, 0, 0, 0, 1})
		}
	}
	return all
}

// widely is a Guard whose rates are never reached.
func widely() *Guard {
	rate := limit.Rate{Count: 1_000_000_000, Per: time.Hour}
	return NewGuard(Settings{
		ClientMessages: rate, NetworkMessages: rate, Questions: rate, RateEntries: 100_000,
	}, Vetter{Names: dns.New(dns.Options{})})
}

func TestAMessageOfAClientAllocatesNothing(t *testing.T) {
	g, all, i := widely(), manyClients(), 0
	for _, ip := range all {
		g.MayMail(ip)
	}
	if n := testing.AllocsPerRun(1000, func() {
		i++
		if g.MayMail(all[i%len(all)]) != nil {
			t.Error("a client is refused")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkMayMail(b *testing.B) {
	g, all := widely(), manyClients()
	for _, ip := range all {
		g.MayMail(ip)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		g.MayMail(all[i%len(all)])
	}
}

// begin starts a check without octets.
func begin(g *Guard, ip string) incoming.Check {
	return g.Begin(Envelope{IP: netip.MustParseAddr(ip), Helo: "x.test"})
}

// finish returns what a check finds.
func finish(c incoming.Check) (f incoming.Finding) {
	done := make(chan struct{})
	c.Finish(42, &f, func() { close(done) })
	<-done
	return f
}

// A client has 32 checks at once, and the check after them is Busy. All checks together are
// bounded as well. What has ended is forgotten.
func TestChecksAreCounted(t *testing.T) {
	g := NewGuard(Settings{Verify: true, Verifications: maxChecksOfClient + 1, RateEntries: 10}, *vetterOf(dnstest.Start(t)))
	client, neighbour, other := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2"), netip.MustParseAddr("192.0.2.1")
	var open []incoming.Check
	for range maxChecksOfClient {
		if !g.HasRoomForCheck(client, false) {
			t.Fatalf("no room after %d checks", len(open))
		}
		open = append(open, begin(g, client.String()))
	}
	if g.HasRoomForCheck(neighbour, false) || !g.HasRoomForCheck(other, false) || g.HasRoomForCheck(other, true) {
		t.Error("room for the client, or none for another one, or room without memory")
	}
	late := begin(g, neighbour.String())
	if g.Checks() != maxChecksOfClient+1 || g.HasRoomForCheck(other, false) {
		t.Errorf("%d checks after one that is too many", g.Checks())
	}
	if f := finish(late); f.Err != incoming.ErrNoRoom {
		t.Errorf("one check too many: %+v", f)
	}
	for _, c := range append(open, late) {
		c.Abort()
		c.Abort() // it counts once
	}
	if g.Checks() != 0 || len(g.open.of) != 0 || !g.HasRoomForCheck(client, false) {
		t.Errorf("%d checks are open, of %d clients", g.Checks(), len(g.open.of))
	}
	off := NewGuard(Settings{RateEntries: 10}, Vetter{})
	if f := finish(begin(off, "192.0.2.1")); f.Err != nil || f.Refusal != nil || len(f.Results) > 0 || off.Checks() != 0 || !off.HasRoomForCheck(other, true) {
		t.Errorf("a check where messages are not checked: %+v", f)
	}
}

func code(r *smtp.Reply) int {
	if r == nil {
		return 0
	}
	return r.Code
}

// Each rule refuses where it is on, and is counted in any case.
func TestWhatIsRefusedAndWhatIsCounted(t *testing.T) {
	rejected := &Verdict{DMARC: DMARCResult{Disposition: policy.Reject, From: "bank.example"}}
	many := &Verdict{DMARC: DMARCResult{Disposition: policy.Reject, TooManyAuthors: true}}
	list, err := policy.ParseBlocklist("list.example score=2")
	if err != nil {
		t.Fatal(err)
	}
	listed := &Client{On: []policy.Blocklist{list}}
	ip := netip.MustParseAddr("192.0.2.1")
	for _, strict := range []bool{false, true} {
		threshold := 3
		if strict {
			threshold = 2
		}
		g := NewGuard(Settings{RefuseEarly: strict, RefusePipelining: strict, RefuseDMARC: strict, BlockThreshold: threshold, Greylist: strict, GreylistDelay: time.Minute, GreylistEntries: 100, RateEntries: 10}, Vetter{})
		f := func(what string, r *smtp.Reply, want int) {
			t.Helper()
			if !strict {
				want = 0
			}
			if got := code(r); got != want {
				t.Errorf("strict %v, %s: %d, want %d", strict, what, got, want)
			}
		}
		f("early", g.Early(), 554)
		f("pipelining", g.Pipelined(true), 503)
		f("pipelining again", g.Pipelined(false), 503)
		f("DMARC", g.refuses(rejected), 550)
		f("many authors", g.refuses(many), 550)
		f("a good message", g.refuses(new(Verdict)), 0)
		f("a list", g.Blocked(ip, listed), 554)
		f("no list", g.Blocked(ip, new(Client)), 0)
		f("greylist", g.Greylisted(ip, "a@b.test", "c@d.test"), 450)
		st := &g.Stats
		if a, b, c, d := st.EarlyTalkers.Load(), st.Pipelining.Load(), st.Checked.Load(), st.DMARCFailed.Load(); a != 1 || b != 1 || c != 3 || d != 2 {
			t.Errorf("strict %v: %d early talkers, %d that pipeline, %d messages checked, %d failed", strict, a, b, c, d)
		}
		refused := st.EarlyRefused.Load() + st.PipeliningRefused.Load() + st.DMARCRefused.Load() + st.Listed.Load() + st.Greylisted.Load()
		if want := int64(7); strict && refused != want || !strict && refused != 0 {
			t.Errorf("strict %v: %d refusals are counted", strict, refused)
		}
	}
}

// Success is reported only where SPF passes for the reverse-path, so often in a time.
func TestNotificationsOfAClient(t *testing.T) {
	g := NewGuard(Settings{Notifications: limit.Rate{Count: 3, Per: time.Hour}, RateEntries: 10}, Vetter{})
	ip := netip.MustParseAddr("192.0.2.1")
	pass := &Verdict{SPF: SPFResult{Result: Pass}}
	for what, v := range map[string]*Verdict{
		"SPF fails": {SPF: SPFResult{Result: Fail}}, "SPF of HELO": {SPF: SPFResult{Result: Pass, Helo: true}},
	} {
		if g.mayNotify(ip, v) {
			t.Errorf("%s: success is reported", what)
		}
	}
	if g.Unverified().MayNotify() {
		t.Error("success is reported without a check")
	}
	for range 2 {
		if !g.mayNotify(ip, pass) {
			t.Fatal("refused below the limit")
		}
		g.notified(ip, 2)
	}
	if g.mayNotify(ip, pass) || !g.mayNotify(netip.MustParseAddr("192.0.2.2"), pass) {
		t.Error("after four notifications of three")
	}
	if sent, ignored := g.Stats.SuccessSent.Load(), g.Stats.SuccessIgnored.Load(); sent != 4 || ignored != 4 {
		t.Errorf("%d sent, %d ignored", sent, ignored)
	}
}

// Lookups are bounded, and a client beyond the bound is served without one.
func TestLookupsAreBounded(t *testing.T) {
	g := NewGuard(Settings{ReverseDNS: true, LookupTimeout: time.Minute, RateEntries: 10}, *vetterOf(dnstest.Start(t, "1.2.0.192.in-addr.arpa. 60 IN PTR mx.bank.example.", "mx.bank.example. 60 IN A 192.0.2.1")))
	for i := range maxLookups {
		if !g.MayLookUp() {
			t.Fatalf("no room after %d", i)
		}
	}
	if g.MayLookUp() || g.Stats.LookupsSkipped.Load() != 1 || g.Lookups() != maxLookups {
		t.Errorf("%d lookups, %d skipped", g.Lookups(), g.Stats.LookupsSkipped.Load())
	}
	if c := g.LookUp(netip.MustParseAddr("192.0.2.1")); c.Name != "mx.bank.example" || !g.MayLookUp() {
		t.Errorf("%+v", c)
	}
	if NewGuard(Settings{RateEntries: 10}, Vetter{}).MayLookUp() {
		t.Error("a lookup where there is nothing to look up")
	}
}

// The replies to rates name the limit.
func TestRatesNameTheLimit(t *testing.T) {
	g := NewGuard(Settings{
		Hostname: "mx.test", ClientConnections: limit.Rate{Count: 1, Per: time.Hour}, NetworkMessages: limit.Rate{Count: 1, Per: time.Minute},
		Questions: limit.Rate{Count: 2, Per: time.Hour}, RateEntries: 10,
	}, Vetter{})
	ip, neighbour := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	f := func(r *smtp.Reply, want string) {
		t.Helper()
		got := ""
		if r != nil {
			got = string(r.AppendTo(nil))
		}
		if !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	f(g.MayConnect(ip), "")
	f(g.MayConnect(ip), "421 4.7.0 mx.test Too many connections from your address, limit 1/1h0m0s; come back later")
	f(g.MayConnect(neighbour), "")
	f(g.MayMail(ip), "")
	f(g.MayMail(neighbour), "450 4.7.1 Too many messages from your network 192.0.2.0/24, limit 1/1m0s; come back later")
	g.asked(ip, 5)
	f(g.MayMail(ip), "450 4.7.1 Too many DNS questions because of mail from your address, limit 2/1h0m0s; come back later")
}

// What was seen of clients stays after a change of the settings: the greylist knows who was
// there, and a client that has used up its rate has no new one.
func TestGuard_Configure(t *testing.T) {
	ip := netip.MustParseAddr("192.0.2.1")
	set := Settings{
		ClientConnections: limit.Rate{Count: 2, Per: time.Hour}, RateEntries: 100,
		Greylist: true, GreylistDelay: time.Nanosecond, GreylistWindow: time.Hour, GreylistKeep: time.Hour, GreylistEntries: 100,
	}
	g := NewGuard(set, Vetter{})
	greylisted := func() bool { return g.Greylisted(ip, "a@b.test", "c@d.test") != nil }
	for _, want := range []bool{true, false} {
		if greylisted() != want {
			t.Fatal("the greylist")
		}
	}
	for _, refused := range []bool{false, false, true} {
		if (g.MayConnect(ip) != nil) != refused {
			t.Fatal("the rate")
		}
	}
	set.GreylistDelay, set.GreylistEntries, set.ClientConnections = time.Hour, 50, limit.Rate{Count: 3, Per: time.Hour}
	g.Configure(set)
	if greylisted() {
		t.Error("a known sender has to wait again")
	}
	for range 2 {
		if g.Greylisted(ip, "x@b.test", "c@d.test") == nil {
			t.Error("the new delay does not count")
		}
	}
	if g.MayConnect(ip) != nil {
		t.Error("one more is allowed now")
	}
	if r := g.MayConnect(ip); r == nil || !strings.Contains(r.Text, "limit 3/1h") {
		t.Errorf("a client has a new rate: %v", r)
	}
	set.Greylist = false
	if g.Configure(set); g.HasGreylist() || g.Greylisted(ip, "y@b.test", "c@d.test") != nil {
		t.Error("the greylist is still there")
	}
}

// While the settings change again and again, clients come: one that has used up its rate is
// refused at every moment, and one that passed the greylist never waits.
func TestGuard_ConfigureAmongClients(t *testing.T) {
	set := Settings{
		ClientConnections: limit.Rate{Count: 2, Per: 24 * time.Hour}, RateEntries: 10_000,
		Greylist: true, GreylistDelay: time.Nanosecond, GreylistWindow: time.Hour, GreylistKeep: time.Hour, GreylistEntries: 10_000,
	}
	g := NewGuard(set, Vetter{})
	client := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}) }
	const clients = 1000
	for i := range clients {
		for g.MayConnect(client(i)) == nil {
		}
		for g.Greylisted(client(i), "a@b.test", "c@d.test") != nil {
		}
	}
	var over atomic.Bool
	var all sync.WaitGroup
	for from := range 2 {
		all.Go(func() {
			for i := from; !over.Load(); i = (i + 3) % clients {
				if g.MayConnect(client(i)) == nil {
					t.Errorf("client %d has more than its rate", i)
				}
				if g.Greylisted(client(i), "a@b.test", "c@d.test") != nil {
					t.Errorf("client %d waits again", i)
				}
			}
		})
	}
	for round := range 60 {
		set.ClientConnections.Per = time.Duration(12+12*(round%2)) * time.Hour
		set.RateEntries, set.GreylistEntries = 10_000-1000*(round%3), 10_000-1000*(round%3)
		g.Configure(set)
	}
	over.Store(true)
	all.Wait()
}
