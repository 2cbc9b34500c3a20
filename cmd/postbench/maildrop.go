package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"postrider/bench"
	"postrider/cmd/sysexits"
)

func maildropCommand() *cobra.Command {
	var c clientFlags
	var user, password, row string
	var logins, pid int
	var listings, asJSON bool
	var patience time.Duration
	cmd := &cobra.Command{
		Use:   "maildrop [flags] HOST:PORT",
		Short: "Time how one maildrop opens",
		Long: `Log in to one maildrop --logins times, one session after the other, and print the
medians of what a reader waits for: from PASS to the first octet of its answer, to its
end, to STAT's answer; with --listings also LIST and UIDL, which must have as many lines
as STAT says.`,
		Example: `  postbench maildrop --user reader --logins 20 --listings --pid 4711 127.0.0.1:110`,
		Args:    exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := c.client(args[0], "110")
			if err != nil {
				return err
			}
			if logins < 1 {
				return sysexits.Usage.With(errors.New("--logins must be more than 0"))
			}
			client.User, client.Password = user, password
			report, err := openMaildrop(&client, logins, patience, listings, pid)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(report)
			}
			if row != "" {
				fmt.Fprintln(cmd.OutOrStdout(), report.row(row))
				return nil
			}
			fmt.Fprintln(cmd.OutOrStdout(), report)
			return nil
		},
	}
	c.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&user, "user", "reader", "account")
	flags.StringVar(&password, "password", "secret", "of it")
	flags.IntVar(&logins, "logins", 20, "sessions, one after the other")
	flags.BoolVar(&listings, "listings", false, "LIST and UIDL as well")
	flags.DurationVar(&patience, "patience", 10*time.Minute, "how long the answer to PASS may take")
	flags.IntVar(&pid, "pid", 0, "process of the server: its cost and its children's are reported")
	flags.StringVar(&row, "row", "", "print a row of a table in Markdown, of this name: messages, ms to the first octet and to STAT's answer, ms of LIST and of UIDL, ms of CPU a login, MB PSS")
	flags.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// maildropReport is several openings of a maildrop.
type maildropReport struct {
	Logins int           `json:"logins"`
	Median bench.Opening `json:"median"` // the median of each time by itself
	First  bench.Opening `json:"first"`  // the first opening
	CPU    time.Duration `json:"cpu_ns"` // the server's, for each login; 0: unknown
	PSS    int64         `json:"pss"`    // the server's, afterwards; 0: unknown
}

// row is the report as a row of a table; what is unknown is empty.
func (r maildropReport) row(name string) string {
	text := fmt.Sprintf("| %s | %d |", name, r.Median.Messages)
	for _, d := range []time.Duration{r.Median.First, r.Median.Stat, r.Median.List, r.Median.UIDL, r.CPU} {
		if d > 0 {
			text += fmt.Sprintf(" %.3g", float64(d)/1e6)
		}
		text += " |"
	}
	return text + fmt.Sprintf(" %.0f |", float64(r.PSS)/1e6)
}

func (r maildropReport) String() string {
	ms := func(d time.Duration) string { return fmt.Sprintf("%.3g ms", float64(d)/1e6) }
	m := r.Median
	text := fmt.Sprintf("%d messages, %d logins: PASS to first octet %s, to its answer %s, to STAT's %s", m.Messages, r.Logins, ms(m.First), ms(m.Pass), ms(m.Stat))
	if m.List > 0 {
		text += fmt.Sprintf("; LIST %s, UIDL %s", ms(m.List), ms(m.UIDL))
	}
	if r.CPU > 0 {
		text += fmt.Sprintf("; server %s of CPU a login", ms(r.CPU))
	}
	return text
}

func openMaildrop(client *bench.Client, logins int, patience time.Duration, listings bool, pid int) (r maildropReport, err error) {
	var before bench.Usage
	if pid != 0 {
		if before, err = bench.ReadTree(pid); err != nil {
			return r, sysexits.Usage.With(fmt.Errorf("--pid: %w", err))
		}
	}
	var all []bench.Opening
	for range logins {
		o, err := client.Open(patience, listings)
		if err != nil {
			return r, fmt.Errorf("maildrop of %s: %w", client.User, err)
		}
		all = append(all, o)
	}
	r.Logins, r.First, r.Median.Messages = logins, all[0], all[0].Messages
	if pid != 0 {
		now, err := bench.ReadTree(pid)
		if err != nil {
			return r, fmt.Errorf("the server is gone: %w", err)
		}
		r.PSS = now.PSS
		r.CPU = (now.CPU - before.CPU) / time.Duration(logins)
	}
	for _, of := range []func(*bench.Opening) *time.Duration{
		func(o *bench.Opening) *time.Duration { return &o.First },
		func(o *bench.Opening) *time.Duration { return &o.Pass },
		func(o *bench.Opening) *time.Duration { return &o.Stat },
		func(o *bench.Opening) *time.Duration { return &o.List },
		func(o *bench.Opening) *time.Duration { return &o.UIDL },
	} {
		times := make([]time.Duration, len(all))
		for i := range all {
			times[i] = *of(&all[i])
		}
		slices.Sort(times)
		*of(&r.Median) = times[len(times)/2]
	}
	return r, nil
}
