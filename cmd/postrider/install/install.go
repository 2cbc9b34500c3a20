package install

import (
	"embed"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
)

// units are the files that a system with systemd needs.
//
//go:embed *.conf *.service *.socket
var units embed.FS

// installed is where each of units belongs, in the order in which they are printed.
var installed = []struct{ file, path string }{
	{"sysusers.conf", "/usr/lib/sysusers.d/postrider.conf"},
	{"tmpfiles.conf", "/usr/lib/tmpfiles.d/postrider.conf"},
	{"postrider.service", "/etc/systemd/system/postrider.service"},
	{"postrider.socket", "/etc/systemd/system/postrider-smtp.socket"},
}

// Command is "postrider install".
func Command() *cobra.Command {
	var show bool
	var only, binary string
	cmd := &cobra.Command{
		Use:   "install --print",
		Short: "Print what systemd needs to run the server",
		Long: `Print the files by which systemd runs the server as a user of its own: the user
(sysusers.d), the data directory (tmpfiles.d), a hardened service, and an example
of a socket that systemd binds. The service lets the user bind ports below 1024; the
socket is for systems where it must not. systemd is told when the server is ready, and
starts it again when its event loops or its store hang. Nothing is written: read the
files, then put them where the line above each says.`,
		Example: `  postrider install --print
  postrider install --print --only sysusers > /usr/lib/sysusers.d/postrider.conf && systemd-sysusers
  postrider install --print --only tmpfiles > /usr/lib/tmpfiles.d/postrider.conf && systemd-tmpfiles --create
  postrider install --print --only service > /etc/systemd/system/postrider.service && systemctl daemon-reload`,
		Args: workspace.Exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !show {
				return sysexits.Usage.With(errors.New("the command only prints files: use --print, and put them where the line above each says"))
			}
			if binary == "" {
				var err error
				if binary, err = os.Executable(); err != nil {
					return err
				}
			}
			found := false
			for _, u := range installed {
				if only != "" && unitName(u.file) != only {
					continue
				}
				found = true
				text, err := units.ReadFile(u.file)
				if err != nil {
					return err
				}
				if only == "" {
					fmt.Fprintf(cmd.OutOrStdout(), "# ---- %s\n", u.path)
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s\n", os.Expand(string(text), func(name string) string {
					if name == "BINARY" {
						return binary
					}
					return "$" + name
				}))
			}
			if !found {
				return sysexits.Usage.With(fmt.Errorf("--only %s: expected sysusers, tmpfiles, service or socket", only))
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&show, "print", false, "print the files")
	cmd.Flags().StringVar(&binary, "binary", "", "path of the program in the service (default: this program)")
	cmd.Flags().StringVar(&only, "only", "", "print one of them: sysusers, tmpfiles, service or socket")
	return cmd
}

// unitName is what --only calls a file.
func unitName(file string) string {
	switch path.Ext(file) {
	case ".service", ".socket":
		return path.Ext(file)[1:]
	}
	return strings.TrimSuffix(path.Base(file), path.Ext(file))
}
