package queue

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/queue/entry"
	"postrider/cmd/postrider/queue/selection"
	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/engine/front/admin"
)

func statCommand() *cobra.Command {
	var t workspace.Target
	var s selection.Criteria
	var by string
	var errors, asJSON bool
	var top int
	cmd := &cobra.Command{
		Use:   "stat",
		Short: "Count the queue by domain and age, as qshape does, or by error",
		Long: `Count the queue: in all, and as a table in the format of Postfix's qshape, with a
row for each domain, the largest first, and a column for each age in minutes.
It counts recipients; with --by sender, messages by the sender's domain.
--errors counts recipients by how their last attempt ended, with an example each.
Flags narrow down what is counted. The command reads the whole queue.`,
		Example: `  postrider queue stat
  postrider queue stat --by sender --top 50
  postrider queue stat --errors --to-domain example.org`,
		Args: workspace.Exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if by != "domain" && by != "sender" {
				return sysexits.Usage.With(fmt.Errorf("--by %s: expected domain or sender", by))
			}
			what, err := selection.Read(&s, nil, nil, time.Now())
			if err != nil {
				return err
			}
			return t.With(cmd.Context(), workspace.MustExist, func(ws *workspace.Workspace) error {
				c := census{byError: errors}
				arg := admin.CensusArg{Filter: what.Filter, By: admin.CensusBy(by), Top: top}
				if errors {
					arg.By = admin.ByStatus
				}
				if err := c.take(ws, arg); err != nil {
					return err
				}
				c.askRelay(ws)
				if asJSON {
					return c.json(cmd.OutOrStdout(), top)
				}
				return c.print(cmd.OutOrStdout(), top)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&by, "by", "domain", "rows: domain, or sender (the sender's domain)")
	f.BoolVar(&errors, "errors", false, "count by the status of the last attempt")
	workspace.NumberVar(f, &top, "top", "", 20, "maximum number of rows; 0: all")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return t.Flags(flags(&s, cmd))
}

// census is what is printed.
type census struct {
	admin.Census
	byError bool
	Relay   *admin.RelayStatus
}

// take has the running server count, or counts the opened store.
func (c *census) take(ws *workspace.Workspace, arg admin.CensusArg) error {
	counted, err := takeCensus(ws, arg)
	if err == nil {
		c.Census = *counted
	}
	return err
}

func takeCensus(ws *workspace.Workspace, arg admin.CensusArg) (*admin.Census, error) {
	if server := ws.Running(); server != nil {
		return server.TakeCensus(arg)
	}
	return admin.TakeCensus(ws.Store, arg)
}

// askRelay adds the relay's state, if a server runs.
func (c *census) askRelay(ws *workspace.Workspace) {
	if server := ws.Running(); server != nil {
		if status, err := server.RelayStatus(); err == nil {
			c.Relay = &status
		}
	}
}

func (c *census) print(to io.Writer, top int) error {
	out := bufio.NewWriter(to)
	fmt.Fprintf(out, "%s, %d octets in the queue\n", entries(int(c.Entries)), c.Octets)
	fmt.Fprintf(out, "counted: %d active, %d deferred, %d held\n", c.States[admin.Active], c.States[admin.Deferred], c.States[admin.OnHold])
	if c.Relay != nil {
		fmt.Fprintf(out, "relay: %d sessions, %d destinations awake, %d dead\n", c.Relay.Sessions, c.Relay.Awake, len(c.Relay.Dead))
		for i, dead := range c.Relay.Dead {
			if top > 0 && i == top {
				fmt.Fprintf(out, "  and %d more\n", len(c.Relay.Dead)-top)
				break
			}
			fmt.Fprintf(out, "  %s: until %s: %s\n", dead.Destination, dead.RetryAt.Local().Format(time.DateTime), entry.Printable(dead.Reason))
		}
		for i, waits := range c.Relay.Waiting {
			if top > 0 && i == top {
				fmt.Fprintf(out, "  and %d more wait for a connection\n", len(c.Relay.Waiting)-top)
				break
			}
			fmt.Fprintf(out, "  %s: waits: %s\n", waits.Destination, entry.Printable(waits.Reason))
		}
	}
	fmt.Fprintln(out)
	if c.byError {
		for _, r := range c.Rows {
			fmt.Fprintf(out, "%8d  %-9s %s\n", r.Total, r.Name, entry.Printable(r.Sample))
		}
	} else {
		c.table(out, top)
	}
	return sysexits.IOErr.With(out.Flush())
}

// nameWidth is the width of the table's first column; longer names are cut in
// front, as qshape cuts them.
const nameWidth = 30

// table prints the rows as qshape does: names right-aligned, columns as wide as
// the totals need.
func (c *census) table(out io.Writer, top int) {
	heads := []string{"T"}
	for _, minutes := range admin.CensusAges {
		heads = append(heads, strconv.Itoa(minutes))
	}
	heads = append(heads, strconv.Itoa(admin.CensusAges[len(admin.CensusAges)-1])+"+")
	totals := append([]int64{c.Total.Total}, c.Total.Ages[:]...)
	var widths []int
	for i, head := range heads {
		widths = append(widths, 1+max(2, len(head), len(strconv.FormatInt(totals[i], 10))))
	}
	line := func(name string, cell func(i int) any) {
		if len(name) > nameWidth {
			name = "+" + name[len(name)-nameWidth+1:]
		}
		fmt.Fprintf(out, "%*s", nameWidth, name)
		for i, w := range widths {
			fmt.Fprintf(out, "%*v", w, cell(i))
		}
		fmt.Fprintln(out)
	}
	counts := func(r *admin.CensusRow) func(int) any {
		return func(i int) any {
			if i == 0 {
				return r.Total
			}
			return r.Ages[i-1]
		}
	}
	line("", func(i int) any { return heads[i] })
	line("TOTAL", counts(&c.Total))
	for i := range c.Rows {
		line(entry.Printable(c.Rows[i].Name), counts(&c.Rows[i]))
	}
}

// json prints the same as an object.
func (c *census) json(out io.Writer, top int) error {
	c.Total.Name = "TOTAL"
	return workspace.PrintJSON(out, map[string]any{
		"entries": c.Entries, "octets": c.Octets, "states": c.States, "relay": c.Relay,
		"minutes": admin.CensusAges, "total": c.Total, "rows": c.Rows,
	})
}
