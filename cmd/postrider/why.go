package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"postrider/storage"
)

func whyCommand() *cobra.Command {
	var t target
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "why ID",
		Short: "Tell a message's life: where it came from, each attempt, what comes next",
		Long: `Tell the life of a message to other hosts: where it came from, each attempt with
what the hosts replied, and when it is tried next, or that it has left the queue.
The history of a message stays for a while after it has left.`,
		Example: "  postrider why 06FV1Q2C80000\n  postrider why 06FV1Q2C80000 --json",
		Args:    exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseWanted(args[0])
			if err != nil {
				return err
			}
			id.whole = true // the history is the message's
			return t.with(cmd.Context(), mustExist, func(d *desk) error {
				l, err := d.lifeOf(id)
				if err != nil {
					return err
				}
				out := bufio.NewWriter(cmd.OutOrStdout())
				if asJSON {
					err = printJSON(out, l.line())
				} else {
					l.print(out)
				}
				if flushed := out.Flush(); err == nil {
					err = flushed
				}
				return exit(exIO, err)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return t.flags(cmd)
}

// life is what is known of a message: the entries that are still there, and what
// was done before.
type life struct {
	id      storage.MessageID
	entries []*storage.QueueEntry
	records []storage.Record
	now     time.Time
}

func (d *desk) lifeOf(w wanted) (*life, error) {
	l := &life{id: w.id.Message, now: time.Now()}
	err := d.History(l.id, func(r storage.Record) bool {
		l.records = append(l.records, r)
		return true
	})
	if err != nil {
		return nil, err
	}
	if l.entries, err = d.entriesOf(w); err != nil {
		return nil, err
	}
	if len(l.entries)+len(l.records) == 0 {
		return nil, exit(exNoUser, fmt.Errorf(`the queue knows nothing of %s. It is mail for accounts here, or its history was dropped, or the id is of another host: look for it in the server's log, for example with "journalctl -u postrider | grep %s"`, l.id, l.id))
	}
	return l, nil
}

// print tells the life in order.
func (l *life) print(out io.Writer) {
	fmt.Fprintln(out, l.id)
	if len(l.entries) > 0 {
		e := l.entries[0]
		fmt.Fprintf(out, "%s  from <%s>, %d octets\n", timeName(e.Arrival), printable(e.Envelope.ReversePath), e.Body.Size)
		if e.Envelope.Origin != "" {
			fmt.Fprintf(out, "  brought by %s\n", printable(e.Envelope.Origin))
		}
	}
	for _, r := range l.records {
		text := strings.TrimRight(r.Text, "\n")
		first, rest, more := strings.Cut(text, "\n")
		fmt.Fprintf(out, "%s  %s\n", timeName(r.At), printable(first))
		if !more {
			continue
		}
		for text := range strings.SplitSeq(rest, "\n") {
			fmt.Fprintf(out, "  %s\n", printable(text))
		}
	}
	if len(l.entries) == 0 {
		fmt.Fprintln(out, "It has left the queue.")
		return
	}
	for _, e := range l.entries {
		l.entry(out, e)
	}
}

// entry tells what comes next for an entry.
func (l *life) entry(out io.Writer, e *storage.QueueEntry) {
	fmt.Fprintf(out, "%s  to %s: %s\n", entryName(e.ID), printable(e.Domain), l.next(e))
	for i := range e.Recipients {
		r := &e.Recipients[i]
		fmt.Fprintf(out, "  <%s>", printable(r.ForwardPath))
		if why := strings.TrimSpace(e.StatusOf(r) + " " + e.ReasonOf(r)); why != "" {
			fmt.Fprintf(out, ": %s", printable(why))
		}
		fmt.Fprintln(out)
	}
}

func (l *life) next(e *storage.QueueEntry) string {
	after := ""
	switch {
	case e.Attempts == 1:
		after = ", after 1 attempt"
	case e.Attempts > 1:
		after = fmt.Sprintf(", after %d attempts", e.Attempts)
	}
	if e.Held {
		return "held" + after + "; \"postrider queue release " + entryName(e.ID) + "\" lets it go"
	}
	if e.IsDue(l.now) {
		return "due now" + after
	}
	return "next attempt at " + timeName(e.DueAt()) + after
}

// lifeLine is a life in JSON.
type lifeLine struct {
	ID      string       `json:"id"`
	Queued  []shown      `json:"queued"`
	History []recordLine `json:"history"`
}

type recordLine struct {
	At   time.Time `json:"at"`
	Text string    `json:"text"`
}

func (l *life) line() lifeLine {
	line := lifeLine{ID: l.id.String(), Queued: []shown{}, History: []recordLine{}}
	for _, e := range l.entries {
		line.Queued = append(line.Queued, shownOf(e))
	}
	for _, r := range l.records {
		line.History = append(line.History, recordLine{r.At.UTC(), r.Text})
	}
	return line
}
