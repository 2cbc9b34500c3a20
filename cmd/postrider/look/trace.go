package look

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/engine/client"
	"postrider/engine/edge/conn"
	"postrider/engine/front/admin"
)

// TraceCommand is "postrider trace".
func TraceCommand() *cobra.Command {
	var t workspace.Target
	var c criteria
	var dest string
	var asJSON bool
	limit := 10 * time.Minute
	cmd := &cobra.Command{
		Use:   "trace [SESSION...]",
		Short: "Show the dialogues of sessions as they come",
		Long: `Show what clients and the server say to each other, as it comes, in the notation of
swaks: "<-" is the server, "->" the client; with a tilde it goes through TLS; "===" is
about the session or the trace. Each line begins with the id of its session, or of the
message that is sent to another host: --dest shows these. There the client is this
server, and messages are shown from their next attempt on. New
sessions are shown from their greeting on; those that are open, from their next
command on, and those of an account after its login.

Credentials are not shown, nor commands that the server does not know, which may be
credentials at the wrong place. Of a message the header is shown, and the number of
octets after it; of a message by BDAT only the number. If lines come faster than they are
read some are lost, and a line tells how many.

Of requests to the web client, to the page of captured mail and its API, and to the
addresses of HTTP at all, the method and the path are shown, and the status, the octets
and the time of the answer: no query, no cookie, no field of the header and no body.

The trace ends by itself after the time of --for, or with ^C. The log has a line with the
user who began it.`,
		Example: `  postrider trace --client 192.0.2.7
  postrider trace --account jsmith --protocol pop3 --for 1h
  postrider trace --dest example.com
  postrider trace 1042`,
		RunE: func(cmd *cobra.Command, args []string) error {
			sel, err := c.selection()
			if err != nil {
				return err
			}
			if sel.IDs, err = sessionIDs(args); err != nil {
				return err
			}
			sessions := len(args) > 0 || c != (criteria{})
			if sessions == (dest != "") {
				return sysexits.Usage.With(errors.New("name the sessions: ids, --client, --account or --protocol; or --dest and none of these"))
			}
			if limit <= 0 || limit > admin.MaxTrace {
				return sysexits.Usage.With(fmt.Errorf("--for %v: expected more than 0 and at most %v", limit, admin.MaxTrace))
			}
			out := cmd.OutOrStdout()
			return with(cmd, &t, func(server *admin.Client) error {
				fmt.Fprintf(cmd.ErrOrStderr(), "=== the trace ends after %s, or with ^C\n", span(limit))
				return server.Trace(cmd.Context(), sel, dest, limit, func(l *conn.TraceLine) error { return printLine(out, l, asJSON) })
			})
		},
	}
	c.flags(cmd)
	cmd.Flags().StringVar(&dest, "dest", "", "the dialogues with the hosts that mail for this domain is sent to, or with the host of this name")
	cmd.Flags().DurationVar(&limit, "for", limit, "end after this time")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, an object for each line")
	return t.Flags(cmd)
}

// printLine prints a line of a dialogue.
func printLine(out io.Writer, l *conn.TraceLine, asJSON bool) error {
	if asJSON {
		text, err := json.Marshal(l)
		if err != nil {
			return err
		}
		_, err = out.Write(append(client.AppendJSON(nil, text), '\n'))
		return sysexits.IOErr.With(err)
	}
	id := l.Message
	if l.Session != 0 {
		id = fmt.Sprint(l.Session)
	}
	_, err := fmt.Fprintf(out, "%-6s %s\n", id, plain(l.Text))
	return sysexits.IOErr.With(err)
}
