package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"postrider/bench"
	"postrider/cmd/sysexits"
)

// sending is the subcommand smtp.
type sending struct {
	clientFlags
	outcome
	source // what is sent
	search // where it is looked for

	load      bench.Load
	pipelined bool
	fresh     bool
	sources   []string
	rate      string
	ledger    string
}

func smtpCommand() *cobra.Command {
	var s sending
	cmd := &cobra.Command{
		Use:   "smtp [flags] HOST:PORT",
		Short: "Send messages in many sessions",
		Long: `Send messages in many sessions and report how many were accepted and how long each
took. Sessions send as fast as they are answered (a closed loop) or, with --rate, at
the times of a timetable (an open loop); then a message's time counts from when it
was meant to begin, so the figures of a server that stalls include the wait of all
messages that queued meanwhile. Give an open loop enough sessions.

The one-letter flags are smtp-source's (Postfix); but sessions keep their connection
unless --new-connection or --per-connection say otherwise. "postbench smtp-source"
takes its command lines as they are.

Sizes are octets, or a distribution: 4k, uniform:1k-10k, lognormal:4k,2 (the median,
and the factor of one standard deviation). Recipients are a list, a file with one a
line, or a pattern with %d and --users; each message goes to the next --rcpts of them.`,
		Example: `  postbench smtp -s 20 -m 20000 -l 4k -t reader@example.org 127.0.0.1:25
  postbench smtp --rate 500/s --duration 1m -s 200 --size lognormal:8k,3 \
      -t user%d@example.org --users 1000 --stages 127.0.0.1:25
  postbench smtp --tls starttls --insecure --auth ann:secret --folder ~/mail 127.0.0.1:587
  postbench smtp -m 1000 -t 'u%d@localhost' --users 10 --verify 127.0.0.1:110 \
      --verify-password secret 127.0.0.1:25
  postbench smtp -m 10000 --rounds 5 --json new.json --pid $(pidof server) 127.0.0.1:25`,
		Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error { return s.run(cmd, args[0]) },
	}
	s.clientFlags.add(cmd)
	s.outcome.add(cmd)
	s.source.add(cmd)
	s.search.add(cmd)
	flags := cmd.Flags()
	flags.IntVarP(&s.load.Sessions, "sessions", "s", 20, "sessions at once")
	flags.IntVarP(&s.load.Messages, "messages", "m", 1000, "messages in all; with --duration and not given: no end")
	flags.IntVar(&s.load.PerConnection, "per-connection", 0, "messages before QUIT and a new connection; 0: no end")
	flags.BoolVar(&s.fresh, "new-connection", false, "a new connection for each message")
	flags.BoolP("keep", "d", true, "keep the connection (always so)")
	flags.StringVarP(&s.load.From, "from", "f", "sender@bench.example", "reverse-path")
	flags.BoolVar(&s.pipelined, "pipelined", false, "send the dot of a message and the envelope of the next in one write")
	flags.BoolVar(&s.load.BDAT, "bdat", false, "send each message as a chunk (RFC 3030)")
	flags.BoolVarP(&s.load.KeepGoing, "keep-going", "A", false, "connect again when a session breaks, and count it")
	flags.StringVar(&s.rate, "rate", "", "messages a second at fixed times, for example 100/s")
	flags.StringVar(&s.auth, "auth", "", "NAME:PASSWORD for AUTH PLAIN")
	flags.StringSliceVar(&s.sources, "source", nil, "addresses of this host to connect from, in turn")
	flags.StringVar(&s.ledger, "ledger", "", "write the list of acknowledged messages to this file, for \"postbench verify\"")
	flags.BoolP("counter", "c", false, "show a running counter (always so on a terminal)")
	return cmd
}

// run measures.
func (s *sending) run(cmd *cobra.Command, addr string) error {
	if err := s.prepare(cmd, addr); err != nil {
		return err
	}
	var ledger *bench.Ledger
	err := s.measure(cmd, s.load.Client.Addr, s.load.Messages, func(ctx context.Context, round int, meter *bench.Meter) (bench.Report, error) {
		corpus, recipients, err := s.source.make()
		if err != nil {
			return bench.Report{}, err
		}
		load := s.load
		load.To, load.Wire, load.Head, load.Meter = recipients, corpus.Wire, corpus.Head, meter
		if s.search.wanted() || s.ledger != "" {
			ledger = bench.NewLedger(s.source.run)
			load.Accepted = func(n int, reply bench.Reply) {
				ledger.Accept(corpus.ID(n), corpus.Digest(n), recipients(n), reply)
			}
		}
		running, cancel := s.start(ctx, meter)
		defer cancel()
		report, err := load.Run(running)
		if s.search.addr != "" {
			// Reading by POP3 is work for the server that isn't the load's. What it
			// does after the 250, until all mail is in maildirs, is.
			err = errors.Join(err, s.cost(&report))
		}
		if s.search.wanted() {
			audit, serr := s.search.find(ctx, ledger)
			report.Audit, err = &audit, errors.Join(err, serr)
		}
		return report, err
	})
	if s.ledger != "" && ledger != nil {
		err = errors.Join(err, writeLedger(s.ledger, ledger))
	}
	return err
}

