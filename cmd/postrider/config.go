package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"postrider/engine/config"
)

func configCommand() *cobra.Command {
	return group("config", "Check and show the configuration", configCheck(), configShow(), configDefaults())
}

func configCheck() *cobra.Command {
	var t target
	return t.flags(&cobra.Command{
		Use:     "check",
		Short:   "Report everything that is wrong with the configuration",
		Example: "  postrider config check --config /etc/postrider.toml",
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := t.config()
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), "the configuration is good")
			limit, err := openFileLimit()
			if err != nil {
				return exit(exUnavailable, err)
			}
			s, err := shareFiles(cfg, limit)
			if err != nil {
				return exit(exConfig, fmt.Errorf("a server that is started from here would not run: %w", err))
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
	var t target
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "show",
		Short:   "Show the keys that are not at their defaults, as TOML",
		Example: "  postrider config show --config /etc/postrider.toml",
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := t.config()
			if err != nil {
				return err
			}
			if !asJSON {
				return exit(exIO, cfg.WriteChanged(cmd.OutOrStdout()))
			}
			lines := []keyLine{}
			for _, k := range cfg.Keys() {
				if k.Changed() {
					lines = append(lines, keyLine{k.Name, k.Value(), k.Default()})
				}
			}
			return exit(exIO, printJSON(cmd.OutOrStdout(), lines))
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return t.flags(cmd)
}

func configDefaults() *cobra.Command {
	return &cobra.Command{
		Use:     "defaults",
		Short:   "Print every key with its default and its help: a file to begin with",
		Example: "  postrider config defaults > postrider.toml",
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return exit(exIO, config.Default().WriteDefaults(cmd.OutOrStdout()))
		},
	}
}
