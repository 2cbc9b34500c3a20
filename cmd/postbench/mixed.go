package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"postrider/bench"
	"postrider/cmd/sysexits"
)

// mixing is the subcommand mixed.
type mixing struct {
	outcome
	smtp, pop3 clientFlags
	source
	pop3Addr, password    string
	local                 bool
	rate                  float64
	polls, fetches, large int
	largeSize             string
	sessions              int
}

func mixedCommand() *cobra.Command {
	var m mixing
	cmd := &cobra.Command{
		Use:   "mixed [flags] --pop3 HOST:PORT HOST:PORT",
		Short: "Deliveries, polls, fetches and large messages at once, as in a day",
		Long: `Do what an Internet provider's server does in a day, all at once for --duration: deliveries
at a rate (an open loop), sessions that log in, STAT and QUIT, sessions that empty
maildrops, and sessions that send large messages. The report's messages are all of
them; the times of a "message" mix them too, so look at the stages (--stages): login
for polls, dot for deliveries, retr for fetches.`,
		Example: `  postbench mixed --duration 1m --rate 300 --polls 10 --fetches 4 --large 2 \
      -t user%d@example.org --users 1000 --pop3 127.0.0.1:110 --stages 127.0.0.1:25`,
		Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error { return m.run(cmd, args[0]) },
	}
	m.outcome.add(cmd)
	m.source.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&m.pop3Addr, "pop3", "127.0.0.1:110", "HOST:PORT of the POP3 server")
	flags.StringVar(&m.password, "password", "secret", "password of all accounts")
	flags.BoolVar(&m.local, "local", false, "log in with the part before the @ alone")
	flags.Float64Var(&m.rate, "rate", 100, "deliveries a second")
	flags.IntVar(&m.sessions, "sessions", 50, "sessions for deliveries")
	flags.IntVar(&m.polls, "polls", 5, "sessions that poll; no two at one maildrop")
	flags.IntVar(&m.fetches, "fetches", 2, "sessions that empty maildrops")
	flags.IntVar(&m.large, "large", 1, "sessions that send large messages, one after the other")
	flags.StringVar(&m.largeSize, "large-size", "uniform:1m-10m", "of those")
	m.smtp.tls, m.pop3.tls = "none", "none"
	return cmd
}

func (m *mixing) run(cmd *cobra.Command, addr string) error {
	smtp, err := m.smtp.client(addr, "25")
	if err != nil {
		return err
	}
	pop3, err := m.pop3.client(m.pop3Addr, "110")
	if err != nil {
		return err
	}
	if m.duration <= 0 || m.rate <= 0 {
		return sysexits.Usage.With(errors.New("--duration and --rate must be more than 0"))
	}
	sizes, err := bench.ParseSizes(m.largeSize)
	if err != nil {
		return sysexits.Usage.With(err)
	}
	return m.measure(cmd, smtp.Addr, 0, func(ctx context.Context, _ int, meter *bench.Meter) (bench.Report, error) {
		corpus, to, err := m.source.make()
		if err != nil {
			return bench.Report{}, err
		}
		names, err := m.source.recipients()
		if err != nil {
			return bench.Report{}, err
		}
		load := bench.Load{Client: smtp, Sessions: m.sessions, From: "sender@bench.example", Rate: m.rate, To: to, Wire: corpus.Wire, Head: corpus.Head, Meter: meter, KeepGoing: true}
		big := load
		large := bench.NewCorpus(m.source.run+"l", sizes, 8, m.seed)
		big.Rate, big.Sessions, big.Wire, big.Head = 0, m.large, large.Wire, large.Head
		ctx, cancel := m.start(ctx, meter)
		defer cancel()
		return m.atOnce(ctx, meter, []bench.Load{load, big}, pop3, names)
	})
}

// atOnce runs everything until ctx ends.
func (m *mixing) atOnce(ctx context.Context, meter *bench.Meter, loads []bench.Load, pop3 bench.Client, names []string) (bench.Report, error) {
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex // guards errs
		errs bench.Failures
	)
	start := func(run func() error) {
		wg.Go(func() {
			if err := run(); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs.Add(err)
			}
		})
	}
	for _, load := range loads {
		start(func() error { _, err := load.Run(ctx); return err })
	}
	if m.local {
		for i, name := range names {
			names[i], _, _ = strings.Cut(name, "@")
		}
	}
	r := reading{fetch: bench.Fetch{Client: pop3, Password: m.password, Mode: bench.Pipelined, Window: 16, Delete: true}}
	readers := m.polls + m.fetches
	for n := range readers {
		// Each reader has maildrops of its own: a maildrop admits one session.
		var mine []string
		for i := n; i < len(names); i += readers {
			mine = append(mine, names[i])
		}
		if len(mine) == 0 {
			continue
		}
		r := r
		if n < m.polls {
			r.logins = 1
		}
		start(func() error { return r.rounds(ctx, meter, mine) })
	}
	wg.Wait()
	return meter.Report(), errs.Err()
}

// rounds visits the maildrops one after the other until ctx ends.
func (r *reading) rounds(ctx context.Context, meter *bench.Meter, names []string) error {
	for n := 0; ctx.Err() == nil; n++ {
		name := names[n%len(names)]
		if err := r.one(ctx, meter, name); err != nil && ctx.Err() == nil {
			return fmt.Errorf("maildrop of %s: %w", name, err)
		}
	}
	return nil
}
