package queue

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/queue/life"
	"postrider/cmd/postrider/queue/selection"
	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/engine/host/history"
)

// why is the flags of "postrider why".
type why struct {
	asJSON bool
	search history.Search
	since  string
}

// WhyCommand is "postrider why".
func WhyCommand() *cobra.Command {
	var t workspace.Target
	var w why
	cmd := &cobra.Command{
		Use:   "why [ID]",
		Short: "Print a message's history: how it came, where it went, what comes next",
		Long: `Print what happened to a message: by which client, program or user it came, when
its parts came, to which maildrops it went, each attempt to send it on with the
dialogue and the replies of the hosts, notifications, what operators did with it,
when it was deleted, and when it is tried next.

This is known for log.history (48 hours) of all messages, unless log.history_size is
used up before. Failed attempts of queued mail are kept until two days after
relay.lifetime. A message that was refused has no id: the log has it (NOQUEUE).

With --to or --from and no ID the messages for a recipient or of a sender are listed,
a line for each event: when they came, and each attempt to send them on. The
dialogues are in the history of one message only, also with --json.`,
		Example: "  postrider why 06FV1Q2C80000\n  postrider why 06FV1Q2C80000 --json\n  postrider why --to jsmith@example.org --since 1h",
		Args:    workspace.AtMost(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := w.check(args); err != nil {
				return err
			}
			return t.With(cmd.Context(), workspace.MustExist, func(ws *workspace.Workspace) error {
				out := bufio.NewWriter(cmd.OutOrStdout())
				show := w.list
				if len(args) == 1 {
					show = func(ws *workspace.Workspace, out io.Writer) error { return w.one(ws, args[0], out) }
				}
				err := show(ws, out)
				if flushed := out.Flush(); err == nil {
					err = sysexits.IOErr.With(flushed)
				}
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&w.asJSON, "json", false, "print JSON")
	cmd.Flags().StringVar(&w.search.Recipient, "to", "", "list the messages for this ADDRESS, NAME or DOMAIN")
	cmd.Flags().StringVar(&w.search.Sender, "from", "", "list the messages of this sender: ADDRESS, NAME or DOMAIN")
	cmd.Flags().StringVar(&w.since, "since", "", "with --to or --from: only the last 30m, 4h, 2d")
	return t.Flags(cmd)
}

// check finds what can't be together.
func (w *why) check(args []string) error {
	search := w.search.Recipient != "" || w.search.Sender != ""
	switch {
	case len(args) == 0 && !search:
		return sysexits.Usage.With(errors.New("missing arguments: give the ID of a message, or --to or --from"))
	case len(args) == 1 && (search || w.since != ""):
		return sysexits.Usage.With(errors.New("an ID is one message: --to, --from and --since are for a list without it"))
	case w.since == "":
		return nil
	}
	age, err := workspace.ParseAge(w.since)
	w.search.Since = time.Now().Add(-age)
	return sysexits.Usage.With(err)
}

// one prints the life of a message.
func (w *why) one(ws *workspace.Workspace, text string, out io.Writer) error {
	id, err := selection.ParseID(text)
	if err != nil {
		return err
	}
	l, err := life.Read(ws, id.Entry.Message, time.Now())
	if err != nil {
		return err
	}
	if w.asJSON {
		return sysexits.IOErr.With(workspace.PrintJSON(out, l.Line()))
	}
	l.Print(out)
	return nil
}

// list prints the messages of a search.
func (w *why) list(ws *workspace.Workspace, out io.Writer) error {
	past, err := ws.SearchPast(w.search)
	if err != nil {
		return err
	}
	if w.asJSON {
		all := []map[string]any{}
		for i := range past.Events {
			all = append(all, life.Object(&past.Events[i]))
		}
		return sysexits.IOErr.With(workspace.PrintJSON(out, all))
	}
	for i := range past.Events {
		life.PrintLine(out, &past.Events[i], &w.search)
	}
	switch {
	case past.Summary.More:
		fmt.Fprintf(out, "There are more than these %d: use --since.\n", len(past.Events))
	case len(past.Events) == 0 && !past.Summary.Settings.On():
		return sysexits.NoUser.With(errors.New("no history of messages is kept: log.history is 0"))
	case len(past.Events) == 0:
		return sysexits.NoUser.With(errors.New("no such message in the history; refused ones are in the log only (NOQUEUE)"))
	}
	return nil
}
