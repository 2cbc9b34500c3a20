package workspace

import (
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// Bar shows how far a long command is, on a terminal; elsewhere it is nil and
// shows nothing.
type Bar struct{ bar *progressbar.ProgressBar }

// NewBar begins a bar up to total; total -1: unknown.
func NewBar(cmd *cobra.Command, what string, total int64) *Bar {
	if cmd.ErrOrStderr() != os.Stderr || !term.IsTerminal(int(os.Stderr.Fd())) {
		return nil
	}
	return &Bar{progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(os.Stderr), progressbar.OptionSetDescription(what),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionShowCount(),
		progressbar.OptionClearOnFinish())}
}

// Set shows that n are done.
func (b *Bar) Set(n int64) {
	if b != nil {
		_ = b.bar.Set64(n)
	}
}

// Done ends the bar.
func (b *Bar) Done() {
	if b != nil {
		_ = b.bar.Finish()
	}
}
