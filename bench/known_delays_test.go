package bench

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// delays is a server of known delays, in the time of a synctest bubble: each reply
// to a command takes a fixed time, and the reply to message n's dot takes dot(n).
type delays struct {
	rcpt, data time.Duration
	dot        func(n int) time.Duration
	n          int // messages so far; one session at a time
}

func (d *delays) dial(context.Context, string, string) (net.Conn, error) {
	client, server := net.Pipe()
	go d.serve(server)
	return client, nil
}

func (d *delays) serve(conn net.Conn) {
	defer conn.Close()
	fmt.Fprint(conn, "220 known.example\r\n")
	for r := bufio.NewReader(conn); ; {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		switch strings.ToUpper(line[:4]) {
		case "RCPT":
			time.Sleep(d.rcpt)
			fmt.Fprint(conn, "250 ok\r\n")
		case "DATA":
			time.Sleep(d.data)
			fmt.Fprint(conn, "354 go on\r\n")
			for line != ".\r\n" {
				if line, err = r.ReadString('\n'); err != nil {
					return
				}
			}
			time.Sleep(d.dot(d.n))
			d.n++
			fmt.Fprint(conn, "250 ok\r\n")
		case "QUIT":
			fmt.Fprint(conn, "221 bye\r\n")
			return
		default:
			fmt.Fprint(conn, "250 ok\r\n")
		}
	}
}

func (d *delays) load(rate float64) Load {
	return Load{
		Client: Client{Addr: "known.example:25", Dial: d.dial}, Sessions: 1, Messages: 100, Rate: rate, From: "a@b.example",
		To: func(int) []string { return []string{"u@known.example"} }, Wire: func(int) []byte { return []byte("x\r\n") },
	}
}

// stall is a server that answers in 1 ms, but for one message in 100: 1 s.
func stall(n int) time.Duration {
	if n == 10 {
		return time.Second
	}
	return time.Millisecond
}

// wantTimes compares a stage with times computed by hand, to the three digits that
// a histogram keeps.
func wantTimes(t *testing.T, r Report, stage Stage, want []time.Duration) {
	t.Helper()
	slices.Sort(want)
	got := r.Stages[stage.String()]
	rank := func(percent float64) time.Duration { return want[max(0, int(percent/100*float64(len(want))+0.5)-1)] }
	if got.Count != int64(len(want)) {
		t.Errorf("%s: %d samples, want %d", stage, got.Count, len(want))
	}
	for _, q := range []struct {
		name      string
		got, want time.Duration
	}{{"min", got.Min, want[0]}, {"p50", got.P50, rank(50)}, {"p90", got.P90, rank(90)}, {"p99", got.P99, rank(99)}, {"max", got.Max, want[len(want)-1]}} {
		if off := q.got - q.want; off < -time.Microsecond-q.want/1000 || off > time.Microsecond+q.want/1000 {
			t.Errorf("%s %s is %s, by hand %s", stage, q.name, q.got, q.want)
		}
	}
}

func times(n int, f func(n int) time.Duration) (all []time.Duration) {
	for i := range n {
		all = append(all, f(i))
	}
	return all
}

// Stages are timed each by itself, and a message from its first command.
func TestLoad_TimesOfAKnownServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &delays{rcpt: 3 * time.Millisecond, data: 2 * time.Millisecond, dot: func(n int) time.Duration { return time.Duration(n+1) * time.Millisecond }}
		r, err := d.load(0).Run(t.Context())
		if err != nil || r.Messages != 100 {
			t.Fatalf("%v (%v)", r, err)
		}
		wantTimes(t, r, StageRcpt, times(100, func(int) time.Duration { return 3 * time.Millisecond }))
		wantTimes(t, r, StageData, times(100, func(int) time.Duration { return 2 * time.Millisecond }))
		wantTimes(t, r, StageDot, times(100, func(n int) time.Duration { return time.Duration(n+1) * time.Millisecond }))
		wantTimes(t, r, StageMessage, times(100, func(n int) time.Duration { return time.Duration(n+6) * time.Millisecond }))
		if want := 5550 * time.Millisecond; r.Elapsed != want {
			t.Errorf("all of it took %s, by hand %s", r.Elapsed, want)
		}
	})
}

// A closed loop omits what a stall costs the messages that would have come meanwhile
// (one sample of 100 is long); an open loop at 100 a second has in its times the wait
// of all messages that queued after the stall.
func TestLoad_CoordinatedOmission(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		closed, err := (&delays{dot: stall}).load(0).Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		wantTimes(t, closed, StageMessage, times(100, stall))
		if p90 := closed.Stages["message"].P90; p90 > 2*time.Millisecond {
			t.Errorf("closed loop: p90 is %s", p90)
		}

		open, err := (&delays{dot: stall}).load(100).Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		// By hand: message n is due at 10n ms and begins when the one before is over.
		free := time.Duration(0)
		var want []time.Duration
		for n := range 100 {
			due := time.Duration(n) * 10 * time.Millisecond
			free = max(free, due) + stall(n)
			want = append(want, free-due)
		}
		wantTimes(t, open, StageMessage, want)
		wantTimes(t, open, StageDot, times(100, stall)) // the service times are as they were
		if p50 := open.Stages["message"].P50; p50 < 100*time.Millisecond {
			t.Errorf("open loop: p50 is %s, so the wait after the stall is left out", p50)
		}
	})
}

// An open loop is over when its context is, without an error.
func TestLoad_OpenLoopEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 955*time.Millisecond)
		defer cancel()
		load := (&delays{dot: stall}).load(10)
		load.Messages = 0
		r, err := load.Run(ctx)
		if err != nil || r.Messages != 10 || r.Elapsed != 955*time.Millisecond {
			t.Errorf("%v in %s (%v), want 10 in 955ms", r, r.Elapsed, err)
		}
	})
}
