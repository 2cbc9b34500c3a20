package conn

import (
	"context"
	"sync/atomic"
)

// Front is a kind of listener. Metrics have its name.
type Front uint8

// The fronts.
const (
	SMTP Front = iota
	SMTPS
	Submission
	Submissions
	POP3
	POP3S
	Fronts // how many there are
)

var frontNames = [Fronts]string{"smtp", "smtps", "submission", "submissions", "pop3", "pop3s"}

// String is the name of the front.
func (f Front) String() string { return frontNames[f] }

// ReplyKind is the first part of a reply: a digit in SMTP, a word in POP3.
type ReplyKind uint8

// The kinds of replies. SMTP comes first, in the order of the digits.
const (
	Reply2yz ReplyKind = iota
	Reply3yz
	Reply4yz
	Reply5yz
	ReplyOK
	ReplyErr
	ReplyKinds // how many there are
)

var kindNames = [ReplyKinds]string{"2yz", "3yz", "4yz", "5yz", "+OK", "-ERR"}

// String is the kind as RFC 5321 and RFC 1939 write it.
func (k ReplyKind) String() string { return kindNames[k] }

// Tally counts what the sessions of a front do. Each loop has its own, so that no loop waits
// for the memory of another one; any goroutine may read it.
type Tally struct {
	Begun, Ended atomic.Int64 // sessions
	Timeouts     atomic.Int64 // peers that were too slow, but not in a TLS handshake
	Replies      [ReplyKinds]atomic.Int64
}

// Tally counts what the session does.
func (s *Session) Tally() *Tally { return &s.loop.tallies[s.Port.Front] }

// Sum is a Tally of all loops.
type Sum struct {
	Begun, Ended, Timeouts int64
	Replies                [ReplyKinds]int64
}

// Sum adds up what all loops have counted for a front.
func (e *Edge) Sum(f Front) (sum Sum) {
	for _, p := range e.loops {
		t := &p.tallies[f]
		ended := t.Ended.Load() // before Begun: there are never less than no sessions
		sum.Begun, sum.Ended = sum.Begun+t.Begun.Load(), sum.Ended+ended
		sum.Timeouts += t.Timeouts.Load()
		for k := range t.Replies {
			sum.Replies[k] += t.Replies[k].Load()
		}
	}
	return sum
}

// Doing is what a session does: its front, its state, and what it waits for ("": the client).
// The words are the same as in Facts; all of them are constants of the protocols.
type Doing struct {
	Front        Front
	State, Waits string
}

// Census counts the open sessions by what they do.
func (e *Edge) Census(ctx context.Context) (map[Doing]int, error) {
	var of []map[Doing]int
	err := e.visit(ctx, func() func(*Session) {
		found := make(map[Doing]int)
		of = append(of, found)
		return func(s *Session) {
			f := s.facts()
			found[Doing{s.Port.Front, f.State, f.Waits}]++
		}
	})
	if err != nil {
		return nil, err // the loops may still write to what they have found
	}
	all := make(map[Doing]int)
	for _, found := range of {
		for d, n := range found {
			all[d] += n
		}
	}
	return all, nil
}
