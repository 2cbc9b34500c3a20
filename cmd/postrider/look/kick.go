package look

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/engine/front/admin"
)

// KickCommand is "postrider kick".
func KickCommand() *cobra.Command {
	var t workspace.Target
	var c criteria
	var now bool
	cmd := &cobra.Command{
		Use:   "kick [SESSION...]",
		Short: "End sessions of the running server",
		Long: `End sessions, by their numbers ("postrider who" shows them) or by what they have in
common, and print how many. They end in order, as when the server ends: with 421 or
-ERR, each after the message or command that it is at, and no mail is lost. A client that
sends its message slowly may take its time; --now cuts the connections at once, and the
client gets no reply: it sends a message again whose reply it has not seen.

Sessions of the web client are signed out, and their downloads and streams of events
are cut off; a message that is being sent is sent, except with --now.

The clients may come again at once. To keep them away change their password
("postrider account"), or put a limit into [policy] or [limits]. The log has a line
with the user who did this.`,
		Example: `  postrider kick 1042 1043
  postrider kick --client 192.0.2.0/24
  postrider kick --account jsmith --protocol pop3 --now
  postrider kick --account jsmith --protocol web`,
		RunE: func(cmd *cobra.Command, args []string) error {
			sel, err := c.selection()
			if err != nil {
				return err
			}
			if sel.IDs, err = sessionIDs(args); err != nil {
				return err
			}
			if len(args) == 0 && c == (criteria{}) {
				return sysexits.Usage.With(errors.New("name the sessions: ids, --client, --account or --protocol"))
			}
			return with(cmd, &t, func(server *admin.Client) error {
				n, err := server.End(sel, now)
				if err != nil {
					return err
				}
				if n == 0 {
					return sysexits.NoInput.With(errors.New("no open session is one of these; \"postrider who\" lists them"))
				}
				how := "told to end"
				if now {
					how = "cut off"
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s %s\n", count(int64(n), "session"), how)
				return nil
			})
		},
	}
	c.flags(cmd)
	cmd.Flags().BoolVar(&now, "now", false, "cut the connections at once, without a reply")
	return t.Flags(cmd)
}
