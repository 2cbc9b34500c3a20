package queue

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/engine/front/admin"
)

// The commands of Postfix that work at the queue have its options and write what it
// writes, octet for octet, so that scripts for Postfix go on. They begin with
// postfixCommand.

// postfixCommand gives a command the flags of all commands under names of Postfix: the
// configuration by -c too, and -v, which means nothing. A wrong option is answered with
// the options that there are, and with hint: how to do other things.
func postfixCommand(t *workspace.Target, cmd *cobra.Command, hint string) *cobra.Command {
	f := cmd.Flags()
	f.StringVarP(&t.File, "config", "c", "", "configuration file (TOML; default: $POSTRIDER_CONFIG, or /etc/postrider.toml if it exists)")
	f.StringVar(&t.Data, "data", "", "data directory (default: server.data of the configuration)")
	f.CountP("verbose", "v", "accepted, and means nothing")
	if f.Lookup("help") == nil && f.ShorthandLookup("h") != nil {
		f.Bool("help", false, "print this help")
	}
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return sysexits.Usage.With(fmt.Errorf("%w; usage: %s; %s", err, cmd.UseLine(), hint))
	})
	cmd.DisableFlagsInUseLine = true
	return cmd
}

// directories are the queues of Postfix, with the states that mail in them has here. Those
// without a state are always empty.
var directories = map[string]admin.QueueState{
	"active": admin.Active, "deferred": admin.Deferred, "hold": admin.OnHold,
	"incoming": "", "maildrop": "", "bounce": "", "defer": "", "trace": "", "flush": "", "corrupt": "",
}

// statesOf are the states of mail in the named queues; other is what it is if none is
// named. States may be empty: the named queues are.
func statesOf(names []string, other ...admin.QueueState) (states []admin.QueueState, err error) {
	if len(names) == 0 {
		return other, nil
	}
	for _, name := range names {
		state, known := directories[name]
		if !known {
			return nil, sysexits.Usage.With(fmt.Errorf("%q: not a queue: expected active, deferred, hold or incoming", strings.ToValidUTF8(name, "?")))
		}
		if state != "" && !slices.Contains(states, state) {
			states = append(states, state)
		}
	}
	return states, nil
}

// plural is the ending of a noun after n.
func plural(n int64) string {
	if n == 1 {
		return ""
	}
	return "s"
}
