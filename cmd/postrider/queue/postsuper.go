package queue

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/queue/entry"
	"postrider/cmd/postrider/queue/selection"
	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/engine/front/admin"
	"postrider/storage"
)

// surgery is what an option of postsuper does to the messages that it names.
type surgery struct {
	change
	letter string // the option
	flag   string // its long name
	help   string
	one    string // what is reported of a message: "removed"
	all    string // what is reported at the end: "Deleted"
	states []admin.QueueState
}

// Reports at the end, in their order.
var reports = []string{"Requeued", "Deleted", forceExpired, "Placed on hold", released}

const (
	forceExpired = "Force-expired"
	released     = "Released from hold"
)

// surgeries are the options, in the order in which ALL is carried out.
func surgeries() []surgery {
	waiting := []admin.QueueState{admin.Active, admin.Deferred}
	every := append(waiting, admin.OnHold)
	expire := bounceChange()
	expire.do = func(ws *workspace.Workspace, ids []storage.EntryID) (int, error) {
		return ws.Running().Bounce(ids, "message is administratively expired")
	}
	return []surgery{
		{deleteChange(), "d", "delete", "delete it without notifying its sender", "removed", "Deleted", every},
		{expire, "e", "expire", "return it to its sender now, unless it is held", "expired", forceExpired, waiting},
		{expire, "f", "force-expire", "return it to its sender now, also if it is held", "expired", forceExpired, every},
		{holdChange(), "h", "hold", "put it on hold", "placed on hold", "Placed on hold", waiting},
		{releaseChange(), "H", "release", "release it from hold", "released from hold", released, []admin.QueueState{admin.OnHold}},
		{requeueChange(), "r", "requeue", "make it due now, whether held or not", "requeued", "Requeued", every},
	}
}

// order is an option of a command line with its value, in the place where it was given.
type order struct {
	*surgery
	id string // a queue id, "ALL", or "-"
}

// orders collects the values of one option; it is a flag's value.
type orders struct {
	to *[]order
	of *surgery
}

func (o orders) String() string { return "" }
func (o orders) Type() string   { return "ID" }
func (o orders) Set(id string) error {
	*o.to = append(*o.to, order{o.of, id})
	return nil
}

// PostsuperCommand is "postsuper" of Postfix.
func PostsuperCommand() *cobra.Command {
	var t workspace.Target
	var given []order
	var structure bool
	cmd := &cobra.Command{
		Use:   "postsuper [-c file] [-d id] [-e id] [-f id] [-h id] [-H id] [-r id] [queue...]",
		Short: "Delete, hold, release and requeue mail as Postfix's postsuper does; also runs under that name",
		Long: `Delete, hold, release and requeue mail with the options and the output of Postfix's
postsuper. It also runs under the name postsuper.

  -d ID    delete the message without notifying its sender
  -e ID    return it to its sender now, unless it is held
  -f ID    return it to its sender now, also if it is held
  -h ID    put it on hold
  -H ID    release it from hold
  -r ID    make it due now, whether held or not; its id stays the same
  -p, -s   accepted: there are no queue files to repair ("postrider check" reads the store)
  -c FILE  the configuration (TOML); default: $POSTRIDER_CONFIG, or
           /etc/postrider.toml if it is there

ID is a queue id, ALL for all messages, or - to read ids from the standard input. An
option may be given many times. After the options, names of queues narrow it down to the
mail in them: active, deferred, hold. As with Postfix, an id that is not in the queue
changes nothing and is no error, and the reports go to the standard error output.

A message that goes to several domains has an entry for each, with a state of its own;
a queue's name selects entries.`,
		Example: `  postsuper -d 06FV1Q2C80000
  postsuper -d ALL deferred
  mailq | awk '/MAILER-DAEMON/ {print $1}' | postsuper -d -
  postrider postsuper -h ALL`,
		RunE: func(cmd *cobra.Command, queues []string) error {
			if len(given) == 0 {
				if structure || len(queues) == 0 {
					return nil
				}
				return sysexits.Usage.With(errors.New("queues are named, but no option says what to do with their mail: use -d ALL to delete it, -h ALL to hold it, -H ALL to release it, -r ALL to requeue it"))
			}
			return t.With(cmd.Context(), workspace.MustExist, func(ws *workspace.Workspace) error {
				s := superintendent{ws: ws, cmd: cmd, queues: queues, done: make(map[string]int64)}
				return s.run(given)
			})
		},
	}
	f := cmd.Flags()
	for _, one := range surgeries() {
		f.VarP(orders{&given, &one}, one.flag, one.letter, one.help)
	}
	f.BoolVarP(&structure, "structure", "s", false, "accepted: there are no queue files to repair")
	f.BoolVarP(&structure, "purge", "p", false, "accepted: there are no temporary files to purge")
	f.BoolVarP(&structure, "structure-redundant", "S", false, "accepted: there are no queue files to repair")
	return postfixCommand(&t, cmd, `"postrider queue --help" has more ways to select and change mail`)
}

