package sink

import (
	"crypto/tls"
	"maps"
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
	// once; beyond, MAIL hears LimitCode. 0: no limit.
	Limit     float64
	Burst     int
	LimitCode int
	Seed      uint64
	// TLS, unless nil, is offered by STARTTLS. HandshakeWait is before a handshake.
	TLS           *tls.Config
	HandshakeWait time.Duration
	// Keep is how many octets of a message are kept for Arrived; 0: none.
	Keep int
	// Arrived, unless nil, hears of each message before its 250 is sent, from many
	// sessions at once. The arrival is the callee's.
	Arrived func(Arrival)
}

// Arrival is a message that was taken.
type Arrival struct {
	Time    time.Time
	Client  string
	From    string
	To      []string
	Octets  int
	Message []byte // as much as was kept, in wire form
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
}

// The counters.
const (
	sessions = iota
	messages
	octets
	recipients
	broken // sessions that a fault ended
	lastCount
)

// maxKnown bounds each table that clients can fill. A full one begins anew.
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
	s := &Sink{options: o, codes: make(map[int]int64), spoken: make(map[string]*Rule), grey: make(map[string]time.Time), tokens: make(map[string]*bucket)}
	for _, r := range o.Rules {
		s.rules[r.Stage] = append(s.rules[r.Stage], r)
	}
	return s
}

// Counts is what a sink has seen.
type Counts struct {
	Sessions   int64            `json:"sessions"`
	Messages   int64            `json:"messages"` // taken: answered by 250
	Octets     int64            `json:"octets"`   // of those
	Recipients int64            `json:"recipients"`
	Broken     int64            `json:"broken"`  // sessions that a fault ended without a reply
	Refused    map[int]int64    `json:"refused"` // replies of 4yz and 5yz, by code
	Faults     map[string]int64 `json:"faults"`  // played, by rule
}

// Counts tells the counters as they are.
func (s *Sink) Counts() Counts {
	c := Counts{
		s.counts[sessions].Load(), s.counts[messages].Load(), s.counts[octets].Load(),
		s.counts[recipients].Load(), s.counts[broken].Load(), nil, make(map[string]int64),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c.Refused = maps.Clone(s.codes)
	for _, r := range s.options.Rules {
		c.Faults[r.Text] += r.Fired.Load()
	}
	for name, r := range s.spoken {
		if r != nil && r.Fired.Load() > 0 {
			c.Faults[name] += r.Fired.Load()
		}
	}
	return c
}

// ruleOf is the rule that a recipient's local part is, or nil.
func (s *Sink) ruleOf(recipient string) *Rule {
	local, _, _ := strings.Cut(recipient, "@")
	if s.options.Deaf || !strings.Contains(local, "-") {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, known := s.spoken[local]
	if !known {
		if len(s.spoken) >= maxKnown {
			clear(s.spoken)
		}
		r, _ = ParseRule(local) // an ordinary name with a hyphen is no rule
		s.spoken[local] = r
	}
	return r
}

func (s *Sink) refused(code int) {
	s.mu.Lock()
	s.codes[code]++
	s.mu.Unlock()
}

// isGrey says whether this triplet has to come again later.
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
