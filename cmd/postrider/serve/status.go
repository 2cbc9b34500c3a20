package serve

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/engine/front/admin"
)

// StatusCommand is "postrider status".
func StatusCommand() *cobra.Command {
	var t workspace.Target
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "status",
		Short:   "Print the state of the running server",
		Long:    "Print the state of the running server. Exit code 69 if none runs, 75 if it takes no mail now.",
		Example: "  postrider status --json",
		Args:    workspace.Exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := t.Config()
			if err != nil {
				return err
			}
			client, err := admin.Dial(cmd.Context(), workspace.AdminSocket(cfg))
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
				return workspace.NoServer(cfg)
			}
			if err != nil {
				return sysexits.Unavailable.With(err)
			}
			defer client.Close()
			s, err := client.Status(cmd.Context())
			if err != nil {
				return err
			}
			return printStatus(cmd, s, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return t.Flags(cmd)
}

func printStatus(cmd *cobra.Command, s admin.Status, asJSON bool) error {
	if asJSON {
		if err := workspace.PrintJSON(cmd.OutOrStdout(), s); err != nil {
			return sysexits.IOErr.With(err)
		}
	} else {
		fmt.Fprintf(cmd.OutOrStdout(), "postrider %s, process %d, since %s\nhealth: %s\nsmtp: %s\npop3: %s\nhttp: %s\n",
			s.Version, s.PID, s.Started.Local().Format(time.DateTime), s.Health,
			strings.Join(s.SMTP, " "), strings.Join(s.POP3, " "), strings.Join(s.HTTP, " "))
	}
	if s.Health != "ok" {
		return sysexits.TempFail.With(fmt.Errorf("the server takes no mail now: %s", s.Health))
	}
	return nil
}
