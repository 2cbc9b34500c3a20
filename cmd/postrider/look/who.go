package look

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/engine/edge/conn"
	"postrider/engine/front/admin"
)

// WhoCommand is "postrider who".
func WhoCommand() *cobra.Command {
	var t workspace.Target
	var c criteria
	var asJSON bool
	var limit int
	cmd := &cobra.Command{
		Use:   "who",
		Short: "List the open sessions of the running server",
		Long: `List the open sessions of SMTP and POP3, a line for each: its id (for "postrider
kick"), protocol, state, age, messages, octets from and to the client, TLS, client and
account. After them come the users who are signed in to the web client, with the time
since their last request, the number of requests, and the last one without its query;
and requests under way that belong to no such session, as those for captured mail.

The state is the command that a session of SMTP is at (CONNECT before EHLO), or the state
of POP3 (RFC 1939). After a plus sign is what the session waits for, if that is not the
client's next input: login, store, memory (limits.memory), names (name servers, or a
recipient's place), greeting (its delay and look-ups), handshake (of TLS), penalty (after
a failed login), turn (too many failed logins), reader (the client takes what was sent).
END: the last reply is sent, and the client has not closed yet.

The state of a web session is the method of a request that is under way, or IDLE. Its
octets are those of the bodies of requests and answers. Connections to other hosts are
not listed.`,
		Example: `  postrider who
  postrider who --protocol pop3 --account jsmith
  postrider who --protocol web
  postrider who --client 192.0.2.0/24 --json`,
		Args: workspace.Exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			sel, err := c.selection()
			if err != nil {
				return err
			}
			if limit < 1 || limit > conn.MaxListed {
				return sysexits.Usage.With(fmt.Errorf("--limit %d: expected 1 to %d", limit, conn.MaxListed))
			}
			return with(cmd, &t, func(server *admin.Client) error {
				found, err := server.Look(sel, limit)
				if err != nil {
					return err
				}
				if asJSON {
					return sysexits.IOErr.With(workspace.PrintJSON(cmd.OutOrStdout(), found))
				}
				return sysexits.IOErr.With(printSessions(cmd.OutOrStdout(), &found))
			})
		},
	}
	c.flags(cmd)
	workspace.NumberVar(cmd.Flags(), &limit, "limit", "", 1000, "maximum number of sessions that are listed: the newest ones")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return t.Flags(cmd)
}

// printSessions prints a table, and how many sessions are not in it.
func printSessions(out io.Writer, found *conn.Survey) error {
	if found.Total == 0 {
		_, err := io.WriteString(out, "no sessions\n")
		return err
	}
	if _, err := io.WriteString(out, table(found.Sessions)); err != nil {
		return err
	}
	if left := found.Total - len(found.Sessions); left > 0 {
		_, err := fmt.Fprintf(out, "%s more, older ones: see --limit, --client, --account, --protocol\n", count(int64(left), "session"))
		return err
	}
	return nil
}

// table has a line for each session, and sessions of the web apart. What may be long comes last.
func table(all []conn.Facts) string {
	mail, web := []string{"ID\tPROTO\tSTATE\tAGE\tMSGS\tIN\tOUT\tTLS\tCLIENT\tACCOUNT"}, []string{"ID\tPROTO\tSTATE\tAGE\tIDLE\tREQS\tIN\tOUT\tTLS\tCLIENT\tACCOUNT\tLAST REQUEST"}
	for i := range all {
		f := &all[i]
		begin := fmt.Sprintf("%d\t%s\t%s\t%s\t", f.ID, protocol(f.Protocol), stateOf(f.State, f.Waits), span(time.Duration(f.Seconds)*time.Second))
		end := fmt.Sprintf("%s\t%s\t%s\t%s\t%s", short(f.In), short(f.Out), version(f.TLS), f.Client, plain(f.Account))
		if f.Protocol == "web" {
			web = append(web, fmt.Sprintf("%s%s\t%d\t%s\t%s", begin, span(time.Duration(f.Idle)*time.Second), f.Requests, end, plain(f.Last)))
		} else {
			mail = append(mail, fmt.Sprintf("%s%d\t%s", begin, f.Messages, end))
		}
	}
	switch {
	case len(web) == 1:
		return columns(mail)
	case len(mail) == 1:
		return columns(web)
	}
	return columns(mail) + "\n" + columns(web)
}

// columns sets lines with tabs in columns.
func columns(lines []string) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, line := range lines {
		fmt.Fprintln(w, line)
	}
	_ = w.Flush() // to memory
	lines = strings.Split(b.String(), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

// protocol is the name of a protocol in a narrow column.
func protocol(name string) string {
	if name == "submission" {
		return "subm"
	}
	return name
}

// short is octets in a narrow column: 999, 1.2K, 34M.
func short(n int64) string {
	text := octets(n)
	text = strings.TrimSuffix(strings.TrimSuffix(text, "B"), "i")
	return strings.ReplaceAll(text, " ", "")
}

// version is a version of TLS in a narrow column.
func version(tls string) string {
	if tls == "" {
		return "-"
	}
	return strings.TrimPrefix(tls, "TLSv")
}
