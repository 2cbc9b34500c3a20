package main

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"postrider/bench"
)

// A bar of a library was dropped: beside four figures there is no room for it on a
// narrow terminal, where it wrapped, and its rate and time left knew nothing of
// refused messages and of --duration.

// watch shows how far a run is, on a terminal, until stop is called; elsewhere it
// shows nothing. total and duration are 0 where unknown.
func watch(cmd *cobra.Command, meter *bench.Meter, total int, duration time.Duration) (stop func()) {
	if cmd.ErrOrStderr() != os.Stderr || !term.IsTerminal(int(os.Stderr.Fd())) || os.Getenv("TERM") == "dumb" {
		return func() {}
	}
	over := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		p := progress{total: total, duration: duration, recent: []sample{{}}}
		begin := time.Now()
		for {
			select {
			case <-tick.C:
				p.elapsed = time.Since(begin)
				p.messages, p.refused, p.p99 = meter.Progress()
				p.sample()
				columns, _, err := term.GetSize(int(os.Stderr.Fd()))
				if err != nil || columns <= 0 {
					columns = 80
				}
				fmt.Fprintf(os.Stderr, "\r%s\x1b[K", p.line(columns-1)) // to the last column, some terminals wrap
			case <-over:
				fmt.Fprint(os.Stderr, "\r\x1b[K")
				return
			}
		}
	})
	return func() {
		close(over)
		wg.Wait()
	}
}

// progress is what a run shows of itself.
type progress struct {
	total             int
	duration, elapsed time.Duration
	messages, refused int
	p99               time.Duration
	recent            []sample
}

// sample is how many messages there were at a time.
type sample struct {
	at   time.Duration
	done int
}

// sample notes where the run is, so that the rate is that of the last second or so.
func (p *progress) sample() {
	p.recent = append(p.recent, sample{p.elapsed, p.messages + p.refused})
	p.recent = p.recent[max(0, len(p.recent)-6):]
}

func (p *progress) rate() float64 {
	if len(p.recent) < 2 {
		return 0
	}
	first, last := p.recent[0], p.recent[len(p.recent)-1]
	return float64(last.done-first.done) / max((last.at-first.at).Seconds(), 1e-3)
}

// line is as much of it as fits, what matters most first.
func (p *progress) line(columns int) string {
	done := p.messages + p.refused
	parts := []string{fmt.Sprintf("%d messages", p.messages)}
	if p.total > 0 {
		parts[0] = fmt.Sprintf("%d of %d (%d %%)", p.messages, p.total, 100*done/p.total)
	}
	rate := p.rate()
	parts = append(parts, fmt.Sprintf("%.0f/s", rate))
	if p.refused > 0 {
		parts = append(parts, fmt.Sprintf("%d refused", p.refused))
	}
	if p.messages > 0 {
		parts = append(parts, "p99 "+brief(p.p99))
	}
	switch {
	case p.duration > 0:
		parts = append(parts, (max(0, p.duration-p.elapsed)).Round(time.Second).String()+" left")
	case p.total > 0 && rate > 0:
		left := time.Duration(float64(p.total-done) / rate * float64(time.Second))
		parts = append(parts, left.Round(time.Second).String()+" left")
	}
	for len(parts) > 1 && len(strings.Join(parts, "  ")) > columns {
		parts = parts[:len(parts)-1]
	}
	line := strings.Join(parts, "  ")
	return line[:min(len(line), max(columns, 0))]
}

// brief is a time in three digits or so.
func brief(d time.Duration) string {
	unit := time.Nanosecond
	for d >= 1000*unit && unit < time.Minute {
		unit *= 10
	}
	return d.Round(unit).String()
}
