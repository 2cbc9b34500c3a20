package main

import (
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"postrider/bench"
)

// watch shows how far a run is, on a terminal, until stop is called; elsewhere it
// shows nothing. total 0: unknown.
func watch(cmd *cobra.Command, meter *bench.Meter, total int) (stop func()) {
	if cmd.ErrOrStderr() != os.Stderr || !term.IsTerminal(int(os.Stderr.Fd())) {
		return func() {}
	}
	if total == 0 {
		total = -1
	}
	bar := progressbar.NewOptions(total, progressbar.OptionSetWriter(os.Stderr), progressbar.OptionShowCount(),
		progressbar.OptionShowIts(), progressbar.OptionSetItsString("messages"), progressbar.OptionClearOnFinish())
	over := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				messages, refused, p99 := meter.Progress()
				bar.Describe(fmt.Sprintf("p99 %s, %d refused", p99.Round(10*time.Microsecond), refused))
				_ = bar.Set(messages)
			case <-over:
				_ = bar.Finish()
				return
			}
		}
	})
	return func() {
		close(over)
		wg.Wait()
	}
}
