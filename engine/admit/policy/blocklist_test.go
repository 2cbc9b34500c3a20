package policy

import (
	"net/netip"
	"slices"
	"testing"
)

func TestBlocklist(t *testing.T) {
	l, err := ParseBlocklist("BL.example.org. score=-3 codes=127.0.0.2,127.0.0.4")
	if err != nil || l.Zone != "bl.example.org" || l.Score != -3 || len(l.Codes) != 2 {
		t.Errorf("%+v, %v", l, err)
	}
	for _, bad := range []string{"", "score=1", "bl.example score=0", "bl.example score=x", "bl.example codes=::1", "bl.example codes=", "bl.example what=1"} {
		if l, err := ParseBlocklist(bad); err == nil {
			t.Errorf("%q: %+v", bad, l)
		}
	}
	plain, _ := ParseBlocklist("bl.example.org")
	f := func(l Blocklist, want bool, answers ...string) {
		t.Helper()
		var as []netip.Addr
		for _, a := range answers {
			as = append(as, addr(a))
		}
		if got := l.Lists(as); got != want {
			t.Errorf("%v: %v", answers, got)
		}
	}
	f(plain, true, "127.0.0.2")
	f(plain, true, "192.0.2.1", "127.0.1.9")
	f(plain, false)
	f(plain, false, "192.0.2.1")
	f(plain, false, "127.255.255.254")
	f(l, true, "127.0.0.4")
	f(l, false, "127.0.0.3")
}

// RFC 5782 sections 2.1 and 2.4.
func TestBlocklistQuestion(t *testing.T) {
	l := Blocklist{Zone: "bad.example"}
	if got := l.Question(addr("192.0.2.99")); got != "99.2.0.192.bad.example" {
		t.Error(got)
	}
	if got := l.Question(addr("2001:db8:1:2:3:4:567:89ab")); got != "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.bad.example" {
		t.Error(got)
	}
}

func TestScore(t *testing.T) {
	sum, against := Score([]Blocklist{{Zone: "a", Score: 1}, {Zone: "good", Score: -2}, {Zone: "b", Score: 3}})
	if sum != 2 || !slices.Equal(against, []string{"b", "a"}) {
		t.Errorf("%d %v", sum, against)
	}
}
