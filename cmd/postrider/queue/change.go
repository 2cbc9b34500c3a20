package queue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/queue/entry"
	"postrider/cmd/postrider/queue/selection"
	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/codec/address"
	"postrider/storage"
)

// change is one thing that an operator does to entries of the queue.
type change struct {
	name, done  string // "hold", "held"
	short, long string
	bare        bool                             // without ids and flags it is about the whole queue
	skip        func(*storage.QueueEntry) bool   // entries that it is not about; nil: none
	begin       func(*workspace.Workspace) error // looks whether it can be done at all; nil: always
	do          func(*workspace.Workspace, []storage.EntryID) (int, error)
	end         func(*workspace.Workspace, io.Writer, *selection.Selection) error // nil: nothing is left to do
	examples    string
	flags       func(*cobra.Command) // nil: it has none of its own
}

func isHeld(e *storage.QueueEntry) bool    { return e.Held }
func isNotHeld(e *storage.QueueEntry) bool { return !e.Held }

// move is a change that the store carries out.
func move(m storage.QueueMove) func(*workspace.Workspace, []storage.EntryID) (int, error) {
	return func(ws *workspace.Workspace, ids []storage.EntryID) (int, error) { return ws.MoveQueued(ids, m) }
}

func holdCommand() *cobra.Command { return holdChange().command() }

func holdChange() change {
	return change{
		name: "hold", done: "held", short: "Keep mail in the queue without trying it",
		long:     "Keep mail in the queue without trying it, until \"queue release\". It does not expire meanwhile.",
		examples: "  postrider queue hold --to-domain example.org\n  postrider queue hold 06FV1Q2C80000",
		skip:     isHeld, do: move(storage.Hold),
	}
}

func releaseCommand() *cobra.Command { return releaseChange().command() }

func releaseChange() change {
	return change{
		name: "release", done: "released", short: "Release held mail, and try it now",
		examples: "  postrider queue release ALL\n  postrider queue release --from alice@example.org",
		skip:     isNotHeld, do: move(storage.Release),
	}
}

func requeueCommand() *cobra.Command { return requeueChange().command() }

func requeueChange() change {
	return change{
		name: "requeue", done: "requeued", short: "Make mail due now, whether held or not",
		long: `Make mail due now, whether held or not. It is routed again, as before each
attempt. A dead destination is probed with it.`,
		examples: "  postrider queue requeue 06FV1Q2C80000-1\n  postrider queue requeue --error 4.7 --held",
		do:       move(storage.RequeueNow),
	}
}

func deleteCommand() *cobra.Command { return deleteChange().command() }

func deleteChange() change {
	return change{
		name: "delete", done: "deleted", short: "Remove mail from the queue without notifying its sender",
		long: `Remove mail from the queue without notifying its sender (see "queue bounce"). The
copies of local recipients stay in their maildrops.`,
		examples: `  postrider queue delete --from '<>' --to-domain example.org --dry-run
  postrider queue delete ALL
  postrider queue list --json --error 5 | jq -r .queue_id | postrider queue delete -`,
		do: move(storage.DropQueued),
	}
}

func flushCommand() *cobra.Command { return flushChange().command() }

func flushChange() change {
	return change{
		name: "flush", done: "made due", short: "Try mail now, also for dead destinations",
		long: `Make mail due now, and have the running server try it at once, also for destinations
that could not be reached. Held mail stays held. Without arguments the whole queue is
flushed, as by "sendmail -q".`,
		examples: "  postrider queue flush\n  postrider queue flush --to-domain example.org",
		bare:     true, skip: isHeld, do: move(storage.RequeueNow), end: endFlush,
	}
}

// endFlush flushes the running server's queue.
func endFlush(ws *workspace.Workspace, out io.Writer, what *selection.Selection) error {
	server := ws.Running()
	if server == nil {
		_, err := fmt.Fprintf(out, "no server runs on %s: they are tried when one is started\n", ws.Config.Server.Data)
		return err
	}
	return server.Flush(what.Filter.Domain)
}

func bounceCommand() *cobra.Command { return bounceChange().command() }

func bounceChange() change {
	reason := "returned by the postmaster"
	return change{
		name: "bounce", done: "returned", short: "Return mail to its senders now",
		long: `Return mail to its senders now, as if it had become too old. The server must be
running: it writes the notifications.`,
		examples: "  postrider queue bounce --to-domain exmaple.org --reason 'the domain is misspelt'",
		flags: func(cmd *cobra.Command) {
			cmd.Flags().StringVar(&reason, "reason", reason, "reason to put into the notifications")
		},
		begin: func(ws *workspace.Workspace) error {
			if ws.Running() == nil {
				return sysexits.Unavailable.With(fmt.Errorf("no server runs on %s, and only the server writes notifications: start it with \"postrider serve\", or remove mail without notifications by \"postrider queue delete\"", ws.Config.Server.Data))
			}
			return nil
		},
		do: func(ws *workspace.Workspace, ids []storage.EntryID) (int, error) {
			return ws.Running().Bounce(ids, reason)
		},
	}
}

