package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Idle holds sessions that do nothing. Client and Sessions must be set.
type Idle struct {
	Client   Client
	POP3     bool // log in by POP3 in place of EHLO
	Sessions int
	Openers  int // connects at once
	Hold     time.Duration
	PIDs     []int // the server's processes; none: its memory isn't reported
}

// IdleReport is the result of holding sessions.
type IdleReport struct {
	Open       int           `json:"open"`        // sessions that were there at once
	Alive      int           `json:"alive"`       // sessions that answered NOOP after the hold
	Opening    time.Duration `json:"opening_ns"`  // the time to open all
	PSSBefore  int64         `json:"pss_before"`  // the server and its children before the first session
	PSS        int64         `json:"pss"`         // with all of them open
	PerSession int64         `json:"per_session"` // octets of PSS that a session adds
	CPUOpening time.Duration `json:"cpu_open_ns"` // the server's CPU time to open a session
	NOOPs      time.Duration `json:"noops_ns"`    // the time of NOOP on all, one after the other
	Fresh      Summary       `json:"fresh_ehlo"`  // connect to EHLO's answer of new sessions meanwhile
	Failed     []string      `json:"failed,omitempty"`
}

func (r IdleReport) String() string {
	s := fmt.Sprintf("%d sessions open in %.2f s (%.0f/s), %d alive after the hold, NOOP on all %.2f s, a fresh session in %s (median)",
		r.Open, r.Opening.Seconds(), float64(r.Open)/max(r.Opening.Seconds(), 1e-9), r.Alive, r.NOOPs.Seconds(), r.Fresh.P50.Round(time.Microsecond))
	if r.PSS > 0 {
		s += fmt.Sprintf("\nserver: %.1f MB PSS before, %.1f MB with them, %d octets a session, %d us of CPU to open one",
			float64(r.PSSBefore)/1e6, float64(r.PSS)/1e6, r.PerSession, r.CPUOpening.Microseconds())
	}
	return s
}

// held is a session that Idle holds: of SMTP or POP3.
type held struct {
	smtp *SMTPConn
	pop3 *POP3Conn
}

func (h held) noop() error {
	if h.smtp != nil {
		return h.smtp.Cmd(250, "NOOP")
	}
	_, err := h.pop3.Cmd("NOOP")
	return err
}

func (h held) close() {
	if h.smtp != nil {
		h.smtp.Close()
		return
	}
	h.pop3.Close()
}

func (i Idle) open(meter *Meter) (held, error) {
	if i.POP3 {
		c, err := i.Client.POP3(meter)
		return held{pop3: c}, err
	}
	c, err := i.Client.SMTP(meter)
	return held{smtp: c}, err
}

// Run opens the sessions, holds them, asks each whether it is alive, and closes
// them. Refused sessions are in the report.
func (i Idle) Run(ctx context.Context) (r IdleReport, err error) {
	var before Usage
	if len(i.PIDs) > 0 {
		if before, err = ReadTree(i.PIDs...); err != nil {
			return r, err
		}
	}
	begin := time.Now()
	all, failed := i.openAll(ctx)
	r.Opening = time.Since(begin)
	r.Open = len(all)
	for _, err := range failed[:min(len(failed), 5)] {
		r.Failed = append(r.Failed, err.Error())
	}
	defer func() {
		for _, h := range all {
			h.close()
		}
	}()
	if len(i.PIDs) > 0 {
		now, err := ReadTree(i.PIDs...)
		if err != nil {
			return r, err
		}
		r.PSSBefore, r.PSS = before.PSS, now.PSS
		r.PerSession = (now.PSS - before.PSS) / int64(max(r.Open, 1))
		r.CPUOpening = (now.CPU - before.CPU) / time.Duration(max(r.Open, 1))
	}
	select {
	case <-time.After(i.Hold):
	case <-ctx.Done():
	}
	r.Fresh, err = i.fresh()
	begin = time.Now()
	for _, h := range all {
		if h.noop() == nil {
			r.Alive++
		}
	}
	r.NOOPs = time.Since(begin)
	if len(failed) > 0 || r.Alive < r.Open {
		err = errors.Join(err, fmt.Errorf("of %d sessions %d were refused and %d did not survive", i.Sessions, len(failed), r.Open-r.Alive))
	}
	return r, err
}

// openAll opens the sessions, some at once.
func (i Idle) openAll(ctx context.Context) (all []held, failed []error) {
	var (
		mu    sync.Mutex // guards the results
		wg    sync.WaitGroup
		next  atomic.Int64
		meter = NewMeter()
	)
	for range max(i.Openers, 1) {
		wg.Go(func() {
			for ctx.Err() == nil && next.Add(1) <= int64(i.Sessions) {
				h, err := i.open(meter)
				mu.Lock()
				if err != nil {
					failed = append(failed, err)
				} else {
					all = append(all, h)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return all, failed
}

// fresh times 200 sessions of their own while the others are held.
func (i Idle) fresh() (Summary, error) {
	meter := NewMeter()
	for range 200 {
		begin := time.Now()
		h, err := i.open(NewMeter())
		if err != nil {
			return Summary{}, fmt.Errorf("a fresh session beside the idle ones: %w", err)
		}
		meter.Time(StageHello, time.Since(begin))
		h.close()
	}
	return meter.Report().Stages[StageHello.String()], nil
}
