package pop3d

import (
	"fmt"
	"strings"
	"testing"

	"postrider/engine/protocol/transcript"
	"postrider/storage"
)

// peer drives a Session as the event loop does, without one: it answers the
// questions itself, and puts "<n>" where message n would be sent.
type peer struct {
	session  Session
	effects  Effects
	pending  []byte
	replies  []byte
	asked    []string // the questions but AskDrained, with their facts
	drained  int
	closed   bool
	listing  *storage.Listing
	verdicts func(Question) Verdict
}

func yes(Question) Verdict { return Yes }

// newPeer is a peer that was greeted, with messages of the sizes.
func newPeer(cfg *Config, sizes ...int64) *peer {
	p := &peer{listing: new(storage.Listing), verdicts: yes}
	for i, size := range sizes {
		p.listing.Append(storage.MessageID(1000+i), size)
	}
	p.session.Init(cfg, "<1.2@mx.example>", Peer{Loopback: true})
	p.session.Greet(&p.effects)
	p.do()
	return p
}

func testConfig() *Config {
	return &Config{Hostname: "mx.example", MaxErrors: 100, ReplyBudget: 1 << 16}
}

// loggedIn is a peer in the TRANSACTION state.
func loggedIn(t testing.TB, sizes ...int64) *peer {
	p := newPeer(testConfig(), sizes...)
	if got := p.send("USER mrose", "PASS secret"); !strings.HasPrefix(got, "+OK") || p.session.listing == nil {
		t.Fatalf("login: %q", got)
	}
	return p
}

// send sends lines and returns the replies to them.
func (p *peer) send(lines ...string) string {
	p.replies = nil
	p.feed([]byte(strings.Join(lines, "\r\n") + "\r\n"))
	return string(p.replies)
}

// feed presents what is pending and in, in a buffer that is overwritten.
func (p *peer) feed(in []byte) {
	p.pending = append(p.pending, in...)
	for !p.closed {
		buf := append([]byte(nil), p.pending...)
		n := p.session.Feed(buf, &p.effects)
		p.pending = p.pending[n:]
		clear(buf)
		if !p.do() {
			return
		}
	}
}

// do carries out the effects, and reports whether a question was answered.
func (p *peer) do() (answered bool) {
	for {
		p.replies = append(p.replies, p.effects.Reply...)
		p.closed = p.closed || p.effects.Close
		q := p.effects.Ask
		p.effects.Reset()
		if q == AskNothing {
			return answered
		}
		answered = true
		p.session.Answer(p.answer(q), &p.effects)
	}
}

func (p *peer) answer(q Question) Answer {
	if q == AskDrained {
		p.drained++
		return Answer{Verdict: Yes}
	}
	s := &p.session
	p.asked = append(p.asked, fmt.Sprint(q, s.User(), s.secret, s.Reading(), s.Lines(), s.AppendDeleted(nil)))
	a := Answer{Verdict: p.verdicts(q)}
	switch q {
	case AskLogin, AskAPOP, AskAuth:
		a.Listing, a.Verifier = p.listing, transcript.Pencil()
	case AskRead:
		_, a.Octets = p.listing.At(s.Reading())
	case AskSent:
		p.replies = fmt.Appendf(p.replies, "<%d>", s.Reading()+1)
	}
	return a
}