// prepare turns flags into a load.
func (s *sending) prepare(cmd *cobra.Command, addr string) (err error) {
	if s.load.Client, err = s.client(addr, "25"); err != nil {
		return err
	}
	if len(s.sources) > 0 {
		if s.load.Client.Dial, err = from(s.sources); err != nil {
			return err
		}
	}
	s.load.Mode = bench.Mode(s.pipelined)
	if s.fresh {
		s.load.PerConnection = 1
	}
	if s.duration > 0 && !cmd.Flags().Changed("messages") {
		s.load.Messages = 0
	}
	if s.load.Messages <= 0 && s.duration == 0 || s.load.Sessions <= 0 {
		return sysexits.Usage.With(errors.New("give --messages or --duration, and --sessions, more than 0"))
	}
	if s.rate != "" {
		if _, err := fmt.Sscanf(strings.TrimSuffix(s.rate, "/s"), "%g", &s.load.Rate); err != nil || s.load.Rate <= 0 {
			return sysexits.Usage.With(fmt.Errorf("--rate %s: give messages a second, for example 100/s", s.rate))
		}
	}
	return nil
}

func writeLedger(name string, ledger *bench.Ledger) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(ledger.Write(f), f.Close())
}

// source is what is sent, and its recipients.
type source struct {
	size, folder, to, toFile string
	users, rcpts, texts      int
	seed                     uint64
	run                      string // the id of the last corpus
}

func (s *source) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVarP(&s.size, "size", "l", "4096", "octets of a message, about, or a distribution")
	flags.StringVar(&s.folder, "folder", "", "send the mails in this folder, one a file, in place of made ones")
	flags.StringVarP(&s.to, "to", "t", "reader@localhost", "recipients, separated by commas, or a pattern with %d")
	flags.StringVar(&s.toFile, "to-file", "", "a file with a recipient a line")
	flags.IntVar(&s.users, "users", 100, "how many a pattern makes, from 0")
	flags.IntVarP(&s.rcpts, "rcpts", "r", 1, "recipients of each message")
	flags.IntVar(&s.texts, "texts", 64, "different texts of made messages")
	flags.Uint64Var(&s.seed, "seed", 1, "of random sizes and texts")
}

// make makes the messages and the function for their recipients.
func (s *source) make() (*bench.Corpus, func(n int) []string, error) {
	s.run = strings.ToLower(rand.Text()[:10])
	recipients, err := s.recipients()
	if err != nil {
		return nil, nil, err
	}
	turn := func(n int) []string {
		to := make([]string, s.rcpts)
		for i := range to {
			to[i] = recipients[(n*s.rcpts+i)%len(recipients)]
		}
		return to
	}
	if s.folder != "" {
		corpus, err := bench.ReadCorpus(s.run, s.folder)
		return corpus, turn, err
	}
	sizes, err := bench.ParseSizes(s.size)
	if err != nil {
		return nil, nil, sysexits.Usage.With(err)
	}
	return bench.NewCorpus(s.run, sizes, s.texts, s.seed), turn, nil
}

func (s *source) recipients() (all []string, err error) {
	switch {
	case s.toFile != "":
		f, err := os.Open(s.toFile)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			if line := strings.TrimSpace(lines.Text()); line != "" {
				all = append(all, line)
			}
		}
	case strings.Contains(s.to, "%d"):
		for n := range s.users {
			all = append(all, strings.ReplaceAll(s.to, "%d", fmt.Sprint(n)))
		}
	default:
		all = strings.Split(s.to, ",")
	}
	if len(all) == 0 || s.rcpts < 1 || s.rcpts > len(all) || s.texts < 1 {
		return nil, sysexits.Usage.With(fmt.Errorf("there are %d recipients for --rcpts %d and --texts %d", len(all), s.rcpts, s.texts))
	}
	return all, nil
}

// plainRound is a round without a ledger.
func (s *sending) plainRound(ctx context.Context, _ int, meter *bench.Meter) (bench.Report, error) {
	load := s.load
	load.Meter = meter
	ctx, cancel := s.start(ctx, meter)
	defer cancel()
	return load.Run(ctx)
}
