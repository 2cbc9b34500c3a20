package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"postrider/cmd/sysexits"
	"postrider/storage"
)

// faultLine is a fault in the JSON of check.
type faultLine struct {
	Account string `json:"account,omitempty"`
	Message string `json:"message,omitempty"`
	Text    string `json:"text"`
}

func checkCommand() *cobra.Command {
	var t target
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Read the whole store and report what is wrong with it",
		Long: `Read every message of the store and compare it with its checksums and its
index. The store may be in use meanwhile. Notes tell of aliases that lead to no
mailbox, which are no faults. Exit code 65 if there are faults.`,
		Example: "  postrider check --data /var/lib/postrider",
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return t.with(cmd.Context(), mustExist, func(ws *desk) error { return check(ws, cmd, asJSON) })
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return t.flags(cmd)
}

func check(ws *desk, cmd *cobra.Command, asJSON bool) error {
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
		return ioError(fmt.Errorf("the check was not carried out: %w", err))
	}
	lost, err := deadMembers(ws)
	if err != nil {
		return err
	}
	if asJSON {
		err = printJSON(cmd.OutOrStdout(), map[string]any{
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

// deadMembers tells what of all aliases leads to no mailbox.
func deadMembers(ws *desk) ([]string, error) {
	all, err := newRoster(ws)
	if err != nil {
		return nil, err
	}
	words := []string{}
	for _, a := range all.aliases {
		words = append(words, deadWords(a, all.router.Dead(a))...)
	}
	return words, nil
}

func lineOfFault(ws *desk, f storage.Fault) faultLine {
	line := faultLine{Text: f.Text}
	if f.Account != 0 {
		line.Account = fmt.Sprintf("account#%d", f.Account)
		if a, err := ws.Account(f.Account); err == nil {
			line.Account = mailbox(a)
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
