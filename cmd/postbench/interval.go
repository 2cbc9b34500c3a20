package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"postrider/bench"
)

// cuts prints a line about each interval of a run, until stop is called; every 0: none.
// The line has fields with spaces between, for scripts: interval number, messages/s,
// refusals, then in us p50, p99, p99.9 of dot to 250, and p99.9 and the most of a
// message. An interval in which nothing was done has zeros.
func cuts(cmd *cobra.Command, meter *bench.Meter, every time.Duration) (stop func()) {
	if every <= 0 {
		return func() {}
	}
	pieces := bench.NewIntervals(meter)
	over := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for n := 1; ; n++ {
			select {
			case <-tick.C:
				r := pieces.Cut()
				dot, all := r.Stages[bench.StageDot.String()], r.Stages[bench.StageMessage.String()]
				fmt.Fprintf(cmd.OutOrStdout(), "interval %d %.1f %d %d %d %d %d %d\n", n, r.PerSecond(), r.Refused["refused"],
					dot.P50.Microseconds(), dot.P99.Microseconds(), dot.P999.Microseconds(), all.P999.Microseconds(), all.Max.Microseconds())
			case <-over:
				return
			}
		}
	})
	return func() {
		close(over)
		wg.Wait()
	}
}
