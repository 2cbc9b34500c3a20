package sink

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"

	"postrider/bench"
)

// mail is a message that can be read. All maildrops share it.
type mail struct {
	id     string // for UIDL
	wire   []byte // with stuffed dots, without the final one
	octets int    // without stuffed dots
}

func newMail(id string, wire []byte) *mail { return &mail{id, wire, len(bench.Unstuff(wire))} }

// maildrops are what POP3 serves: to each name the same made messages, and what
// arrived for it. The zero value is ready.
type maildrops struct {
	made []*mail
	room int64 // octets of arrived messages that are kept

	mu      sync.Mutex // guards what follows
	drops   map[string][]*mail
	entries int     // in all drops
	kept    []entry // what arrived, the oldest first
	octets  int64   // the size of kept
	number  int64
}

// entry is an arrived message in a maildrop.
type entry struct {
	name string
	mail *mail
}

// nameOf is the name of a maildrop: any domain will do.
func nameOf(address string) string {
	local, _, _ := strings.Cut(address, "@")
	return strings.ToLower(local)
}

// open is the maildrop as it is now. The result may not be changed.
func (m *maildrops) open(user string) []*mail {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clip(m.drop(nameOf(user)))
}

// drop makes a maildrop when its name is first used.
func (m *maildrops) drop(name string) []*mail {
	drop, known := m.drops[name]
	if known {
		return drop
	}
	if m.entries >= maxKnown || m.drops == nil || len(m.drops) >= maxKnown {
		m.drops, m.kept, m.octets, m.entries = make(map[string][]*mail), nil, 0, 0
	}
	drop = slices.Clone(m.made)
	m.entries += len(drop)
	m.drops[name] = drop
	return drop
}

// add puts an arrived message into the maildrops of its recipients. What is older
// gives way to it.
func (m *maildrops) add(a Arrival) {
	if m.room <= 0 || len(a.Message) < a.Octets {
		return
	}
	wire := slices.Clone(a.Message)
	if a.Chunked {
		wire = bench.Stuff(wire)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if int64(len(wire)) > m.room {
		return
	}
	for _, to := range a.To {
		m.number++
		e := entry{nameOf(to), newMail(fmt.Sprintf("a%d", m.number), wire)}
		m.drops[e.name] = append(m.drop(e.name), e.mail) // beyond what an open one sees
		m.kept = append(m.kept, e)
		m.octets += int64(len(wire))
		m.entries++
		for m.octets > m.room || len(m.kept) > maxKnown {
			m.forget()
		}
	}
}

// forget takes the oldest message that arrived from its maildrop.
func (m *maildrops) forget() {
	e := m.kept[0]
	m.kept = m.kept[1:]
	m.octets -= int64(len(e.mail.wire))
	m.entries--
	drop := m.drops[e.name]
	if at := slices.Index(drop, e.mail); at == 0 {
		m.drops[e.name] = drop[1:]
	} else {
		m.drops[e.name] = slices.Concat(drop[:at], drop[at+1:])
	}
}

// delete takes messages from the maildrop of a user.
func (m *maildrops) delete(user string, mails map[*mail]bool) {
	name := nameOf(user)
	m.mu.Lock()
	defer m.mu.Unlock()
	left := make([]*mail, 0, len(m.drops[name])) // open sessions keep the old slice
	for _, one := range m.drops[name] {
		if !mails[one] {
			left = append(left, one)
		}
	}
	m.entries -= len(m.drops[name]) - len(left)
	m.drops[name] = left
	m.kept = slices.DeleteFunc(m.kept, func(e entry) bool {
		if e.name != name || !mails[e.mail] {
			return false
		}
		m.octets -= int64(len(e.mail.wire))
		return true
	})
}

// made turns messages in wire form into mail.
func made(wires [][]byte) []*mail {
	all := make([]*mail, len(wires))
	for n, wire := range wires {
		all[n] = newMail(fmt.Sprintf("m%d", n+1), wire)
	}
	return all
}

// maxMade bounds the octets of made messages.
const maxMade = 1 << 30

// Made makes n messages for [POP3Options], of sizes drawn by a seed. Some of their
// lines are what clients trip over: empty, a dot alone, dots at the begin. A reader
// tells a whole one by bench.CheckMessage. More than 1 GiB in all is an error.
func Made(n int, sizes bench.Sizes, seed uint64) ([][]byte, error) {
	random := rand.New(rand.NewPCG(seed, seed))
	if n > maxKnown {
		return nil, fmt.Errorf("%d messages are over the limit of %d", n, maxKnown)
	}
	all, size, total := make([][]byte, n), make([]int, n), 0
	for i := range size {
		size[i] = sizes.Draw(random)
		if total += size[i]; total > maxMade {
			return nil, fmt.Errorf("the first %d messages have more than 1 GiB, the limit for all", i+1)
		}
	}
	for i := range all {
		var text []byte
		for line := 0; len(text)+200 < size[i] || line == 0; line++ {
			text = fmt.Appendf(text, "message %5d line %7d: the post rider has the mail in his bag %4d\r\n", i+1, line, random.IntN(10000))
			if line%8 == 0 {
				text = append(text, "\r\n.\r\n..\r\n.dots at the begin\r\n"...)
			}
		}
		all[i] = bench.Stuff(fmt.Appendf(nil, "From: <sender@bench.example>\r\nTo: <reader@bench.example>\r\nSubject: made %d\r\n"+
			"Message-ID: <%d@bench.example>\r\nX-Digest: %x\r\n\r\n%s", i+1, i+1, sha256.Sum256(text), text))
	}
	return all, nil
}
