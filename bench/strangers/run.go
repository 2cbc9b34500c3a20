package strangers

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"postrider/bench"
)

// Run is one attack. All but Addresses must be set.
type Run struct {
	SMTP, Submission, POP3, HTTP string // where the server listens
	Domain                       string // the server's
	User, Password               string // the server's account, at Domain
	Duration                     time.Duration
	Hosts                        *Hosts // see Listen
	PID                          int    // the server's
	// Addresses is where strangers connect from; zero: 127.64.0.0/10.
	Addresses netip.Prefix

	from   atomic.Uint64 // the number of the last stranger
	made   []tally       // by index in attacks
	meters [flows]*bench.Meter
	own    ownMail
}

// Config is what the configuration of the server has to say, besides its listeners and
// its data.
func Config(domain string, h *Hosts, memory string) string {
	return fmt.Sprintf(`[server]
hostname = "mx.%[1]s"
domains = [%[1]q]
[limits]
memory = %[4]q
[storage]
cache = "16MiB"
memtable = "8MiB"
[tls]
self_signed = true
[submission]
messages_per_hour = 0
recipients_per_hour = 0
[smtp]
trusted_networks = ["127.0.0.1/32"]
[policy]
verify = true
[relay]
networks = ["127.0.0.1/32"]
resolvers = [%[2]q]
port = %[3]d
mta_sts = false
private_networks = [%[5]q]
`, domain, h.NameServer, h.Port, memory, netip.PrefixFrom(h.sink, 24).Masked())
}

// Report is what a Run came to.
type Report struct {
	Duration time.Duration
	Own      map[string]bench.Summary // by what was timed
	Refused  map[string]map[string]int
	Lost     []string // own mail that was acknowledged and is not there
	Attacks  map[string]Made
	Trickled int64 // connections of the server to hosts that trickle
	Usage    bench.Usage
	Samples  []Sample
}

// Made is how often an attack was begun, how often it went to its end, and what it was
// told, or how it ended, else.
type Made struct {
	Begun, Ended int
	Else         map[string]int
}

// tally counts one attack.
type tally struct {
	mu sync.Mutex
	Made
}

// maxElse bounds the texts that are counted separately.
const maxElse = 20

func (t *tally) begun() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.Begun++
}

func (t *tally) ended(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		t.Ended++
		return
	}
	text := withoutNumbers(err.Error())
	if t.Else == nil {
		t.Else = make(map[string]int)
	}
	if t.Else[text] == 0 && len(t.Else) == maxElse {
		text = "others"
	}
	t.Else[text]++
}

// most returns the most frequent text of Else.
func (m Made) most() (text string, n int) {
	for each, count := range m.Else {
		if count > n || count == n && each < text {
			text, n = each, count
		}
	}
	return text, n
}

// Sample is what the server held at one time.
type Sample struct {
	At  time.Duration
	RSS int64
}

// Run attacks, and measures, until Duration is over or ctx ends. The error says what of the
// own mail could not be done at all, or that the server is gone.
func (r *Run) Run(ctx context.Context) (*Report, error) {
	for i := range r.meters {
		r.meters[i] = bench.NewMeter()
	}
	r.own.acknowledged, r.made = make(map[string]bool), make([]tally, len(attacks))
	begin := time.Now()
	attack, stop := context.WithTimeout(ctx, r.Duration)
	defer stop()
	var all sync.WaitGroup
	for i, a := range attacks {
		for n := range a.at {
			all.Go(func() { r.keepOn(attack, a, &r.made[i], n) })
		}
	}
	r.ownFlows(attack, &all)
	report := &Report{Own: make(map[string]bench.Summary), Refused: make(map[string]map[string]int), Attacks: make(map[string]Made)}
	r.sample(attack, begin, report)
	all.Wait()
	report.Duration = time.Since(begin)
	var err error
	if report.Usage, err = bench.ReadUsage(r.PID); err != nil {
		return report, fmt.Errorf("the server is gone: %w", err)
	}
	for i, m := range r.meters {
		got := m.Report()
		report.Own[flowNames[i]] = got.Stages[bench.StageMessage.String()]
		if len(got.Refused) > 0 {
			report.Refused[flowNames[i]] = got.Refused
		}
	}
	for i, a := range attacks {
		report.Attacks[a.name] = r.made[i].Made
	}
	report.Trickled = r.Hosts.trickled.Load()
	report.Lost = r.missing(ctx)
	return report, nil
}

// sample looks at the server every second until ctx ends.
func (r *Run) sample(ctx context.Context, begin time.Time, report *Report) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if u, err := bench.ReadUsage(r.PID); err == nil {
				report.Samples = append(report.Samples, Sample{time.Since(begin), u.RSS})
			}
		}
	}
}

// keepOn makes an attack again and again.
func (r *Run) keepOn(ctx context.Context, a attack, t *tally, n int) {
	for ; ctx.Err() == nil; n += a.at {
		t.begun()
		if err := a.make(ctx, r, n); ctx.Err() == nil {
			t.ended(err)
		}
		pause(ctx, a.pause)
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// Write writes a report for people.
func (r *Report) Write(w io.Writer) {
	fmt.Fprintf(w, "%s of attacks, CPU of the server %s, resident %.0f MB now, %.0f MB at the peak\n\n", r.Duration.Round(time.Second),
		r.Usage.CPU.Round(time.Second), float64(r.Usage.RSS)/1e6, float64(r.Usage.PeakRSS)/1e6)
	fmt.Fprintln(w, "| own mail | times | p50, ms | p99, ms | most, ms | not done |")
	fmt.Fprintln(w, "| --- | ---: | ---: | ---: | ---: | --- |")
	for _, name := range flowNames {
		s := r.Own[name]
		var refused []string
		for text, n := range r.Refused[name] {
			refused = append(refused, fmt.Sprintf("%d: %s", n, text))
		}
		fmt.Fprintf(w, "| %s | %d | %s | %s | %s | %s |\n", name, s.Count, ms(s.P50), ms(s.P99), ms(s.Max), strings.Join(refused, "; "))
	}
	fmt.Fprintln(w)
	fmt.Fprintln(w, "| attack | at once | begun | to its end | told else, the most often |")
	fmt.Fprintln(w, "| --- | ---: | ---: | ---: | --- |")
	for _, a := range attacks {
		m := r.Attacks[a.name]
		text, n := m.most()
		if n > 0 {
			text = fmt.Sprintf("%d: %s", n, text)
		}
		fmt.Fprintf(w, "| %s | %d | %d | %d | %s |\n", a.name, a.at, m.Begun, m.Ended, text)
	}
	fmt.Fprintln(w)
	fmt.Fprintf(w, "Connections of the server to hosts that trickle: %d.\n", r.Trickled)
	fmt.Fprintf(w, "Own mail that was acknowledged and is lost: %d.\n", len(r.Lost))
	for _, id := range r.Lost[:min(len(r.Lost), 5)] {
		fmt.Fprintf(w, "lost: %s\n", id)
	}
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f", float64(d)/float64(time.Millisecond)) }
