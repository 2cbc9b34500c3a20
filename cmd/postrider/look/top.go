package look

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/engine/edge/conn"
	"postrider/engine/front/admin"
)

// shortestInterval is the least time between two looks of top.
const shortestInterval = 100 * time.Millisecond

// TopCommand is "postrider top".
func TopCommand() *cobra.Command {
	var t workspace.Target
	var c criteria
	every, looks := 2*time.Second, 0
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Show what the running server does, again every two seconds",
		Long: `Show the state of the running server and its sessions, those first that moved the
most octets since the last look. The rates are differences between two looks. On a
terminal q or ^C ends it; elsewhere it prints one page after the other.`,
		Example: `  postrider top
  postrider top --protocol pop3
  postrider top --interval 10s --count 6 >top.txt`,
		Args: workspace.Exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			sel, err := c.selection()
			if err != nil {
				return err
			}
			if every < shortestInterval || looks < 0 {
				return sysexits.Usage.With(fmt.Errorf("--interval is at least %v, and --count 0 or more", shortestInterval))
			}
			return with(cmd, &t, func(server *admin.Client) error {
				return (&watch{server: server, sel: sel, every: every, looks: looks}).run(cmd.Context(), cmd.OutOrStdout())
			})
		},
	}
	c.flags(cmd)
	cmd.Flags().DurationVar(&every, "interval", every, "time between two looks")
	workspace.NumberVar(cmd.Flags(), &looks, "count", "", 0, "number of looks; 0: until q or ^C")
	return t.Flags(cmd)
}

// watch looks at a server again and again.
type watch struct {
	server *admin.Client
	sel    conn.Selection
	every  time.Duration
	looks  int

	at     time.Time        // time of the last look
	totals map[string]int64 // at the last look
	moved  map[uint64]int64 // octets of sessions at the last look
}

// run shows pages on out until it has shown enough of them or ctx ends.
func (w *watch) run(ctx context.Context, out io.Writer) error {
	show, end := w.paper, func() {}
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		s, err := openScreen(f, os.Stdin)
		if err != nil {
			return sysexits.IOErr.With(err)
		}
		var quit context.CancelFunc
		ctx, quit = context.WithCancel(ctx)
		go s.keys(quit)
		show, end = s.show, func() { quit(); s.close() }
	}
	defer end()
	tick := time.NewTicker(w.every)
	defer tick.Stop()
	for n := 1; ; n++ {
		page, err := w.page(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if err := show(out, page); err != nil {
			return sysexits.IOErr.With(err)
		}
		if n == w.looks {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// page is the text of one look.
func (w *watch) page(ctx context.Context) (string, error) {
	s, err := w.server.Status(ctx)
	if err != nil {
		return "", err
	}
	if s.Details == nil {
		return "", errors.New("the running server is an older version that tells nothing of its sessions")
	}
	found, err := w.server.Look(w.sel, conn.MaxListed)
	if err != nil {
		return "", err
	}
	now := time.Now()
	text := statusText(&s, now, true) + wrapped("per second", w.rates(s.Totals, now), ", ") + "\n"
	w.totals, w.at = s.Totals, now
	w.sort(found.Sessions)
	return text + table(found.Sessions[:min(len(found.Sessions), 100)]), nil
}

// rates are the differences of the counters since the last look, by second.
func (w *watch) rates(totals map[string]int64, now time.Time) []string {
	if w.at.IsZero() {
		return []string{"known after the next look"}
	}
	seconds := max(now.Sub(w.at).Seconds(), 0.001)
	rate := func(name string) float64 { return float64(totals[name]-w.totals[name]) / seconds }
	size := func(name string) string { return octets(int64(rate(name))) }
	return []string{
		fmt.Sprintf("taken %.1f (%s)", rate("messages_total"), size("octets_in_total")), fmt.Sprintf("delivered %.1f", rate("deliveries_total")),
		fmt.Sprintf("refused %.1f", rate("refusals_total")), fmt.Sprintf("retrieved %.1f (%s)", rate("pop3_retrieved_total"), size("octets_out_total")),
		fmt.Sprintf("logins %.1f", rate("logins_total")), fmt.Sprintf("denied %.1f", rate("denied_total")), fmt.Sprintf("sent on %.1f", rate("relay_sent_total")),
	}
}

// sort puts the sessions first that moved the most octets since the last look, and of others
// the newest ones.
func (w *watch) sort(all []conn.Facts) {
	moved, before := make(map[uint64]int64, len(all)), w.moved
	for i := range all {
		moved[all[i].ID] = all[i].In + all[i].Out
	}
	w.moved = maps.Clone(moved)
	for id := range moved {
		moved[id] -= before[id]
	}
	slices.SortFunc(all, func(a, b conn.Facts) int {
		return cmp.Or(cmp.Compare(moved[b.ID], moved[a.ID]), cmp.Compare(b.ID, a.ID))
	})
}

// paper prints a page where there is no terminal.
func (w *watch) paper(out io.Writer, page string) error {
	_, err := io.WriteString(out, page+"\n")
	return err
}

// screen is a terminal that shows pages.
type screen struct {
	out, in *os.File
	before  *term.State // state of in; nil: it is no terminal
}

// openScreen takes the terminal: pages are on a screen of their own, and keys come at once.
func openScreen(out, in *os.File) (*screen, error) {
	s := &screen{out: out, in: in}
	if term.IsTerminal(int(in.Fd())) {
		before, err := term.MakeRaw(int(in.Fd()))
		if err != nil {
			return nil, err
		}
		s.before = before
	}
	_, err := io.WriteString(out, "\x1b[?1049h\x1b[?25l")
	return s, err
}

// close gives the terminal back.
func (s *screen) close() {
	_, _ = io.WriteString(s.out, "\x1b[?25h\x1b[?1049l")
	if s.before != nil {
		_ = term.Restore(int(s.in.Fd()), s.before)
	}
}

// keys calls quit at q and ^C.
func (s *screen) keys(quit func()) {
	var b [16]byte
	for s.before != nil {
		n, err := s.in.Read(b[:])
		if err != nil || bytes.ContainsAny(b[:n], "qQ\x03") {
			quit()
			return
		}
	}
}

// show shows as much of a page as there is room for.
func (s *screen) show(_ io.Writer, page string) error {
	columns, rows, err := term.GetSize(int(s.out.Fd()))
	if err != nil {
		return err
	}
	lines := strings.Split(strings.TrimRight(page, "\n"), "\n")
	lines = lines[:min(len(lines), max(rows-1, 1))]
	for i, l := range lines {
		if r := []rune(l); len(r) > columns {
			lines[i] = string(r[:columns])
		}
	}
	_, err = io.WriteString(s.out, "\x1b[H"+strings.Join(lines, "\x1b[K\r\n")+"\x1b[K\x1b[J")
	return err
}
