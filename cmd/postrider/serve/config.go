package serve

import (
	"fmt"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/engine/config"
)

// ConfigCommand is "postrider config".
func ConfigCommand() *cobra.Command {
	return workspace.Group("config", "Check and show the configuration", configCheck(), configShow(), configDefaults())
}

func configCheck() *cobra.Command {
	var t workspace.Target
	return t.Flags(&cobra.Command{
		Use:     "check",
		Short:   "Report everything that is wrong with the configuration",
		Example: "  postrider config check --config /etc/postrider.toml",
		Args:    workspace.Exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := t.Config()
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), "the configuration is good")
			limit, err := openFileLimit()
			if err != nil {
				return sysexits.Unavailable.With(err)
			}
			s, err := shareFiles(cfg, limit)
			if err != nil {
				return sysexits.Config.With(fmt.Errorf("a server that is started from here would not run: %w", err))
			}
			if cuts := s.cuts(cfg, limit); cuts != "" {
				fmt.Fprintln(cmd.OutOrStdout(), "a server that is started from here would have less than that: "+cuts)
			}
			return nil
		},
	})
}

// keyLine is a key in the JSON of config show.
type keyLine struct {
	Key     string `json:"key"`
	Value   string `json:"value"` // as TOML
	Default string `json:"default"`
}

func configShow() *cobra.Command {
	var t workspace.Target
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "show",
		Short:   "Show the keys that are not at their defaults, as TOML",
		Example: "  postrider config show --config /etc/postrider.toml",
		Args:    workspace.Exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := t.Config()
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
	return t.Flags(cmd)
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
