package queue

import (
	"github.com/spf13/cobra"

	"postrider/cmd/postrider/queue/selection"
	"postrider/cmd/postrider/workspace"
	"postrider/storage"
)

// Command is "postrider queue".
func Command() *cobra.Command {
	return workspace.Group("queue", "List, hold, release, try, return and remove the mail that waits for other hosts",
		listCommand(), showCommand(), catCommand(), statCommand(),
		holdCommand(), releaseCommand(), requeueCommand(), flushCommand(), deleteCommand(), bounceCommand())
}

// selectionHelp is what the commands of the queue say of their arguments.
const selectionHelp = `A message that goes to several domains has an entry for each. ID names all entries
of a message, ID-PART one of them (ID-0 is the first), ALL the whole queue, and
"-" reads ids from the standard input. Flags narrow that down, and alone select
from the whole queue; all of them have to match.`

// flags adds the flags of a selection to cmd.
func flags(c *selection.Criteria, cmd *cobra.Command) *cobra.Command {
	f := cmd.Flags()
	f.StringVar(&c.Domain, "to-domain", "", "entries for this domain")
	f.StringVar(&c.From, "from", "", "entries from this address; '<>': notifications")
	f.StringVar(&c.Older, "older", "", "entries that arrived longer ago than this: 30m, 4h, 5d")
	f.StringVar(&c.Younger, "younger", "", "entries that arrived within this time: 30m, 4h, 5d")
	f.StringVar(&c.Status, "error", "", "entries with this status of the last attempt, or its beginning: 4, 4.4, 4.4.1")
	f.BoolVar(&c.Held, "held", false, "held entries")
	workspace.NumberVar(f, &c.Limit, "limit", "", 0, "maximum number of entries; 0: all")
	c.Given = f.Changed
	return cmd
}

// each calls f for each entry that is selected, until f returns false; see
// selection.Each. Entries that wait for a dead destination have that as their reason.
func each(ws *workspace.Workspace, s *selection.Selection, f func(*storage.QueueEntry) bool) error {
	return s.Each(ws, suspensions(ws).explain, f)
}
