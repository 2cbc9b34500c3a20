package dkim

import (
	"crypto/sha256"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
)

// counter counts the octets that are hashed, and the writes they come in.
type counter struct{ octets, writes int64 }

func (c *counter) Write(p []byte) (int, error) {
	c.octets += int64(len(p))
	c.writes++
	return len(p), nil
}

// allocated is how many octets f allocates.
func allocated(f func()) int64 {
	f()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 4 {
		f()
	}
	runtime.ReadMemStats(&after)
	return int64(after.TotalAlloc-before.TotalAlloc) / 4
}

// The memory for a body does not depend on it, and what is hashed grows as it does.
func TestBody_Growth(t *testing.T) {
	for name, unit := range map[string]string{"blank lines": "\r\n", "lines of blanks": " \t \r\n", "LF": "\n", "CR": "\r", "words": "a \t b", "lines": "x\r\n"} {
		for _, c := range []Canonicalization{Simple, Relaxed} {
			var before counter
			for _, times := range []int{1, 2, 4} {
				var count counter
				piece := []byte(strings.Repeat(unit, 500))
				b := NewBody(&count, c)
				kept := testing.AllocsPerRun(1, func() {
					for range 100 * times {
						_, _ = b.Write(piece)
					}
				})
				_, _ = io.WriteString(b, "x") // all that waits counts now
				_ = b.Close()
				if kept > 1 {
					t.Errorf("%s, %s, %d times: %v allocations", name, c, times, kept)
				}
				if times > 1 && (count.octets > 2*before.octets+10 || count.writes > 2*before.writes+10) {
					t.Errorf("%s, %s: %d octets in %d writes, and %d in %d for twice as much", name, c, before.octets, before.writes, count.octets, count.writes)
				}
				before = count
			}
		}
	}
}

// A list of many names over many fields, of one name or of many: each field is hashed once.
func TestHeader_Growth(t *testing.T) {
	distinct := func(i int) string { return fmt.Sprintf("n%d", i) }
	same := func(int) string { return "b" }
	for what, name := range map[string]func(int) string{"one name": same, "many names": distinct} {
		var octets, memory int64
		for _, n := range []int{MaxFields / 4, MaxFields / 2, MaxFields - 1} {
			var fields, names strings.Builder
			for i := range n {
				fields.WriteString(name(i) + ": " + strings.Repeat("x ", 20) + "\r\n")
			}
			for i := range MaxNames - 1 {
				names.WriteString(":" + name(i))
			}
			header := []byte("From: a\r\n" + fields.String())
			field := []byte("DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/simple; d=x.test; s=s; bh=AAAA; b=AAAA; h=from" + names.String())
			var count counter
			used := allocated(func() {
				h, err := ParseHeader(header)
				if err != nil {
					t.Fatal(err)
				}
				s, err := ParseSignature(field)
				if err != nil {
					t.Fatal(err)
				}
				count = counter{}
				for range 8 {
					s.WriteHeader(&count, h)
				}
			})
			if count.octets > 8*int64(len(header)+len(field)) {
				t.Errorf("%s, %d fields: %d octets are hashed of %d", what, n, count.octets, len(header))
			}
			if octets > 0 && (count.octets > 2*octets+1000 || used > 2*memory+16<<10) {
				t.Errorf("%s, %d fields: %d octets, %d of memory; half as many: %d, %d", what, n, count.octets, used, octets, memory)
			}
			octets, memory = count.octets, used
		}
	}
	if _, err := ParseHeader([]byte(strings.Repeat("a:\r\n", MaxFields+1))); err == nil {
		t.Error("too many fields were taken")
	}
}

// A field with many folds is read once.
func TestFolds_Growth(t *testing.T) {
	var memory int64
	for _, n := range []int{5000, 10000, 20000} {
		header := []byte("From: a\r\nX: y\r\n" + strings.Repeat(" x\r\n", n))
		used := allocated(func() {
			h, err := ParseHeader(header)
			if err != nil || len(h.fields) != 2 {
				t.Fatal(err)
			}
			WriteField(sha256.New(), h.field(1))
		})
		if memory > 0 && used > 2*memory+4096 {
			t.Errorf("%d folds: %d octets, and %d for half as many", n, used, memory)
		}
		memory = used
	}
}
