package look

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/engine/edge/conn"
	"postrider/engine/front/admin"
)

// StatusCommand is "postrider status".
func StatusCommand() *cobra.Command {
	var t workspace.Target
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Print the state of the running server",
		Long: `Print the state of the running server on one screen: what it listens at, the
sessions by protocol and state, the queue by class, the store and its disk, the
memory of limits.memory by what takes it, and which limits have refused something
or made it wait, the last one first. Exit code 69 if none runs, 75 if it takes no
mail now.`,
		Example: `  postrider status
  postrider status --json
  watch postrider status --data /var/lib/postrider`,
		Args: workspace.Exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return with(cmd, &t, func(server *admin.Client) error {
				s, err := server.Status(cmd.Context())
				if err != nil {
					return err
				}
				countQueue(server, &s)
				return printStatus(cmd.OutOrStdout(), &s, asJSON)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return t.Flags(cmd)
}

// countQueue has the server count a queue that is too long for the status.
func countQueue(server *admin.Client, s *admin.Status) {
	if s.Details == nil || s.Queue.Counted {
		return
	}
	if c, err := server.TakeCensus(admin.CensusArg{By: admin.ByDestination, Top: 1}); err == nil {
		q := &s.Queue
		q.Counted, q.Due, q.Deferred, q.Held = true, c.States[admin.Active], c.States[admin.Deferred], c.States[admin.OnHold]
	}
}

func printStatus(out io.Writer, s *admin.Status, asJSON bool) error {
	if asJSON {
		if err := workspace.PrintJSON(out, s); err != nil {
			return sysexits.IOErr.With(err)
		}
	} else if _, err := io.WriteString(out, statusText(s, time.Now(), false)); err != nil {
		return sysexits.IOErr.With(err)
	}
	if s.Health != "ok" {
		return sysexits.TempFail.With(fmt.Errorf("the server takes no mail now: %s", s.Health))
	}
	return nil
}

// statusText is the status as people read it. brief: without what does not change and what
// rates tell better.
func statusText(s *admin.Status, now time.Time, brief bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "postrider %s, process %d, up %s, since %s\n", s.Version, s.PID, span(now.Sub(s.Started)), s.Started.Local().Format(time.DateTime))
	line := func(title, between string, parts ...string) { b.WriteString(wrapped(title, parts, between)) }
	line("health", " ", s.Health)
	if s.Details == nil { // a server of an older version
		line("listeners", "  ", listeners([]admin.Listener{{Name: "smtp", Addrs: s.SMTP}, {Name: "pop3", Addrs: s.POP3}, {Name: "http", Addrs: s.HTTP}})...)
		return b.String()
	}
	most, facts := 5, store(&s.Store)
	if brief {
		most, facts = 1, facts[:2]
	} else {
		line("listeners", "  ", listeners(s.Listeners)...)
	}
	c := &s.Connections
	line("connections", "; ", fmt.Sprintf("%d of %d, %d of them from untrusted networks", c.Open, c.Limit, c.Strangers), fmt.Sprintf("%d to other hosts", c.Outgoing))
	b.WriteString(groups(s.Sessions))
	if s.Traced > 0 {
		line("", " ", count(int64(s.Traced), "session")+" of them followed by a trace")
	}
	line("queue", ", ", queue(&s.Queue)...)
	line("store", ", ", facts...)
	var memory []string
	for _, l := range s.Memory {
		memory = append(memory, fmt.Sprintf("%s %s of %s (%d %%)", l.Name, octets(l.Used), octets(l.Limit), 100*l.Used/max(l.Limit, 1)))
	}
	line("memory", ", ", memory...)
	if !brief {
		line("since start", ", ", totals(s.Totals)...)
	}
	var limits []string
	for _, l := range s.Limits[:min(len(s.Limits), most)] {
		limits = append(limits, fmt.Sprintf("%s: %s, the last %s ago", l.Key, count(l.Count, "time"), span(now.Sub(l.Last))))
	}
	if len(limits) == 0 {
		limits = []string{"none has refused anything or made it wait since the start"}
	}
	line("limits", "; ", limits...)
	return b.String()
}

// listeners are names with addresses.
func listeners(ls []admin.Listener) (words []string) {
	for _, l := range ls {
		if len(l.Addrs) > 0 {
			words = append(words, l.Name+" "+strings.Join(l.Addrs, " "))
		}
	}
	return words
}

// groups are the lines about sessions: for each protocol, how many are in which state.
func groups(all []conn.Group) string {
	if len(all) == 0 {
		return wrapped("sessions", []string{"none"}, "")
	}
	lines, title := "", "sessions"
	for len(all) > 0 {
		var states []string
		first, total := all[0].Protocol, 0
		for len(all) > 0 && all[0].Protocol == first {
			states = append(states, fmt.Sprintf("%s %d", stateOf(all[0].State, all[0].Waits), all[0].Sessions))
			total += all[0].Sessions
			all = all[1:]
		}
		states[0] = fmt.Sprintf("%s %d: %s", first, total, states[0])
		lines += wrapped(title, states, ", ")
		title = ""
	}
	return lines
}

// stateOf is a state with what is waited for: DATA, or DATA+store.
func stateOf(state, waits string) string {
	if waits == "" {
		return state
	}
	return state + "+" + waits
}

func queue(q *admin.QueueTotal) []string {
	all := []string{count(q.Entries, "entry"), octets(q.Octets)}
	if q.Counted {
		all = append(all, fmt.Sprintf("due %d", q.Due), fmt.Sprintf("deferred %d", q.Deferred), fmt.Sprintf("held %d", q.Held))
	}
	return all
}

func store(f *admin.StoreFacts) []string {
	all := []string{octets(f.Free) + " free above the floor", count(f.InFlight, "message") + " on the way to the disk"}
	sized := func(name, text string) {
		if v, ok := f.Figures[name]; ok {
			all = append(all, fmt.Sprintf(text, octets(int64(v))))
		}
	}
	sized("store_disk_bytes", "%s of files")
	sized("store_blob_bytes", "%s of them bodies")
	if n := f.Figures["store_deleted_messages"]; n > 0 {
		all = append(all, fmt.Sprintf("%s kept after deletion (%s)", count(int64(n), "message"), octets(int64(f.Figures["store_deleted_bytes"]))))
	}
	if n := f.Figures["store_removed_accounts"]; n > 0 {
		all = append(all, fmt.Sprintf("%s kept (%s)", count(int64(n), "removed account"), octets(int64(f.Figures["store_removed_bytes"]))))
	}
	sized("store_cache_bytes", "%s of cache")
	sized("store_memtable_bytes", "%s of memtables")
	sized("store_compaction_debt_bytes", "%s to compact")
	return all
}

// totals are the counters since the start.
func totals(t map[string]int64) []string {
	return []string{
		fmt.Sprintf("taken %d (%s)", t["messages_total"], octets(t["octets_in_total"])), fmt.Sprintf("delivered %d", t["deliveries_total"]),
		fmt.Sprintf("refused %d", t["refusals_total"]), fmt.Sprintf("retrieved %d (%s)", t["pop3_retrieved_total"], octets(t["octets_out_total"])),
		fmt.Sprintf("logins %d", t["logins_total"]), fmt.Sprintf("denied %d", t["denied_total"]),
		fmt.Sprintf("sent on %d", t["relay_sent_total"]), fmt.Sprintf("deferred %d", t["relay_deferred_total"]), fmt.Sprintf("bounced %d", t["relay_bounced_total"]),
	}
}
