package queue

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/queue/entry"
	"postrider/cmd/postrider/queue/selection"
	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/codec/address"
	"postrider/storage"
)

// postqueue is the options of a command line.
type postqueue struct {
	list, json, flush bool
	id, site          string
}

// PostqueueCommand is "postqueue" of Postfix.
func PostqueueCommand() *cobra.Command {
	var t workspace.Target
	var p postqueue
	cmd := &cobra.Command{
		Use:   "postqueue [-c file] (-p | -j | -f | -i id | -s site)",
		Short: "List or flush the queue as Postfix's postqueue does; also runs under that name",
		Long: `List or flush the queue with the options and the output of Postfix's postqueue. It
also runs under the name postqueue.

  -p       list the queue, as mailq does
  -j       list it as JSON, an object a line, with the keys of Postfix
  -f       try all mail now
  -i ID    try this message now
  -s SITE  try the mail for this domain now
  -c FILE  the configuration (TOML); default: $POSTRIDER_CONFIG, or
           /etc/postrider.toml if it is there

As with Postfix, -f, -i and -s print nothing. "postrider queue" has more: listings by
domain, sender, age and error, with all that is known of each recipient.`,
		Example: `  postqueue -p
  postqueue -j | jq -r 'select(.queue_name=="deferred") | .queue_id'
  postrider postqueue -s example.org`,
		Args: workspace.Exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			f := cmd.Flags()
			n := 0
			for _, name := range []string{"print", "json", "flush", "id", "site"} {
				if f.Changed(name) {
					n++
				}
			}
			if n != 1 {
				return sysexits.Usage.With(errors.New("usage: postqueue -f | postqueue -i queueid | postqueue -j | postqueue -p | postqueue -s site"))
			}
			what, err := p.what(f.Changed("id"), f.Changed("site"))
			if err != nil {
				return err
			}
			return t.With(cmd.Context(), workspace.MustExist, func(ws *workspace.Workspace) error { return p.run(ws, cmd, what) })
		},
	}
	f := cmd.Flags()
	f.BoolVarP(&p.list, "print", "p", false, "list the queue, as mailq does")
	f.BoolVarP(&p.json, "json", "j", false, "list it as JSON, an object a line")
	f.BoolVarP(&p.flush, "flush", "f", false, "try all mail now")
	f.StringVarP(&p.id, "id", "i", "", "try this message now")
	f.StringVarP(&p.site, "site", "s", "", "try the mail for this domain now")
	return postfixCommand(&t, cmd, `"postrider queue --help" has other ways to list and change the queue`)
}

// what is the part of the queue that the command is about.
func (p *postqueue) what(one, site bool) (*selection.Selection, error) {
	what := &selection.Selection{Whole: true}
	switch {
	case one:
		id, err := selection.ParseID(p.id)
		if err != nil {
			return nil, sysexits.Usage.With(fmt.Errorf("cannot flush queue ID - invalid name: %w", err))
		}
		what.Whole, what.IDs = false, []selection.ID{id}
	case site:
		what.Filter.Domain = address.FoldDomain(strings.TrimSuffix(p.site, "."))
		if what.Filter.Domain == "" || strings.ContainsAny(p.site, "@ \t") {
			return nil, sysexits.Usage.With(fmt.Errorf("cannot flush mail queue - invalid destination: %q: expected a domain, or an address literal such as [192.0.2.1]", p.site))
		}
	}
	return what, nil
}

func (p *postqueue) run(ws *workspace.Workspace, cmd *cobra.Command, what *selection.Selection) error {
	switch {
	case p.list:
		return printEntries(ws, cmd.OutOrStdout(), what, false)
	case p.json:
		return printPostfixJSON(ws, cmd.OutOrStdout(), what)
	}
	if ws.Running() == nil {
		return sysexits.Unavailable.With(fmt.Errorf("cannot flush mail queue - mail system is down: start it with \"postrider serve\" (data directory %s)", ws.Config.Server.Data))
	}
	c := flushChange()
	what.Skip = c.skip
	if err := c.apply(cmd.Context(), ws, what, func([]storage.EntryID, int) {}); err != nil {
		return err
	}
	return ws.Running().Flush(what.Filter.Domain)
}

// printPostfixJSON prints the queue as "postqueue -j" of Postfix does: its keys alone, in
// its order, with its blanks.
func printPostfixJSON(ws *workspace.Workspace, to io.Writer, what *selection.Selection) error {
	out := bufio.NewWriter(to)
	var err error
	now := time.Now()
	failed := grouped(ws, what, func(group []*storage.QueueEntry) bool {
		_, err = out.Write(postfixJSON(group, now))
		return err == nil
	})
	return errors.Join(failed, sysexits.IOErr.With(errors.Join(err, out.Flush())))
}

// postfixJSON is a message as an object of "postqueue -j".
func postfixJSON(group []*storage.QueueEntry, now time.Time) []byte {
	first := group[0]
	line := fmt.Appendf(nil, `{"queue_name": %s, "queue_id": %s, "arrival_time": %d, "message_size": %d, "forced_expire": false, "sender": %s, "recipients": [`,
		quoted(string(stateOfAll(group, now))), quoted(first.ID.Message.String()), first.Arrival.Unix(), first.Body.Size, quoted(entry.Sender(first)))
	comma := ""
	for _, e := range group {
		for i := range e.Recipients {
			r := &e.Recipients[i]
			line = fmt.Appendf(line, `%s{"address": %s`, comma, quoted(r.ForwardPath))
			if why := e.ReasonOf(r); why != "" {
				line = fmt.Appendf(line, `, "delay_reason": %s`, quoted(why))
			}
			line = append(line, '}')
			comma = ", "
		}
	}
	return append(line, "]}\n"...)
}

// quoted is text as a string of JSON. Where Postfix writes "?" for what is not ASCII, it
// has the letters.
func quoted(text string) []byte {
	line, err := appendJSON(nil, text)
	if err != nil {
		return []byte(`""`) // a string always has a form
	}
	return line
}
