package serve

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/engine/config"
)

// difference is a key that the running server has another value of than the file.
type difference struct {
	Key     string `json:"key"`
	Running string `json:"running"` // as TOML
	File    string `json:"file"`
	Line    int    `json:"line,omitempty"` // line of the file; none: the default
}

func configDiff() *cobra.Command {
	var t workspace.Target
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "diff",
		Short: "Compare the file with what the running server has",
		Long: `Print each key that the running server has another value of than the file: the file
was changed after the start, or the server was started with flags or with another
file, or it has less than was configured because of the limit of open files.`,
		Example: `  postrider config diff --config /etc/postrider.toml`,
		Args:    workspace.Exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := t.Config()
			if err != nil {
				return err
			}
			running, dir, err := configOfServer(cmd, cfg)
			if err != nil {
				return err
			}
			found := differences(cfg, running, dir)
			out := cmd.OutOrStdout()
			if asJSON {
				return sysexits.IOErr.With(workspace.PrintJSON(out, found))
			}
			if len(found) == 0 {
				fmt.Fprintln(out, "the running server has the values of the file")
			}
			for _, d := range found {
				source := "default"
				if d.Line > 0 {
					source = fmt.Sprintf("%s:%d", cfg.File(), d.Line)
				}
				fmt.Fprintf(out, "%s\n  running: %s\n  file:    %s (%s)\n", d.Key, d.Running, d.File, source)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return t.Flags(cmd)
}

// differences compares a file with a running server, whose paths begin at the root and
// whose ports are known. For the server a relative path of the file begins at dir.
func differences(file, running *config.Config, dir string) []difference {
	found, there := []difference{}, file.At(dir)
	for _, k := range file.Keys() {
		has, want := running.Key(k.Name).Value(), there.Key(k.Name).Value()
		if k.Name == "server.data" || same(has, want) {
			continue
		}
		found = append(found, difference{k.Name, has, k.Value(), k.Line()})
	}
	return found
}

// same reports whether a running server has what a file says. Its addresses are as the kernel
// gives them: ":25" is [::]:25, or 0.0.0.0:25 on a host without IPv6, and port 0 is any.
func same(has, want string) bool {
	for _, all := range []string{"", "[::]", "0.0.0.0"} {
		w := noHost.ReplaceAllString(want, `"`+all+"$1")
		if has == w || has == anyPort(w, has) {
			return true
		}
	}
	return false
}

// noHost is an address without a host, in a list of them.
var noHost = regexp.MustCompile(`"(:[0-9]+)`)

var port = regexp.MustCompile(`:[0-9]+`)

// anyPort is want with the ports of has, where want leaves the port to the kernel.
func anyPort(want, has string) string {
	picked := port.FindAllString(has, -1)
	i := -1
	return port.ReplaceAllStringFunc(want, func(p string) string {
		if i++; strings.TrimLeft(p, ":0") == "" && i < len(picked) {
			return picked[i]
		}
		return p
	})
}