// command makes the command of a change.
func (c change) command() *cobra.Command {
	var t workspace.Target
	var s selection.Criteria
	var dry bool
	use := c.name + " (ID... | ALL | - | FLAGS)"
	if c.bare {
		use = c.name + " [ID... | ALL | - | FLAGS]"
	}
	if c.long == "" {
		c.long = c.short + "."
	}
	cmd := &cobra.Command{
		Use: use, Short: c.short, Example: c.examples,
		Long: c.long + "\n\n" + selectionHelp + " --dry-run shows what would be\ndone and changes nothing.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if s.None(args) && !c.bare {
				return sysexits.Usage.With(fmt.Errorf("nothing is selected: use ids or flags, or ALL for the whole queue (see \"%s --help\")", cmd.CommandPath()))
			}
			what, err := selection.Read(&s, args, cmd.InOrStdin(), time.Now())
			if err != nil {
				return err
			}
			what.Skip = c.skip
			return t.With(cmd.Context(), workspace.MustExist, func(ws *workspace.Workspace) error {
				if dry {
					return dryRun(ws, cmd, c, what)
				}
				return carryOut(ws, cmd, c, what)
			})
		},
	}
	cmd.Flags().BoolVar(&dry, "dry-run", false, "print what would be done, and change nothing")
	if c.flags != nil {
		c.flags(cmd)
	}
	return t.Flags(flags(&s, cmd))
}

// batch is how many entries are changed in one step of the store.
const batch = 1000

// carryOut carries a change out, and reports how many entries it changed.
func carryOut(ws *workspace.Workspace, cmd *cobra.Command, c change, what *selection.Selection) error {
	if c.begin != nil {
		if err := c.begin(ws); err != nil {
			return err
		}
	}
	done := 0
	err := c.apply(cmd.Context(), ws, what, func(_ []storage.EntryID, n int) { done += n })
	_, wrote := fmt.Fprintf(cmd.OutOrStdout(), "%s %s\n", entries(done), c.done)
	err = errors.Join(err, sysexits.IOErr.With(wrote))
	if c.end != nil {
		err = errors.Join(err, c.end(ws, cmd.OutOrStdout(), what))
	}
	return err
}

// apply does a change while it reads the queue, so that a large one is never in memory.
// It calls changed after each step, with the ids of the step and how many of them were
// changed; ids is valid during the call. What was done before an error stays done.
func (c change) apply(ctx context.Context, ws *workspace.Workspace, what *selection.Selection, changed func(ids []storage.EntryID, n int)) error {
	var ids []storage.EntryID
	var failed error
	step := func() {
		var n int
		n, failed = c.do(ws, ids)
		changed(ids, n)
		ids = ids[:0]
	}
	err := each(ws, what, func(e *storage.QueueEntry) bool {
		if ids = append(ids, e.ID); len(ids) == batch {
			step()
		}
		return failed == nil && ctx.Err() == nil
	})
	if len(ids) > 0 && failed == nil {
		step()
	}
	return errors.Join(err, failed, ctx.Err())
}

// sample is how many entries a dry run shows.
const sample = 10

// dryRun prints what a change would do.
func dryRun(ws *workspace.Workspace, cmd *cobra.Command, c change, what *selection.Selection) error {
	n, octets := 0, int64(0)
	err := each(ws, what, func(e *storage.QueueEntry) bool {
		if n++; n <= sample {
			fmt.Fprintf(cmd.OutOrStdout(), "%s %s -> %s\n", entry.Name(e.ID), entry.Sender(e), e.Domain)
		}
		octets += e.Body.Size
		return cmd.Context().Err() == nil
	})
	if n > sample {
		fmt.Fprintf(cmd.OutOrStdout(), "and %d more\n", n-sample)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s, %d octets, would be %s; nothing was changed\n", entries(n), octets, c.done)
	return errors.Join(err, cmd.Context().Err())
}

// entries is a number of entries in words.
func entries(n int) string {
	if n == 1 {
		return "1 entry"
	}
	return fmt.Sprintf("%d entries", n)
}

// Flush makes the queue due, or the part of it that an id or a domain names.
func Flush(ws *workspace.Workspace, cmd *cobra.Command, id, domain string) error {
	what := selection.Selection{Whole: true, Skip: isHeld}
	if id != "" {
		one, err := selection.ParseID(id)
		if err != nil {
			return err
		}
		what.Whole, what.IDs = false, []selection.ID{one}
	}
	what.Filter = storage.QueueFilter{Domain: address.FoldDomain(domain)}
	return carryOut(ws, cmd, flushChange(), &what)
}
