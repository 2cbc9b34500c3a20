package sink

import (
	"crypto/tls"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Options say what a sink is like. The zero value takes everything at once.
type Options struct {
	Hostname string // in replies; empty: sink.example
	Rules    []*Rule
	// Deaf ignores rules in recipients' addresses.
	Deaf bool
	// Waits are waits before the replies of a stage.
	Waits map[Stage]Wait
	// Greylist answers 451 to a client, sender and recipient until this time after
	// it came first; 0: not.
	Greylist time.Duration
	// Limit is the messages a second of one client's address, Burst how many at
	// once; beyond, MAIL gets LimitCode. 0: no limit.
	Limit     float64
	Burst     int
	LimitCode int
	Seed      uint64
	// TLS, unless nil, is offered by STARTTLS and STLS.
	TLS *tls.Config
	// Keep is how many octets of a message are kept for Arrived; 0: none.
	Keep int
	// Arrived, unless nil, is called for each message before its 250 is sent, from many
	// sessions at once. The arrival is the callee's.
	Arrived func(Arrival)
	POP3    POP3Options
}

// Arrival is a message that was taken.
type Arrival struct {
	Time    time.Time
	Client  string
	From    string
	To      []string
	Octets  int
	Message []byte // as much as was kept, in wire form
	Chunked bool   // by BDAT, so Message has no stuffed dots
}

// Sink is what all sessions share.
type Sink struct {
	options Options
	rules   [stages][]*Rule
	session atomic.Uint64 // numbers

	counts [lastCount]atomic.Int64
	mu     sync.Mutex // guards what follows
	codes  map[int]int64
	spoken map[string]*Rule // rules that recipients asked for, by local part
	grey   map[string]time.Time
	tokens map[string]*bucket
	asked  map[string]*Rule // rules that user names asked for, by local part

	pop3  [stages][]*Rule
	drops maildrops
}

// The counters.
const (
	sessions = iota
	messages
	octets
	recipients
	broken // sessions that a fault ended
	pop3Sessions
	logins
	retrieved
	octetsOut
	deleted
	pop3Refused
	lastCount
)

// maxKnown bounds each table that clients can fill. A full one begins again.
const maxKnown = 1_000_000

// bucket holds the tokens of one client.
type bucket struct {
	tokens float64
	at     time.Time
}

// New makes a sink.
func New(o Options) *Sink {
	if o.Hostname == "" {
		o.Hostname = "sink.example"
	}
	s := &Sink{options: o, codes: make(map[int]int64), spoken: make(map[string]*Rule), grey: make(map[string]time.Time), asked: make(map[string]*Rule), tokens: make(map[string]*bucket)}
	for _, r := range o.Rules {
		s.rules[r.Stage] = append(s.rules[r.Stage], r)
	}
	for _, r := range o.POP3.Rules {
		s.pop3[r.Stage] = append(s.pop3[r.Stage], r)
	}
	s.drops.made, s.drops.room = made(o.POP3.Messages), o.POP3.Room
	return s
}

// Counts is what a sink has seen.
type Counts struct {
	Sessions   int64            `json:"sessions"`
	Messages   int64            `json:"messages"` // taken: answered by 250
	Octets     int64            `json:"octets"`   // the size of Messages
	Recipients int64            `json:"recipients"`
	Broken     int64            `json:"broken"`  // sessions that a fault ended without a reply
	Refused    map[int]int64    `json:"refused"` // replies of 4yz and 5yz, by code
	Faults     map[string]int64 `json:"faults"`  // played, by rule
	POP3       *POP3Counts      `json:"pop3,omitempty"`
}

// POP3Counts is what POP3 clients have done.
type POP3Counts struct {
	Sessions int64 `json:"sessions"`
	Logins   int64 `json:"logins"`
	Messages int64 `json:"messages"` // begun by RETR and TOP
	Octets   int64 `json:"octets"`   // the size of Messages, with stuffed dots
	Deleted  int64 `json:"deleted"`
	Refused  int64 `json:"refused"` // -ERR
}

// Counts returns the current counters.
func (s *Sink) Counts() Counts {
	c := Counts{
		s.counts[sessions].Load(), s.counts[messages].Load(), s.counts[octets].Load(),
		s.counts[recipients].Load(), s.counts[broken].Load(), nil, make(map[string]int64), s.pop3Counts(),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c.Refused = maps.Clone(s.codes)
	for _, r := range slices.Concat(s.options.Rules, s.options.POP3.Rules) {
		c.Faults[r.Text] += r.Fired.Load()
	}
	for _, rules := range []map[string]*Rule{s.spoken, s.asked} {
		for name, r := range rules {
			if r != nil && r.Fired.Load() > 0 {
				c.Faults[name] += r.Fired.Load()
			}
		}
	}
	return c
}

// pop3Counts is nil when there were no sessions.
func (s *Sink) pop3Counts() *POP3Counts {
	c := &s.counts
	if c[pop3Sessions].Load() == 0 {
		return nil
	}
	return &POP3Counts{c[pop3Sessions].Load(), c[logins].Load(), c[retrieved].Load(), c[octetsOut].Load(), c[deleted].Load(), c[pop3Refused].Load()}
}

// ruleOf is the rule that the local part of a recipient or user name is, or nil.
// known remembers them.
func (s *Sink) ruleOf(address string, known map[string]*Rule, parse func(string) (*Rule, error)) *Rule {
	local, _, _ := strings.Cut(address, "@")
	if s.options.Deaf || !strings.Contains(local, "-") {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := known[local]
	if !ok {
		if len(known) >= maxKnown {
			clear(known)
		}
		r, _ = parse(local) // an ordinary name with a hyphen is no rule
		known[local] = r
	}
	return r
}

// hand hands on what has arrived.
func (s *Sink) hand(a Arrival) {
	s.drops.add(a)
	if s.options.Arrived != nil {
		s.options.Arrived(a)
	}
}

func (s *Sink) refused(code int) {
	s.mu.Lock()
	s.codes[code]++
	s.mu.Unlock()
}

// isGrey reports whether this triplet has to come again later.
func (s *Sink) isGrey(now time.Time, client, from, to string) bool {
	if s.options.Greylist == 0 {
		return false
	}
	key := client + "\x00" + from + "\x00" + to
	s.mu.Lock()
	defer s.mu.Unlock()
	first, known := s.grey[key]
	if !known {
		if len(s.grey) >= maxKnown {
			clear(s.grey)
		}
		first = now
		s.grey[key] = now
	}
	return now.Sub(first) < s.options.Greylist
}

// admits takes a token of client.
func (s *Sink) admits(now time.Time, client string) bool {
	if s.options.Limit == 0 {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	full := float64(max(s.options.Burst, 1))
	b := s.tokens[client]
	if b == nil {
		if len(s.tokens) >= maxKnown {
			clear(s.tokens)
		}
		b = &bucket{full, now}
		s.tokens[client] = b
	}
	b.tokens = min(full, b.tokens+now.Sub(b.at).Seconds()*s.options.Limit)
	b.at = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
