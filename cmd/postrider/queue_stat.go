package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"postrider/engine/admin"
	"postrider/engine/router"
	"postrider/storage"
)

func queueStat() *cobra.Command {
	var t target
	var s selection
	var by string
	var errors, asJSON bool
	var top int
	cmd := &cobra.Command{
		Use:   "stat",
		Short: "Count the queue by domain and age, as qshape does, or by error",
		Long: `Count what waits: in all, and as a table in the shape of Postfix's qshape, with a
row for each domain, the largest first, and a column for each age, up to so many
minutes. It counts recipients; with --by sender, messages by the sender's domain.
--errors counts recipients by how their last attempt ended, with an example each.
Flags narrow down what is counted. It reads the whole queue.`,
		Example: `  postrider queue stat
  postrider queue stat --by sender --top 50
  postrider queue stat --errors --to-domain example.org`,
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if by != "domain" && by != "sender" {
				return exit(exUsage, fmt.Errorf("--by %s: want domain or sender", by))
			}
			what, err := s.read(nil, nil)
			if err != nil {
				return err
			}
			return t.with(cmd.Context(), mustExist, func(d *desk) error {
				c := census{now: time.Now(), bySender: by == "sender", byError: errors, rows: make(map[string]*row), States: make(map[string]int64)}
				if err := d.each(what, c.add); err != nil {
					return err
				}
				c.Entries, c.Octets = d.QueueTotal()
				c.askRelay(d)
				if asJSON {
					return c.json(cmd.OutOrStdout(), top)
				}
				return c.print(cmd.OutOrStdout(), top)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&by, "by", "domain", "what the rows are: domain, or sender (the sender's domain)")
	f.BoolVar(&errors, "errors", false, "count by the status of the last attempt")
	f.IntVar(&top, "top", 20, "at most so many rows; 0: all")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return t.flags(s.flags(cmd))
}

// ages are the upper bounds of the table's columns, in minutes; one more column
// holds what is older than all of them.
var ages = [...]int{5, 10, 20, 40, 80, 160, 320, 640, 1280}

// row is one row of a count.
type row struct {
	Name   string               `json:"name"`
	Total  int64                `json:"total"`
	Ages   [len(ages) + 1]int64 `json:"ages,omitzero"` // by the bounds of ages
	Sample string               `json:"sample,omitempty"`
}

func (r *row) add(age, n int64, sample string) {
	i := 0
	for i < len(ages) && age >= int64(ages[i]) {
		i++
	}
	r.Total += n
	r.Ages[i] += n
	if r.Sample == "" {
		r.Sample = sample
	}
}

// census counts the queue while it passes. It keeps a row for each domain.
type census struct {
	now               time.Time
	bySender, byError bool
	rows              map[string]*row
	total             row
	last              storage.MessageID

	Entries, Octets int64            // of the whole queue
	States          map[string]int64 // entries that were counted, by state
	Relay           *admin.RelayStatus
}

// add counts an entry.
func (c *census) add(e *storage.QueueEntry) bool {
	c.States[stateOf(e, c.now)]++
	age := int64(c.now.Sub(e.Arrival) / time.Minute)
	switch {
	case c.byError:
		for i := range e.Recipients {
			r := &e.Recipients[i]
			c.count(cmp.Or(e.StatusOf(r), "not tried"), age, 1, printable(e.ReasonOf(r)))
		}
	case !c.bySender:
		c.count(e.Domain, age, int64(len(e.Recipients)), "")
	case c.last != e.ID.Message: // the entries of a message come together
		c.last = e.ID.Message
		path := senderName(e)
		c.count(router.Fold(path[strings.LastIndexByte(path, '@')+1:]), age, 1, "")
	}
	return true
}

func (c *census) count(name string, age, n int64, sample string) {
	r := c.rows[name]
	if r == nil {
		r = &row{Name: name}
		c.rows[name] = r
	}
	r.add(age, n, sample)
	c.total.add(age, n, "")
}

// largest are the rows, the largest first, at most top of them.
func (c *census) largest(top int) []*row {
	rows := slices.SortedFunc(maps.Values(c.rows), func(a, b *row) int {
		return cmp.Or(cmp.Compare(b.Total, a.Total), cmp.Compare(a.Name, b.Name))
	})
	if top > 0 && len(rows) > top {
		rows = rows[:top]
	}
	return rows
}

// askRelay adds what the running server says of its relay, if there is one.
func (c *census) askRelay(d *desk) {
	if server, ok := d.Store.(*admin.Client); ok {
		if status, err := server.RelayStatus(); err == nil {
			c.Relay = &status
		}
	}
}

func (c *census) print(to io.Writer, top int) error {
	out := bufio.NewWriter(to)
	fmt.Fprintf(out, "%s, %d octets in the queue\n", entries(int(c.Entries)), c.Octets)
	fmt.Fprintf(out, "counted: %d active, %d deferred, %d held\n", c.States[stateActive], c.States[stateDeferred], c.States[stateHold])
	if c.Relay != nil {
		fmt.Fprintf(out, "relay: %d sessions, %d destinations awake, %d dead\n", c.Relay.Sessions, c.Relay.Awake, len(c.Relay.Dead))
		for i, dead := range c.Relay.Dead {
			if top > 0 && i == top {
				fmt.Fprintf(out, "  and %d more\n", len(c.Relay.Dead)-top)
				break
			}
			fmt.Fprintf(out, "  %s: until %s: %s\n", dead.Destination, dead.RetryAt.Local().Format(time.DateTime), printable(dead.Reason))
		}
	}
	fmt.Fprintln(out)
	if c.byError {
		for _, r := range c.largest(top) {
			fmt.Fprintf(out, "%8d  %-9s %s\n", r.Total, r.Name, r.Sample)
		}
	} else {
		c.table(out, top)
	}
	return exit(exIO, out.Flush())
}

// nameWidth is the width of the table's first column; longer names are cut in
// front, as qshape cuts them.
const nameWidth = 30

// table prints the rows as qshape does: names right-aligned, columns as wide as
// the totals need.
func (c *census) table(out io.Writer, top int) {
	heads := []string{"T"}
	for _, minutes := range ages {
		heads = append(heads, strconv.Itoa(minutes))
	}
	heads = append(heads, strconv.Itoa(ages[len(ages)-1])+"+")
	totals := append([]int64{c.total.Total}, c.total.Ages[:]...)
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
	counts := func(r *row) func(int) any {
		return func(i int) any {
			if i == 0 {
				return r.Total
			}
			return r.Ages[i-1]
		}
	}
	line("", func(i int) any { return heads[i] })
	line("TOTAL", counts(&c.total))
	for _, r := range c.largest(top) {
		line(printable(r.Name), counts(r))
	}
}

// json prints the same as an object.
func (c *census) json(out io.Writer, top int) error {
	c.total.Name = "TOTAL"
	return printJSON(out, map[string]any{
		"entries": c.Entries, "octets": c.Octets, "states": c.States, "relay": c.Relay,
		"minutes": ages, "total": c.total, "rows": append([]*row{}, c.largest(top)...),
	})
}
