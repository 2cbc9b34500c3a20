package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"postrider/bench"
	"postrider/bench/sink"
	"postrider/cmd/sysexits"
)

// relaying is the subcommand relay.
type relaying struct {
	clientFlags
	outcome
	source
	load      bench.Load
	pipelined bool
	next      string
	wait      time.Duration
	sink      sinking
}

func relayCommand() *cobra.Command {
	var r relaying
	cmd := &cobra.Command{
		Use:   "relay [flags] --next HOST:PORT HOST:PORT",
		Short: "Send mail through a relay, be its next hop, and wait until all has come",
		Long: `Listen at --next, send messages to the relay at HOST:PORT, and wait until each of them
arrived: the server must be configured to send mail for these recipients to --next.
The time is from the first connect to the last arrival. Each body is compared by
SHA-256 with what was acknowledged, and repeated arrivals are reported. --fault and
--wait make the next hop fail, as in "postbench sink".`,
		Example: `  postbench relay --next 127.0.0.1:2600 -m 10000 -t u@d%d.example --users 50 127.0.0.1:2525
  postbench relay --next 127.0.0.1:2600 -m 1000 --fault tempfail-rcpt-first100 127.0.0.1:2525`,
		Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error { return r.run(cmd, args[0]) },
	}
	r.clientFlags.add(cmd)
	r.outcome.add(cmd)
	r.source.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&r.next, "next", "127.0.0.1:2600", "HOST:PORT to listen at as the relay's next hop")
	flags.IntVarP(&r.load.Sessions, "sessions", "s", 20, "sessions at once")
	flags.IntVarP(&r.load.Messages, "messages", "m", 1000, "messages")
	flags.StringVarP(&r.load.From, "from", "f", "sender@bench.example", "reverse-path")
	flags.BoolVar(&r.pipelined, "pipelined", false, "send pipelined")
	flags.StringVar(&r.auth, "auth", "", "NAME:PASSWORD for AUTH PLAIN")
	flags.DurationVar(&r.wait, "arrive-within", time.Minute, "how long to wait for arrivals after the last 250")
	flags.StringSliceVar(&r.sink.faults, "fault", nil, "a rule for how the next hop fails")
	flags.StringArrayVar(&r.sink.waits, "wait", nil, "a wait at the next hop, STAGE=DISTRIBUTION")
	r.sink.tls, r.sink.loops = "none", 1
	return cmd
}

func (r *relaying) run(cmd *cobra.Command, addr string) (err error) {
	if r.load.Client, err = r.client(addr, "25"); err != nil {
		return err
	}
	if r.load.Messages < 1 || r.load.Sessions < 1 {
		return sysexits.Usage.With(errors.New("--messages and --sessions must be more than 0"))
	}
	if err := r.sink.prepare(); err != nil {
		return err
	}
	next, err := address(r.next, "2600")
	if err != nil {
		return err
	}
	r.load.Mode = bench.Mode(r.pipelined)
	return r.measure(cmd, r.load.Client.Addr, r.load.Messages, func(ctx context.Context, _ int, meter *bench.Meter) (bench.Report, error) {
		return r.round(ctx, meter, next)
	})
}

// arrivals is what came to the next hop.
type arrivals struct {
	mu   sync.Mutex // guards mail
	mail [][]byte
}

func (a *arrivals) add(one sink.Arrival) {
	a.mu.Lock()
	defer a.mu.Unlock()
	// A message for several recipients may come once for all of them, or once for
	// each: either way each is a copy.
	for range one.To {
		a.mail = append(a.mail, one.Message)
	}
}

func (a *arrivals) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.mail)
}

// round sends and waits. The report counts and times arrivals; its stages are the
// stages of sending.
func (r *relaying) round(ctx context.Context, meter *bench.Meter, next string) (bench.Report, error) {
	corpus, to, err := r.source.make()
	if err != nil {
		return bench.Report{}, err
	}
	came := &arrivals{}
	options := r.sink.options
	options.Keep, options.Arrived = 64<<20, came.add
	hop, stop := context.WithCancel(ctx)
	defer stop()
	ln, err := sink.Listen(hop, next)
	if err != nil {
		return bench.Report{}, sysexits.Unavailable.With(err)
	}
	over := make(chan error, 1)
	go func() { over <- sink.New(options).Serve(hop, ln, 1) }()

	ledger := bench.NewLedger(r.source.run)
	load := r.load
	load.To, load.Wire, load.Head, load.Meter = to, corpus.Wire, corpus.Head, meter
	load.Accepted = func(n int, reply bench.Reply) { ledger.Accept(corpus.ID(n), corpus.Digest(n), to(n), reply) }
	running, cancel := r.start(ctx, meter)
	defer cancel()
	begin := time.Now()
	report, err := load.Run(running)
	want := report.Messages * r.rcpts
	for end := time.Now().Add(r.wait); came.count() < want && time.Now().Before(end) && ctx.Err() == nil; {
		time.Sleep(2 * time.Millisecond)
	}
	report.Elapsed = time.Since(begin)
	stop()
	err = errors.Join(err, <-over)
	for _, wire := range came.mail {
		ledger.Found(bench.Unstuff(wire))
	}
	audit := ledger.Audit()
	report.Audit = &audit
	if audit.Lost > 0 {
		err = errors.Join(err, fmt.Errorf("%d of %d messages had not arrived %s after the last 250", audit.Lost, want, r.wait))
	}
	return report, err
}
