package queue

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

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
	help   string
	one    string // what is reported of a message: "removed"
	all    string // what is reported at the end: "Deleted"
	states []admin.QueueState
}

// surgeries are the options, in the order in which ALL is carried out and reported.
func surgeries() []surgery {
	waiting := []admin.QueueState{admin.Active, admin.Deferred}
	every := append(waiting, admin.OnHold)
	expire := bounceChange()
	expire.do = func(ws *workspace.Workspace, ids []storage.EntryID) (int, error) {
		return ws.Running().Bounce(ids, "message is administratively expired")
	}
	return []surgery{
		{requeueChange(), "r", "make it due now, whether held or not", "requeued", "Requeued", every},
		{deleteChange(), "d", "delete it without notifying its sender", "removed", "Deleted", every},
		{expire, "e", "return it to its sender now, unless it is held", "expired", "Expired", waiting},
		{expire, "f", "return it to its sender now, also if it is held", "expired", "Force-expired", every},
		{holdChange(), "h", "put it on hold", "placed on hold", "Placed on hold", waiting},
		{releaseChange(), "H", "release it from hold", "released from hold", "Released from hold", []admin.QueueState{admin.OnHold}},
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
		f.VarP(orders{&given, &one}, map[string]string{"r": "requeue", "d": "delete", "e": "expire", "f": "force-expire", "h": "hold", "H": "release"}[one.letter], one.letter, one.help)
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
	done   map[string]int64 // messages, by the letter of the option
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
	err := s.byID(given)
	all := surgeries()
	for i := range all {
		if err == nil && slices.ContainsFunc(given, func(o order) bool { return o.letter == all[i].letter && o.id == "ALL" }) {
			err = s.operate(&all[i], &selection.Selection{Whole: true})
		}
	}
	for i := range all {
		if n := s.done[all[i].letter]; n > 0 {
			s.report("%s: %d message%s", all[i].all, n, plural(n))
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
			ids, failed = readWords(s.cmd.InOrStdin())
		}
		for _, text := range ids {
			id, err := selection.ParseID(text)
			if err != nil {
				s.report("warning: invalid mail queue id: %q", text)
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
	what.Skip = func(e *storage.QueueEntry) bool {
		state := admin.StateOf(e, now)
		return !slices.Contains(states, state) || !slices.Contains(o.states, state)
	}
	var last storage.MessageID
	return o.apply(s.cmd.Context(), s.ws, what, func(ids []storage.EntryID, n int) {
		if n == 0 {
			return
		}
		for _, id := range ids {
			if id.Message == last {
				continue
			}
			last = id.Message
			s.done[o.letter]++
			if !what.Whole {
				s.report("%s: %s", id.Message, o.one)
			}
		}
	})
}

// report writes a line as Postfix's programs do.
func (s *superintendent) report(format string, args ...any) {
	fmt.Fprintf(s.cmd.ErrOrStderr(), "postsuper: "+format+"\n", args...)
}

// readWords reads words to the end of in.
func readWords(in io.Reader) (words []string, err error) {
	scan := bufio.NewScanner(in)
	scan.Split(bufio.ScanWords)
	for scan.Scan() {
		words = append(words, strings.Clone(scan.Text()))
	}
	return words, sysexits.IOErr.With(scan.Err())
}
