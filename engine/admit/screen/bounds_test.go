package screen

import (
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"postrider/codec/dot"
	"postrider/engine/admit/policy"
	"postrider/engine/edge/dns/dnstest"
)

// memory is a Memory of so many octets.
type memory struct {
	mu         sync.Mutex
	left, high int64
	used       int64
}

func (m *memory) Reserve(n int64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n > m.left {
		return false
	}
	m.left -= n
	m.used += n
	m.high = max(m.high, m.used)
	return true
}

func (m *memory) Release(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.left += n
	m.used -= n
}

// A check is booked as small or as large, by what it has; where there is no room it is not
// made, and its Verdict is Busy. What was booked is given back.
func TestMemoryIsBooked(t *testing.T) {
	server := dnstest.Start(t)
	f := func(room int64, head, body int, busy bool, want int64) {
		t.Helper()
		m := &memory{left: room}
		v := vetterOf(server)
		v.Memory = m
		text := "From: a@nothing.test\r\nX: " + strings.Repeat("x", head) + "\r\n\r\n" + strings.Repeat("y\r\n", body/3)
		got := check(t, v, Envelope{IP: netip.MustParseAddr("192.0.2.1"), Helo: "x.test"}, text, hang)
		if got.Busy != busy || m.high != want || m.used != 0 {
			t.Errorf("room %d, header of %d octets: busy %v, %d octets booked at most, %d at the end", room, head, got.Busy, m.high, m.used)
		}
	}
	f(1<<20, 100, 0, false, SmallCheck)
	f(1<<20, smallHead/2, 3000, false, SmallCheck)
	f(1<<20, smallHead+1, 100, false, LargeCheck)
	f(1<<20, 3*maxHead, 100, false, LargeCheck)
	f(SmallCheck, 100, 0, false, SmallCheck)
	f(LargeCheck, smallHead+1, 100, false, LargeCheck)
	f(SmallCheck-1, 100, 100, true, 0)
	f(LargeCheck-1, smallHead+1, 100, true, SmallCheck)
	f(0, 3*maxHead, 1<<20, true, 0)
}

// Checks that wait for silent name servers take no more memory than is booked for them.
func TestMemoryIsWhatIsBooked(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector, which runs the short tests, takes memory of its own")
	}
	server := dnstest.Start(t)
	names := []string{"slow.test", "_dmarc.slow.test"}
	sigs := ""
	for i := range maxSignatures {
		names = append(names, fmt.Sprintf("d%d._domainkey.slow.test", i))
		sigs += fmt.Sprintf("DKIM-Signature: v=1; a=rsa-sha256; d=slow.test; s=d%d; h=from%s; bh=AAAA; b=AAAA\r\n", i, strings.Repeat(":x", 100))
	}
	for _, name := range names {
		server.Behave(name, dns.TypeANY, dnstest.Behaviour{Silent: true})
	}
	const checks = 100
	two := sigs[:2*len(sigs)/maxSignatures]
	f := func(booked int64, sigs string, head int) {
		v := vetterOf(server)
		m := &memory{left: 1 << 40}
		v.Memory = m
		text := sigs + "From: a@slow.test\r\n" + strings.Repeat("x: a field\r\n", (head-len(sigs))/12) + "\r\n" + strings.Repeat("line\r\n", 1000)
		heap := func() int64 {
			runtime.GC()
			var s runtime.MemStats
			runtime.ReadMemStats(&s)
			return int64(s.HeapAlloc + s.StackInuse)
		}
		before := heap()
		all := make([]*Check, checks)
		for i := range all {
			all[i] = v.Begin(Envelope{IP: netip.MustParseAddr("192.0.2.1"), Helo: "x", Sender: "a@slow.test"})
			all[i].Write([]byte(text))
		}
		for _, c := range all {
			for i := 0; ; i++ {
				c.stream.mu.Lock()
				left := len(c.stream.buf) - c.stream.read
				c.stream.mu.Unlock()
				if left == 0 || i > 3000 {
					break
				}
				time.Sleep(10 * time.Millisecond)
			}
		}
		each := (heap() - before) / checks
		t.Logf("a header of %d octets: %d octets each, booked %d", head, each, m.used/checks)
		if each > booked || m.used < checks*booked {
			t.Errorf("a header of %d octets: %d octets each, booked %d", head, each, m.used/checks)
		}
		for _, c := range all {
			c.Abort()
			<-c.done
		}
		if m.used != 0 {
			t.Errorf("%d octets are booked after all", m.used)
		}
	}
	f(SmallCheck, two, smallHead-2000)
	f(LargeCheck, sigs, smallHead-2000)
	f(LargeCheck, sigs, maxHead-3000)
}

