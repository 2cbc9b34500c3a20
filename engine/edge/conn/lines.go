package conn

import (
	"cmp"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"postrider/engine/edge/limit"
)

// Lines bounds what clients can have written to the log by connecting, and by commands that
// are refused: a client that does so thousands of times a second would fill the disk. Lines
// of messages are not counted, each of them costs the client a message. What is left out is
// told once a minute. It is safe for use by many goroutines.
type Lines struct {
	LeftOut atomic.Int64 // lines, since the start

	log *slog.Logger

	mu     sync.Mutex
	rate   *limit.Buckets[netip.Prefix]
	left   map[netip.Prefix]int // lines left out since the last report, by client
	others int                  // lines of clients that have no place in left
	report *time.Timer          // nil: no report is due
}

const (
	linesClients = 1000        // clients that are remembered, also in left
	reportEvery  = time.Minute // from the first line that is left out to the report
	reportNamed  = 5           // clients that a report names
)

// NewLines makes the bound of a server. The zero rate has no limit.
func NewLines(rate limit.Rate, log *slog.Logger) *Lines {
	return &Lines{log: log, rate: limit.NewBuckets[netip.Prefix](rate, linesClients), left: make(map[netip.Prefix]int)}
}

// Configure replaces the rate. What clients have had written stays counted. One call at a
// time.
func (l *Lines) Configure(rate limit.Rate) {
	l.rate.Configure(rate, linesClients, float64(rate.Count), time.Now(), &l.mu)
}

// Rate is the rate that counts now.
func (l *Lines) Rate() limit.Rate {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rate.Rate()
}

// May reports whether one more line about a client is written. A nil Lines has no limit.
func (l *Lines) May(ip netip.Addr) bool {
	if l == nil {
		return true
	}
	client := limit.Client(ip)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rate.Take(client, time.Now()) {
		return true
	}
	l.LeftOut.Add(1)
	if _, known := l.left[client]; known || len(l.left) < linesClients {
		l.left[client]++
	} else {
		l.others++
	}
	if l.report == nil {
		l.report = time.AfterFunc(reportEvery, l.tell)
	}
	return false
}

// tell logs what was left out.
func (l *Lines) tell() {
	l.mu.Lock()
	left, others := l.left, l.others
	l.left, l.others, l.report = make(map[netip.Prefix]int), 0, nil
	l.mu.Unlock()
	type count struct {
		client netip.Prefix
		lines  int
	}
	var all []count
	for client, n := range left {
		all = append(all, count{client, n})
	}
	slices.SortFunc(all, func(a, b count) int { return cmp.Or(b.lines-a.lines, a.client.Compare(b.client)) })
	for i, c := range all {
		if i >= reportNamed {
			others += c.lines
			continue
		}
		l.log.Warn(fmt.Sprintf("%d lines about unknown[%s] left out: log.client_lines", c.lines, c.client.Addr()))
	}
	if others > 0 {
		l.log.Warn(fmt.Sprintf("%d lines about other clients left out: log.client_lines", others))
	}
}

// Logs reports whether a line about the session's client is written now: of its connection,
// its end, and commands that are refused.
func (s *Session) Logs() bool {
	e := s.Port.Edge
	return e.logs() && (e.IsOwn(s.IP) || e.Lines.May(s.IP))
}
