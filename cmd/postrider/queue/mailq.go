package queue

import (
	"github.com/spf13/cobra"
)

// MailqCommand is "queue list" under the name that it has had since sendmail.
func MailqCommand() *cobra.Command {
	cmd := listCommand()
	cmd.Use = "mailq [ID... | ALL | -]"
	cmd.Short = "The same as queue list; also runs under the name mailq"
	cmd.Example = "  mailq\n  postrider mailq --to-domain example.org"
	return cmd
}
