package main

import (
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// bar shows how far a long command is, on a terminal; elsewhere it is nil and
// shows nothing.
type bar struct{ bar *progressbar.ProgressBar }

// newBar begins a bar up to total; total -1: unknown.
func newBar(cmd *cobra.Command, what string, total int64) *bar {
	if cmd.ErrOrStderr() != os.Stderr || !term.IsTerminal(int(os.Stderr.Fd())) {
		return nil
	}
	return &bar{progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(os.Stderr), progressbar.OptionSetDescription(what),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionShowCount(),
		progressbar.OptionClearOnFinish())}
}

func (b *bar) set(n int64) {
	if b != nil {
		_ = b.bar.Set64(n)
	}
}

func (b *bar) done() {
	if b != nil {
		_ = b.bar.Finish()
	}
}
