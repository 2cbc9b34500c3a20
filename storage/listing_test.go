package storage

import (
	"fmt"
	"strings"
	"testing"
)

func TestListingKeepsOrderAndSizes(t *testing.T) {
	for _, n := range []int{0, 1, 8, 9, 1023, 1024, 1025, 5000} {
		var l Listing
		sum := int64(0)
		for i := range n {
			l.Append(MessageID(i+1), int64(i)*7)
			sum += int64(i) * 7
		}
		if l.Len() != n || l.Octets() != sum {
			t.Errorf("%d messages: Len %d, Octets %d, want %d", n, l.Len(), l.Octets(), sum)
		}
		for i := range n {
			if id, octets := l.At(i); id != MessageID(i+1) || octets != int64(i)*7 {
				t.Errorf("At(%d) = %s, %d", i, id, octets)
			}
		}
	}
}

func TestASmallListingIsSmall(t *testing.T) {
	small := testing.AllocsPerRun(100, func() {
		var l Listing
		for i := range 8 {
			l.Append(MessageID(i+1), 1)
		}
	})
	if small > 3 {
		t.Errorf("%v allocations for 8 messages", small)
	}
}

func TestMessageIDReadsBack(t *testing.T) {
	for _, id := range []MessageID{0, 1, 31, 32, 1 << 40, MaxMessageID} {
		got, err := ParseMessageID(id.String())
		if err != nil || got != id {
			t.Errorf("%d as %s came back as %d, %v", uint64(id), id, uint64(got), err)
		}
	}
	for _, bad := range []string{"", "0", "G000000000000", "000000000000U", "00000000000000"} {
		if id, err := ParseMessageID(bad); err == nil {
			t.Errorf("%q was read as %s", bad, id)
		}
	}
}

// An extended listing has what is appended to it, and the one that it came from is as
// it was, when more than one comes from it too.
func TestExtendLeavesTheListing(t *testing.T) {
	for _, n := range []int{0, 1, 8, 1023, 1024, 1025, 3000} {
		l := new(Listing)
		for i := range n {
			l.Append(MessageID(i+1), 1)
		}
		a, b := l.Extend(), l.Extend()
		for i := range 1100 {
			a.Append(MessageID(10000+i), 2)
			b.Append(MessageID(20000+i), 3)
		}
		if l.Len() != n || l.Octets() != int64(n) || a.Len() != n+1100 || a.Octets() != int64(n+2200) || b.Octets() != int64(n+3300) {
			t.Errorf("%d messages: %d, extended %d and %d", n, l.Len(), a.Len(), b.Len())
		}
		for i := range n + 1100 {
			idA, _ := a.At(i)
			idB, _ := b.At(i)
			wantA, wantB := MessageID(i+1), MessageID(i+1)
			if i >= n {
				wantA, wantB = MessageID(10000+i-n), MessageID(20000+i-n)
			}
			if idA != wantA || idB != wantB {
				t.Fatalf("%d messages: At(%d) of the extended ones is %d and %d", n, i, uint64(idA), uint64(idB))
			}
		}
	}
}

// Messages that came with their unique-ids and messages that did not come back in any mix;
// what they take is counted, and 12 octets each without any.
func TestListingKeepsUIDLs(t *testing.T) {
	for _, n := range []int{1, 8, 9, 1024, 1025, 3000} {
		for _, every := range []int{0, 1, 3, 700, 1024} {
			var l Listing
			want := make([]string, n)
			memory := int64(n) * 12
			for i := range n {
				var uidl []byte
				want[i] = MessageID(i + 1).String()
				if every > 0 && i%every == every-1 {
					uidl = fmt.Appendf(nil, "uid-%d", i)
					want[i] = string(uidl)
				}
				memory += int64(len(uidl))
				if i == n/2 {
					l = *l.Extend()
				}
				l.AppendEntry(MessageID(i+1), 1, uidl)
			}
			for b := 0; b < n; b += listingBlockLen {
				if end := min(b+listingBlockLen, n); every > 0 && end/every > b/every {
					memory += int64(end-b) * 4
				}
			}
			for i := range n {
				if got := string(l.AppendUIDL(nil, i)); got != want[i] {
					t.Fatalf("%d messages, every %d.: message %d is %q, want %q", n, every, i, got, want[i])
				}
			}
			if l.Memory() != memory {
				t.Errorf("%d messages, every %d.: %d octets, want %d", n, every, l.Memory(), memory)
			}
		}
	}
}

func TestUIDLs(t *testing.T) {
	f := func(s string, valid, isID bool) {
		t.Helper()
		if _, ok := IDOfUIDL(s); ValidUIDL(s) != valid || ok != isID {
			t.Errorf("%q: valid %v, an id %v", s, ValidUIDL(s), ok)
		}
	}
	f("", false, false)
	f("0123456789ABC", true, true)
	f("0123456789abc", true, false)
	f("a b", false, false)
	f(strings.Repeat("~", MaxUIDL), true, false)
	f(strings.Repeat("!", MaxUIDL+1), false, false)
}