// superintendent carries orders out.
type superintendent struct {
	ws     *workspace.Workspace
	cmd    *cobra.Command
	queues []string
	done   map[string]int64 // messages, by their report; what has none is not reported
}

// run carries the orders out: ids in the order of the command line, then ALL in the order
// of Postfix. What was done before an error stays done, and is reported.
func (s *superintendent) run(given []order) error {
	for _, o := range given {
		if o.begin != nil {
			if err := o.begin(s.ws); err != nil {
				return err
			}
		}
		if _, err := statesOf(s.queues, o.states...); err != nil {
			return err
		}
	}
	for _, o := range given {
		s.done[o.all] += 0
		if o.letter == "f" {
			s.done[released] += 0
		}
	}
	err := s.byID(given)
	for _, o := range surgeries() {
		if err == nil && slices.ContainsFunc(given, func(g order) bool { return g.letter == o.letter && g.id == "ALL" }) {
			err = s.operate(&o, &selection.Selection{Whole: true})
		}
	}
	for _, report := range reports {
		if n, asked := s.done[report]; asked {
			s.report("%s: %d message%s", report, n, plural(n))
		}
	}
	return err
}

// byID carries out the orders that name messages.
func (s *superintendent) byID(given []order) error {
	for _, o := range given {
		ids := []string{o.id}
		var failed error
		switch o.id {
		case "ALL":
			continue
		case "-":
			ids = nil
			failed = workspace.ReadWords(s.cmd.InOrStdin(), func(word string) error { ids = append(ids, word); return nil })
		}
		for _, text := range ids {
			id, err := selection.ParseID(text)
			if err != nil {
				s.report("warning: invalid mail queue id: %s", entry.Printable(text))
				continue
			}
			err = s.operate(o.surgery, &selection.Selection{IDs: []selection.ID{id}})
			if err != nil && workspace.ExitCode(err) != sysexits.NoUser { // the message has left the queue
				return err
			}
		}
		if failed != nil {
			return failed
		}
	}
	return nil
}

// operate does what an option does to the selected messages, and counts them.
func (s *superintendent) operate(o *surgery, what *selection.Selection) error {
	states, err := statesOf(s.queues, o.states...)
	if err != nil {
		return err
	}
	now := time.Now()
	held := make(map[storage.MessageID]bool) // messages in a step
	what.Skip = func(e *storage.QueueEntry) bool {
		state := admin.StateOf(e, now)
		if !slices.Contains(states, state) || !slices.Contains(o.states, state) {
			return true
		}
		if e.Held && o.letter == "f" {
			held[e.ID.Message] = true
		}
		return false
	}
	var last storage.MessageID
	return o.apply(s.cmd.Context(), s.ws, what, func(ids []storage.EntryID, n int) {
		for _, id := range ids {
			if n == 0 || id.Message == last {
				continue
			}
			last = id.Message
			s.count(o.all, o.one, id.Message, what.Whole)
			if held[id.Message] {
				s.count(released, "released from hold", id.Message, what.Whole)
			}
		}
		clear(held)
	})
}

// count counts a message, and reports it if it was named.
func (s *superintendent) count(all, one string, id storage.MessageID, whole bool) {
	s.done[all]++
	if !whole {
		s.report("%s: %s", id, one)
	}
}

// report writes a line as Postfix's programs do.
func (s *superintendent) report(format string, args ...any) {
	fmt.Fprintf(s.cmd.ErrOrStderr(), "postsuper: "+format+"\n", args...)
}
