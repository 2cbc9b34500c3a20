package queue

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/queue/entry"
	"postrider/cmd/postrider/queue/selection"
	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/engine/client"
	"postrider/engine/front/admin"
	"postrider/storage"
)

func listCommand() *cobra.Command {
	var t workspace.Target
	var s selection.Criteria
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list [ID... | ALL | -]",
		Short: "List the queue in the format of Postfix's postqueue -p",
		Long: `List the mail that waits for other hosts, in the format of Postfix's "postqueue -p",
by arrival. After an id, * means that the message is being tried or is due, ! that
it is held. The reason in parentheses is why the recipients below it still wait.

--json prints a line with an object for each message, with the names of
"postqueue -j" and, for each recipient, its entry and the entry's domain, status,
attempts and due time.

` + selectionHelp,
		Example: `  postrider queue list
  postrider queue list --to-domain example.org --older 4h
  postrider queue list --error 4.4 --json | jq -r .queue_id`,
		RunE: func(cmd *cobra.Command, args []string) error {
			what, err := selection.Read(&s, args, cmd.InOrStdin(), time.Now())
			if err != nil {
				return err
			}
			return t.With(cmd.Context(), workspace.MustExist, func(ws *workspace.Workspace) error { return printEntries(ws, cmd.OutOrStdout(), what, asJSON) })
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, an object a line")
	return t.Flags(flags(&s, cmd))
}

// Print prints the whole queue, for people.
func Print(ws *workspace.Workspace, to io.Writer) error {
	return printEntries(ws, to, &selection.Selection{Whole: true}, false)
}

// printEntries prints the selected entries, grouped by message.
func printEntries(ws *workspace.Workspace, to io.Writer, what *selection.Selection, asJSON bool) error {
	out := bufio.NewWriter(to)
	l := lister{out: out, now: time.Now()}
	show := l.text
	if asJSON {
		show = l.json
	}
	err := grouped(ws, what, func(group []*storage.QueueEntry) bool {
		show(group)
		return l.err == nil
	})
	if !asJSON && err == nil {
		l.end()
	}
	if flushed := out.Flush(); err == nil {
		err = sysexits.IOErr.With(flushed)
	}
	return err
}

// grouped calls f with the selected entries of each message, until f returns false. The
// slice is valid during the call.
func grouped(ws *workspace.Workspace, what *selection.Selection, f func(group []*storage.QueueEntry) bool) error {
	var group []*storage.QueueEntry
	more := true
	err := each(ws, what, func(e *storage.QueueEntry) bool {
		if len(group) > 0 && group[0].ID.Message != e.ID.Message {
			more = f(group)
			group = group[:0]
		}
		group = append(group, e)
		return more
	})
	if len(group) > 0 && more {
		f(group)
	}
	return err
}

// lister prints messages of the queue.
type lister struct {
	out      *bufio.Writer
	now      time.Time
	messages int64
	octets   int64
	err      error // writing to out failed: its reader is gone
}

// stateOfAll returns the state of a message: active before deferred before held.
func stateOfAll(group []*storage.QueueEntry, now time.Time) admin.QueueState {
	state := admin.OnHold
	for _, e := range group {
		switch admin.StateOf(e, now) {
		case admin.Active:
			return admin.Active
		case admin.Deferred:
			state = admin.Deferred
		}
	}
	return state
}

// columns are as in Postfix with enable_long_queue_ids: its short columns have no room
// for our ids.
const columns = "%-17s %8v %-19s %s\n"

// text prints a message as "postqueue -p" does: a reason in parentheses is
// right-aligned above the recipients that it is about.
func (l *lister) text(group []*storage.QueueEntry) {
	if l.messages == 0 {
		fmt.Fprintf(l.out, columns, "----Queue ID-----", "--Size--", "---Arrival Time----", "--Sender/Recipient------")
	} else {
		fmt.Fprintln(l.out)
	}
	first := group[0]
	l.messages++
	l.octets += first.Body.Size
	mark := map[admin.QueueState]string{admin.Active: "*", admin.OnHold: "!"}[stateOfAll(group, l.now)]
	fmt.Fprintf(l.out, columns, first.ID.Message.String()+mark, first.Body.Size,
		first.Arrival.Local().Format("Mon Jan _2 15:04:05"), entry.Sender(first))
	said := ""
	for _, e := range group {
		for i := range e.Recipients {
			r := &e.Recipients[i]
			if why := entry.Printable(e.ReasonOf(r)); why != said {
				said = why
				if why == "" {
					why = "reason unavailable"
				}
				fmt.Fprintf(l.out, "%78s\n", "("+why+")")
			}
			_, l.err = fmt.Fprintf(l.out, columns, "", "", "", entry.Printable(r.ForwardPath))
		}
	}
}

// end prints the last line.
func (l *lister) end() {
	if l.messages == 0 {
		fmt.Fprintln(l.out, "Mail queue is empty")
		return
	}
	fmt.Fprintf(l.out, "\n-- %d Kbytes in %d Request%s.\n", l.octets/1024, l.messages, plural(l.messages))
}

// queuedLine is a message in the JSON of a listing: the names of "postqueue -j".
type queuedLine struct {
	QueueName    string          `json:"queue_name"`
	QueueID      string          `json:"queue_id"`
	ArrivalTime  int64           `json:"arrival_time"`
	MessageSize  int64           `json:"message_size"`
	ForcedExpire bool            `json:"forced_expire"`
	Sender       string          `json:"sender"`
	Recipients   []recipientLine `json:"recipients"`
}

// recipientLine is a recipient there, with what else is known of it.
type recipientLine struct {
	Address     string    `json:"address"`
	DelayReason string    `json:"delay_reason,omitempty"`
	Entry       string    `json:"entry"`
	Domain      string    `json:"domain"`
	State       string    `json:"state"`
	Status      string    `json:"status,omitempty"`
	Attempts    int       `json:"attempts"`
	Due         time.Time `json:"due,omitzero"`
}

func (l *lister) json(group []*storage.QueueEntry) {
	first := group[0]
	line := queuedLine{
		QueueName: string(stateOfAll(group, l.now)), QueueID: first.ID.Message.String(),
		ArrivalTime: first.Arrival.Unix(), MessageSize: first.Body.Size, Sender: entry.Sender(first),
	}
	for _, e := range group {
		line.Recipients = append(line.Recipients, recipientsOf(e, l.now)...)
	}
	l.err = printLine(l.out, line)
}

// recipientsOf are the recipients of an entry.
func recipientsOf(e *storage.QueueEntry, now time.Time) (lines []recipientLine) {
	for i := range e.Recipients {
		r := &e.Recipients[i]
		line := recipientLine{
			Address: r.ForwardPath, DelayReason: e.ReasonOf(r), Entry: entry.Name(e.ID), Domain: e.Domain,
			State: string(admin.StateOf(e, now)), Status: e.StatusOf(r), Attempts: e.Attempts,
		}
		if !e.Held {
			line.Due = e.DueAt().UTC()
		}
		lines = append(lines, line)
	}
	return lines
}

// printLine writes v as one line of JSON.
func printLine(w io.Writer, v any) error {
	line, err := appendJSON(nil, v)
	if err != nil {
		return err
	}
	_, err = w.Write(append(line, '\n'))
	return err
}

// appendJSON appends v as JSON in one line, with < and > as they are, and escapes for what
// commands a terminal.
func appendJSON(dst []byte, v any) ([]byte, error) {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return dst, err
	}
	return client.AppendJSON(dst, bytes.TrimSuffix(text.Bytes(), []byte{'\n'})), nil
}
