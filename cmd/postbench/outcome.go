package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"postrider/bench"
	"postrider/cmd/sysexits"
)

// outcome is how a measurement is repeated and reported.
type outcome struct {
	rounds     int
	pids       []int
	json, html string
	benchstat  bool
	stages     bool
	duration   time.Duration
	every      time.Duration

	before bench.Usage // the usage of pids at the start of the round
}

func (o *outcome) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.IntVar(&o.rounds, "rounds", 1, "number of rounds; compare needs 3 or more")
	flags.IntSliceVar(&o.pids, "pid", nil, "processes of the server: their cost and their children's is reported")
	flags.StringVar(&o.json, "json", "", "write the result to this file; - is standard output, and then nothing else")
	flags.StringVar(&o.html, "html", "", "write a page with charts to this file")
	flags.BoolVar(&o.benchstat, "benchstat", false, "print a line a round for benchstat")
	flags.BoolVar(&o.stages, "stages", false, "print the times of each stage")
	flags.DurationVar(&o.every, "every", 0, "print a line each time this has passed, with what was counted since the last one")
	flags.DurationVar(&o.duration, "duration", 0, "end each round after this time")
}

// measure runs the rounds, prints the result of each, and writes the files. total
// is the messages of a round, 0 if unknown. run does one round, gets the number of
// the round, and calls start before it sends.
func (o *outcome) measure(cmd *cobra.Command, target string, total int, run func(ctx context.Context, round int, meter *bench.Meter) (bench.Report, error)) error {
	if o.rounds < 1 {
		return sysexits.Usage.With(fmt.Errorf("--rounds %d: give 1 or more", o.rounds))
	}
	result := &bench.Result{Workload: cmd.Name(), Target: target, Args: os.Args[1:], Time: time.Now().UTC(), Machine: machine()}
	var failed error
	for round := range o.rounds {
		report, err := o.round(cmd, total, round, run)
		result.Rounds = append(result.Rounds, report)
		if o.json != "-" {
			fmt.Fprintln(cmd.OutOrStdout(), report)
			o.print(cmd, report)
		}
		if err == nil && len(report.Refused) > 0 {
			err = errors.New("not all messages were accepted")
		}
		if err == nil && report.Audit != nil {
			err = report.Audit.Err()
		}
		failed = errors.Join(failed, err)
		if cmd.Context().Err() != nil {
			break
		}
	}
	if o.benchstat {
		result.Benchstat(cmd.OutOrStdout())
	}
	return errors.Join(failed, o.files(cmd, result))
}

// round is one round, with what it cost.
func (o *outcome) round(cmd *cobra.Command, total, round int, run func(context.Context, int, *bench.Meter) (bench.Report, error)) (bench.Report, error) {
	if len(o.pids) > 0 {
		var err error
		if o.before, err = bench.ReadTree(o.pids...); err != nil {
			return bench.Report{}, sysexits.Usage.With(fmt.Errorf("--pid: %w", err))
		}
	}
	own, err := bench.ReadUsage(os.Getpid())
	if err != nil {
		return bench.Report{}, err
	}
	meter := bench.NewMeter()
	stop := watch(cmd, meter, total, o.duration)
	stopCuts := cuts(cmd, meter, o.every)
	report, failed := run(cmd.Context(), round, meter)
	stopCuts()
	stop()
	if failed != nil {
		report.Errors = strings.Split(failed.Error(), "\n")
		report.Errors = report.Errors[:min(len(report.Errors), 20)]
	}
	if now, err := bench.ReadUsage(os.Getpid()); err == nil {
		report.Own = now.Since(own, report.Messages)
	}
	return report, errors.Join(failed, o.cost(&report))
}

// cost notes what the server has used since the round began, unless that was
// noted already.
func (o *outcome) cost(r *bench.Report) error {
	if len(o.pids) == 0 || r.Cost != nil {
		return nil
	}
	now, err := bench.ReadTree(o.pids...)
	if err != nil {
		return fmt.Errorf("the server is gone: %w", err)
	}
	r.Cost = now.Since(o.before, r.Messages)
	return nil
}

// start lets the clock of a round begin, once all that it sends is made.
func (o *outcome) start(ctx context.Context, meter *bench.Meter) (context.Context, context.CancelFunc) {
	meter.Restart()
	if o.duration > 0 {
		return context.WithTimeout(ctx, o.duration)
	}
	return context.WithCancel(ctx)
}

func (o *outcome) print(cmd *cobra.Command, r bench.Report) {
	out := cmd.OutOrStdout()
	if r.Cost != nil {
		fmt.Fprintf(out, "server: %d us of CPU a message, %.1f MB resident, %.1f MB at its peak\n",
			r.Cost.PerMessage.Microseconds(), float64(r.Cost.RSS)/1e6, float64(r.Cost.PeakRSS)/1e6)
		fmt.Fprintf(out, "postbench: %d us of CPU a message\n", r.Own.PerMessage.Microseconds())
	}
	if r.Audit != nil {
		fmt.Fprintln(out, r.Audit)
	}
	if o.stages {
		fmt.Fprint(out, r.StageTable())
	}
}

func (o *outcome) files(cmd *cobra.Command, result *bench.Result) error {
	if o.json == "-" {
		return result.Write(cmd.OutOrStdout())
	}
	write := func(name string, write func(*os.File) error) error {
		if name == "" {
			return nil
		}
		f, err := os.Create(name)
		if err != nil {
			return err
		}
		return errors.Join(write(f), f.Close())
	}
	return errors.Join(
		write(o.json, func(f *os.File) error { return result.Write(f) }),
		write(o.html, func(f *os.File) error { return result.Page(f) }))
}

// machine describes the machine of the measurement.
func machine() string {
	cpu := "unknown CPU"
	info, _ := os.ReadFile("/proc/cpuinfo")
	if _, rest, ok := strings.Cut(string(info), "model name"); ok {
		line, _, _ := strings.Cut(rest, "\n")
		cpu = strings.Trim(line, "\t :")
	}
	return fmt.Sprintf("%d cores, %s, %s/%s", runtime.NumCPU(), cpu, runtime.GOOS, runtime.GOARCH)
}
