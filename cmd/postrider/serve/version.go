package serve

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/engine/server"
)

// versionInfo is what --json shows.
type versionInfo struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"` // the commit of the source, if the build knew it
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// VersionCommand is "postrider version".
func VersionCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print the version of this program",
		Long:    "Print the version of this program. \"postrider status\" prints the version of the running\nserver, which may be another one until it is restarted.",
		Example: "  postrider version --json",
		Args:    workspace.Exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			v := versionInfo{server.Version, revision(), runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
			if asJSON {
				return sysexits.IOErr.With(workspace.PrintJSON(cmd.OutOrStdout(), v))
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "postrider %s (%s, %s)\n", v.Version, v.Go, v.Platform)
			return sysexits.IOErr.With(err)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// revision is the commit that the program was built from, or "".
func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return ""
}
