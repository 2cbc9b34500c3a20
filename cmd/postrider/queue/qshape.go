package queue

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"postrider/cmd/postrider/queue/entry"
	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/engine/front/admin"
)

// qshape is the options of a command line.
type qshape struct {
	sender  bool
	buckets int // columns of ages
	width   int // columns of the terminal
	top     int // rows; 0: all
}

// QshapeCommand is "qshape" of Postfix.
func QshapeCommand() *cobra.Command {
	var t workspace.Target
	var q qshape
	var batch int
	cmd := &cobra.Command{
		Use:   "qshape [-c file] [-s] [-b columns] [-w width] [-n rows] [queue...]",
		Short: "Count the queue by domain and age as Postfix's qshape does; also runs under that name",
		Long: `Print how many recipients wait for each domain and for how many minutes, in the format
of Postfix's qshape. It also runs under the name qshape.

  -s          count messages by the domain of the sender
  -b COLUMNS  how many columns of ages there are; default and maximum: 10
  -w WIDTH    columns of the terminal; default and minimum: 80
  -n ROWS     print the largest domains only; default: 20 on a terminal, else all
  -c FILE     the configuration (TOML); default: $POSTRIDER_CONFIG, or
              /etc/postrider.toml if it is there

The names of queues say what is counted: active (being tried, or due), deferred, hold.
The default is incoming and active, as with Postfix; incoming is always empty here.
"postrider queue stat" counts all of them, by sender and by error too.`,
		Example: "  qshape deferred\n  qshape -s active deferred hold\n  postrider qshape -n 50 deferred",
		RunE: func(cmd *cobra.Command, queues []string) error {
			states, err := statesOf(queues, admin.Active)
			if err != nil {
				return err
			}
			if q.buckets < 1 || q.buckets > len(admin.CensusAges)+1 {
				return sysexits.Usage.With(fmt.Errorf("-b %d: expected 1 to %d columns", q.buckets, len(admin.CensusAges)+1))
			}
			if !cmd.Flags().Changed("top") && cmd.OutOrStdout() == os.Stdout && term.IsTerminal(int(os.Stdout.Fd())) {
				q.top = 20
			}
			return t.With(cmd.Context(), workspace.MustExist, func(ws *workspace.Workspace) error {
				arg := admin.CensusArg{By: admin.ByDestination, States: states}
				if q.sender {
					arg.By = admin.BySender
				}
				counted := &admin.Census{}
				if len(states) > 0 {
					if counted, err = takeCensus(ws, arg); err != nil {
						return err
					}
				}
				return q.print(cmd.OutOrStdout(), counted)
			})
		},
	}
	f := cmd.Flags()
	f.BoolVarP(&q.sender, "sender", "s", false, "count messages by the domain of the sender")
	workspace.NumberVar(f, &q.buckets, "buckets", "b", len(admin.CensusAges)+1, "columns of ages")
	workspace.NumberVar(f, &q.width, "width", "w", 80, "columns of the terminal")
	workspace.NumberVar(f, &q.top, "top", "n", 0, "print this many domains; 0: all")
	workspace.NumberVar(f, &batch, "batch", "N", 0, "accepted, and means nothing: the server counts")
	return postfixCommand(&t, cmd, `"postrider queue stat --help" has other ways to count the queue`)
}

// leastName is the least width of the column of names.
const leastName = 18

// print prints the table.
func (q *qshape) print(to io.Writer, c *admin.Census) error {
	slices.SortStableFunc(c.Rows, func(a, b admin.CensusRow) int {
		return cmp.Or(cmp.Compare(b.Total, a.Total), cmp.Compare(len(a.Name), len(b.Name)))
	})
	c.Total.Name = "TOTAL"
	rows := append([]admin.CensusRow{c.Total}, c.Rows...)
	if q.top > 0 && len(rows) > q.top {
		rows = rows[:q.top]
	}
	heads := []string{"T"}
	for i := range q.buckets - 1 {
		heads = append(heads, strconv.Itoa(admin.CensusAges[i]))
	}
	last := "0+"
	if q.buckets > 1 {
		last = heads[q.buckets-1] + "+"
	}
	heads = append(heads, last)
	totals := q.cells(&c.Total)
	nameWidth := max(q.width, 80)
	widths := make([]int, len(heads))
	for i, head := range heads {
		widths[i] = 1 + max(2, len(head), len(totals[i]))
		nameWidth -= widths[i]
	}
	nameWidth = max(nameWidth, leastName)
	out := bufio.NewWriter(to)
	line := func(name string, cells []string) {
		if len(name) > nameWidth {
			name = "+" + name[len(name)-nameWidth+1:]
		}
		fmt.Fprintf(out, "%*s", nameWidth, name)
		for i, cell := range cells {
			fmt.Fprintf(out, "%*s", widths[i], cell)
		}
		fmt.Fprintln(out)
	}
	line("", heads)
	for i := range rows {
		line(strings.ToValidUTF8(entry.Printable(rows[i].Name), "?"), q.cells(&rows[i]))
	}
	return sysexits.IOErr.With(out.Flush())
}

// cells are the numbers of a row: the total, then the ages. What is older than the last
// column but one is in the last.
func (q *qshape) cells(r *admin.CensusRow) []string {
	cells := []string{strconv.FormatInt(r.Total, 10)}
	for i := range q.buckets {
		n := r.Ages[i]
		if i == q.buckets-1 {
			for _, older := range r.Ages[i+1:] {
				n += older
			}
		}
		cells = append(cells, strconv.FormatInt(n, 10))
	}
	return cells
}