// When its time is over, a check reads on and hashes no more.
func TestTimeEndsWork(t *testing.T) {
	key := newSigner(t, "s._domainkey.example.com.", true)
	v := vetterOf(dnstest.Start(t, key.record))
	text := dot.AppendStuffed(nil, []byte(key.sign(t, "example.com", letter+strings.Repeat("x\r\n", 1<<12))))
	c := v.Begin(Envelope{IP: netip.MustParseAddr("192.0.2.1"), Sender: "a@example.com"})
	c.Write(text[:2000])
	c.cancel()
	c.Write(text[2000:])
	done := make(chan struct{})
	c.Finish(hang, func() { close(done) })
	<-done
	// The question of SPF may have been answered before the end.
	if got := c.Verdict(); got.Signed() != "temperror" || got.SPF.Result != TempError && got.SPF.Result != None {
		t.Errorf("%+v", got)
	}
}

// Records of SPF that lead to ever more questions end in a permerror; the policy of the
// author is asked for all the same. What twice as many terms cost is bounded.
func TestSPFIncludes_Growth(t *testing.T) {
	ip := netip.MustParseAddr("192.0.2.9")
	var before int
	for _, n := range []int{2, 4, 8} {
		records := []string{`_dmarc.bank.test. 60 IN TXT "v=DMARC1; p=reject"`}
		var mx []string
		for i := range n {
			mx = append(mx, fmt.Sprintf("mx:m%d.evil.test", i))
			for j := range 10 {
				records = append(records, fmt.Sprintf("m%d.evil.test. 60 IN MX 1 h%d-%d.evil.test.", i, i, j), fmt.Sprintf("h%d-%d.evil.test. 60 IN A 198.51.100.1", i, j))
			}
		}
		records = append(records, `evil.test. 60 IN TXT "v=spf1 `+strings.Join(mx, " ")+` -all"`)
		for i := range 40 {
			records = append(records, fmt.Sprintf(`i%d.loop.test. 60 IN TXT "v=spf1 include:i%d.loop.test include:i%d.loop.test -all"`, i, i+1, i/2))
		}
		v := vetterOf(dnstest.Start(t, records...))
		for _, sender := range []string{"a@evil.test", "a@i0.loop.test"} {
			c := v.Begin(Envelope{IP: ip, Helo: "x", Sender: sender})
			c.Write([]byte("From: boss@bank.test\r\n\r\nx\r\n"))
			done := make(chan struct{})
			c.Finish(hang, func() { close(done) })
			<-done
			got := c.Verdict()
			if got.DMARC.Disposition != policy.Reject || c.ofSPF.Asked() > maxSPF {
				t.Errorf("%s with %d terms: %+v, %d questions", sender, n, got, c.Questions())
			}
			if sender == "a@evil.test" {
				if before > 0 && c.Questions() > 2*before+10 {
					t.Errorf("%d terms: %d questions, half as many %d", n, c.Questions(), before)
				}
				if before = c.Questions(); n == 8 && got.SPF.Result != PermError {
					t.Errorf("%d questions, spf=%s", before, got.SPF.Result)
				}
			}
		}
	}
}

// The authors of a long list are looked at until they are too many.
func TestFromList_Growth(t *testing.T) {
	for _, n := range []int{1000, 2000, 4000} {
		for what, sep := range map[string]string{"one field": ",\r\n ", "many fields": "\r\nFrom: "} {
			var list strings.Builder
			for i := range n {
				if i > 0 {
					list.WriteString(sep)
				}
				fmt.Fprintf(&list, "a@d%d.test", i)
			}
			head := []byte("From: " + list.String() + "\r\n")
			var got []string
			cost := testing.AllocsPerRun(1, func() { got = authors(head) })
			if len(got) != maxAuthors+1 {
				t.Errorf("%s, %d authors: %d", what, n, len(got))
			}
			if cost > 5000 {
				t.Errorf("%s, %d authors: %v allocations", what, n, cost)
			}
		}
	}
	one := authors([]byte("From: " + strings.Repeat("a@b.test, ", 500) + "x@b.test\r\nfrom : x@C.test\r\n"))
	if fmt.Sprint(one) != "[b.test c.test]" {
		t.Error(one)
	}
}
