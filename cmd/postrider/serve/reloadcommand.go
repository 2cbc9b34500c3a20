package serve

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/engine/front/admin"
)

// ReloadCommand is "postrider reload".
func ReloadCommand() *cobra.Command {
	var t workspace.Target
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Have the running server read its configuration again",
		Long: `Have the running server read its configuration file again, with the flags that it was
started with over it. Each key with a new value is printed with what became of it: it
is applied, or it needs a restart. Sessions that are open keep the rules that they
began with. If something is wrong with the file nothing changes, the server goes on
with the old configuration, and the exit code is 78. The file of the log is opened again,
and certificates and DKIM keys are read again in any case; if that fails, the exit code is
not 0 either. SIGHUP does the same, with the answer in the log.`,
		Example: `  postrider reload
  postrider reload --json --config /etc/postrider.toml`,
		Args: workspace.Exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			server, err := t.Server(cmd.Context())
			if err != nil {
				return err
			}
			done, err := server.Reload()
			if err := errors.Join(err, server.Close()); err != nil {
				return err
			}
			return printReloaded(cmd.OutOrStdout(), done, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return t.Flags(cmd)
}

func printReloaded(out io.Writer, done admin.Reloaded, asJSON bool) error {
	if asJSON {
		if err := workspace.PrintJSON(out, done); err != nil {
			return sysexits.IOErr.With(err)
		}
	}
	if done.Error != "" {
		all := append([]string{"nothing is reloaded, the server goes on with the old configuration: " + done.Error}, done.Faults...)
		return sysexits.Code(done.Code).With(errors.New(strings.Join(all, "\n")))
	}
	if !asJSON {
		if len(done.Changes) == 0 {
			fmt.Fprintln(out, "no key has changed")
		}
		for _, c := range done.Changes {
			fmt.Fprintf(out, "%s %s\n  old: %s\n  new: %s\n", c.Key, outcome(c), c.Old, c.New)
		}
	}
	if len(done.Faults) > 0 {
		return sysexits.Code(done.Code).With(errors.New(strings.Join(done.Faults, "\n")))
	}
	return nil
}
