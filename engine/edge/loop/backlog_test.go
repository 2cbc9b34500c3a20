package loop

import (
	"bytes"
	"testing"
)

// The backlog against the obvious: a slice that is copied at every step.
func FuzzBacklog(f *testing.F) {
	f.Add([]byte{0, 200, 1, 150, 0, 255, 1, 255, 1, 10})
	f.Add([]byte{0, 255, 0, 255, 1, 250, 0, 3, 2, 0, 0, 9, 1, 9})
	f.Fuzz(func(t *testing.T, ops []byte) {
		var s stock
		var q backlog
		var twin []byte
		at := byte(0)
		for i := 0; i+1 < len(ops); i += 2 {
			n := int(ops[i+1]) * 9
			switch ops[i] % 3 {
			case 0:
				p := bytes.Repeat([]byte{at}, n)
				at++
				q.add(&s, p)
				for j := range p {
					p[j] = 0xff // add has copied
				}
				twin = append(twin, bytes.Repeat([]byte{at - 1}, n)...)
			case 1:
				n = min(n, len(twin))
				q.drop(&s, n)
				twin = append([]byte(nil), twin[n:]...)
			case 2:
				q.free(&s)
				twin = nil
			}
			if !bytes.Equal(q.octets(), twin) || q.len() != len(twin) {
				t.Fatalf("step %d: %d octets, want %d", i/2, q.len(), len(twin))
			}
			if q.len() == 0 && len(twin) == 0 && ops[i]%3 != 0 && q.b != nil {
				t.Fatal("an empty backlog holds a buffer")
			}
			if cap(q.b) > 8*q.len()+2*lineSize+16*255*9 {
				t.Fatalf("%d octets in a buffer of %d", q.len(), cap(q.b))
			}
			for _, b := range s { // a buffer that is given back may be overwritten
				b = b[:cap(b)]
				for j := range b {
					b[j] = 0xee
				}
			}
		}
	})
}
