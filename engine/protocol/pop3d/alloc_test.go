package pop3d

import "testing"

// TestCommandsDoNotAllocate: a session in its steady state, with the memory of its
// Effects and its marks.
func TestCommandsDoNotAllocate(t *testing.T) {
	p := loggedIn(t, 120, 200, 300)
	p.send("DELE 1", "RSET")
	s, e := &p.session, &p.effects
	e.Reply = make([]byte, 0, 4096)
	in := []byte("STAT\r\nLIST\r\nLIST 2\r\nUIDL\r\nUIDL 1\r\nRETR 1\r\nTOP 2 10\r\nDELE 1\r\nRSET\r\nNOOP\r\nCAPA\r\nLANG\r\nLANG de\r\nFOO\r\nRETR 9\r\nNOOP\r\nLANG en\r\n")
	allocs := testing.AllocsPerRun(100, func() {
		for rest := in; len(rest) > 0; {
			n := s.Feed(rest, e)
			rest = rest[n:]
			for e.Ask != AskNothing {
				e.Reset()
				s.Answer(Answer{Verdict: Yes, Octets: 120}, e)
			}
			e.Reset()
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations for a round of commands", allocs)
	}
}

func BenchmarkFeed(b *testing.B) {
	f := func(name, in string) {
		b.Run(name, func(b *testing.B) {
			p := loggedIn(b, make([]int64, 100)...)
			p.send("DELE 1", "RSET")
			s, e, octets := &p.session, &p.effects, []byte(in)
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				for rest := octets; len(rest) > 0; {
					rest = rest[s.Feed(rest, e):]
					for e.Ask != AskNothing {
						e.Reset()
						s.Answer(Answer{Verdict: Yes, Octets: 120}, e)
					}
					e.Reset()
				}
			}
		})
	}
	f("NOOP", "NOOP\r\n")
	f("STAT", "STAT\r\n")
	f("RETR", "RETR 50\r\n")
	f("LIST of 100", "LIST\r\n")
	f("UIDL of 100", "UIDL\r\n")
}
