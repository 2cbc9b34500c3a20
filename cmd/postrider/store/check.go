package store

import (
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

// CheckCommand is "postrider check".
func CheckCommand() *cobra.Command {
	var t workspace.Target
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Read the whole store and report its faults",
		Long: `Read every message of the store and compare it with its checksums and its
index. The store may be in use meanwhile. Aliases that lead to no mailbox are noted,
but are not faults. Exit code 65 if there are faults.`,
		Example: "  postrider check --data /var/lib/postrider",
		Args:    workspace.Exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return t.With(cmd.Context(), workspace.MustExist, func(ws *workspace.Workspace) error { return check(ws, cmd, asJSON) })
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
		fmt.Fprintln(cmd.OutOrStdout(), strings.Join(strings.Fields(line.Account+" "+line.Message), " ")+": "+line.Text)
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
			"queued": summary.Queued, "octets": summary.Octets, "faults": found, "aliases": lost,
		})
	} else {
		for _, words := range lost {
			fmt.Fprintf(cmd.OutOrStdout(), "note: %s\n", words)
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d accounts, %d messages, %d queue entries, %d bodies, %d octets: %d faults\n",
			summary.Accounts, summary.Messages, summary.Queued, summary.Bodies, summary.Octets, summary.Faults)
	}
	if err == nil && summary.Faults > 0 {
		err = sysexits.DataErr.With(fmt.Errorf("the store has %d faults", summary.Faults))
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
