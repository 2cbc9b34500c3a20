package store

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/storage"
)

// faultLine is a fault in the JSON of check.
type faultLine struct {
	Account string `json:"account,omitempty"`
	Message string `json:"message,omitempty"`
	Text    string `json:"text"`
}

// String is the line for people.
func (l faultLine) String() string {
	where := strings.Join(strings.Fields(l.Account+" "+l.Message), " ")
	if where == "" {
		where = "store"
	}
	return where + ": " + l.Text
}

// CheckCommand is "postrider check".
func CheckCommand() *cobra.Command {
	var t workspace.Target
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Read the whole store and report its faults",
		Long: `Read every message of the store and compare it with its checksums and its
index. The store may be in use meanwhile. What can't be read is listed, with the files
that are damaged, and all else is checked. A store that can't be opened is read file by
file: then the end says what "postrider salvage" would get out. Aliases that lead to no
mailbox are noted, but are not faults. Exit code 65 if there are faults.`,
		Example: `  postrider check --data /var/lib/postrider
  postrider check --json`,
		Args: workspace.Exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			opened := false
			err := t.With(cmd.Context(), workspace.MustExist, func(ws *workspace.Workspace) error {
				opened = true
				return check(ws, cmd, asJSON)
			})
			if opened || !errors.Is(err, storage.ErrCorrupt) {
				return err
			}
			return survey(cmd, &t, asJSON, err)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return t.Flags(cmd)
}

func check(ws *workspace.Workspace, cmd *cobra.Command, asJSON bool) error {
	found := []faultLine{}
	summary, err := ws.Check(cmd.Context(), func(f storage.Fault) {
		line := lineOfFault(ws, f)
		if asJSON {
			found = append(found, line)
			return
		}
		fmt.Fprintln(cmd.OutOrStdout(), line)
	})
	if err != nil {
		return workspace.IOError(fmt.Errorf("the check failed: %w", err))
	}
	lost, err := deadMembers(ws)
	if err != nil {
		return err
	}
	if asJSON {
		err = workspace.PrintJSON(cmd.OutOrStdout(), map[string]any{
			"accounts": summary.Accounts, "messages": summary.Messages, "bodies": summary.Bodies,
			"queued": summary.Queued, "deleted": summary.Deleted, "removed_accounts": summary.Removed, "octets": summary.Octets, "faults": found, "aliases": lost,
		})
	} else {
		for _, words := range lost {
			fmt.Fprintf(cmd.OutOrStdout(), "note: %s\n", words)
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d accounts, %d messages, %d queue entries, %d deleted messages, %d removed accounts, %d bodies, %d octets: %d faults\n",
			summary.Accounts, summary.Messages, summary.Queued, summary.Deleted, summary.Removed, summary.Bodies, summary.Octets, summary.Faults)
	}
	if err == nil && summary.Faults > 0 {
		err = sysexits.DataErr.With(fmt.Errorf("the store has %d faults: if files are damaged, \"postrider restore\" brings a backup back, and \"postrider salvage\" gets out all that can be read", summary.Faults))
	}
	return err
}

// deadMembers reports the targets of aliases that lead to no mailbox.
func deadMembers(ws *workspace.Workspace) ([]string, error) {
	all, err := workspace.NewRoster(ws)
	if err != nil {
		return nil, err
	}
	words := []string{}
	for _, a := range all.List {
		words = append(words, workspace.DeadWords(a, all.Router.Dead(a))...)
	}
	return words, nil
}

func lineOfFault(ws *workspace.Workspace, f storage.Fault) faultLine {
	line := faultLine{Text: f.Text}
	if f.Account != 0 {
		line.Account = fmt.Sprintf("account#%d", f.Account)
		if a, err := ws.Account(f.Account); err == nil {
			line.Account = workspace.Mailbox(a)
		}
	}
	if f.Message != 0 {
		line.Message = f.Message.String()
	}
	if line.Account+line.Message == "" {
		line.Account = "store"
	}
	return line
}
