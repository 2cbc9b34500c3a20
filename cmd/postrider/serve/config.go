package serve

import (
	"errors"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/engine/config"
)

// ConfigCommand is "postrider config".
func ConfigCommand() *cobra.Command {
	return workspace.Group("config", "Check, show and compare the configuration", configCheck(), configShow(), configDiff(), configDefaults())
}

// keyLine is a key in the JSON of config show.
type keyLine struct {
	Key     string `json:"key"`
	Value   string `json:"value"` // as TOML
	Default string `json:"default"`
}

func configShow() *cobra.Command {
	var t workspace.Target
	var asJSON, ofServer bool
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Show the keys that are not at their defaults, as TOML",
		Example: `  postrider config show --config /etc/postrider.toml
  postrider config show --running`,
		Args: workspace.Exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := t.Config()
			if err == nil && ofServer {
				cfg, _, err = configOfServer(cmd, cfg)
			}
			if err != nil {
				return err
			}
			if !asJSON {
				return sysexits.IOErr.With(cfg.WriteChanged(cmd.OutOrStdout()))
			}
			lines := []keyLine{}
			for _, k := range cfg.Keys() {
				if k.Changed() {
					lines = append(lines, keyLine{k.Name, k.Value(), k.Default()})
				}
			}
			return sysexits.IOErr.With(workspace.PrintJSON(cmd.OutOrStdout(), lines))
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&ofServer, "running", false, "show what the running server has, from its file and its flags")
	return t.Flags(cmd)
}

// configOfServer is the configuration that the running server goes by, and its working
// directory.
func configOfServer(cmd *cobra.Command, cfg *config.Config) (running *config.Config, dir string, err error) {
	server, running, err := workspace.Server(cmd.Context(), cfg)
	if err != nil {
		return nil, "", err
	}
	if server == nil {
		return nil, "", workspace.NoServer(cfg)
	}
	set, err := server.Settings(cmd.Context())
	return running, set.Dir, errors.Join(err, server.Close())
}

func configDefaults() *cobra.Command {
	return &cobra.Command{
		Use:     "defaults",
		Short:   "Print every key with its default and its help, as a file to start from",
		Example: "  postrider config defaults > postrider.toml",
		Args:    workspace.Exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return sysexits.IOErr.With(config.Default().WriteDefaults(cmd.OutOrStdout()))
		},
	}
}
