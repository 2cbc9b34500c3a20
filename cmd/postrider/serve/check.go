package serve

import (
	"cmp"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/serve/inspect"
	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/engine/config"
	"postrider/engine/edge/privilege"
	"postrider/engine/server"
)

func configCheck() *cobra.Command {
	var t workspace.Target
	var withDNS, asJSON bool
	cmd := &cobra.Command{
		Use:     "check [FILE]",
		Aliases: []string{"test"},
		Short:   "Report everything that is wrong with the configuration and with what it names",
		Long: `Report everything that is wrong with the configuration: keys and values, alone and
together; files, and whether the server's user can read them; certificates, their keys
and when they expire; users, modes and the data directory; addresses that are taken;
keys that make the server an open relay; mail that would loop. With --dns also what
DNS says of the host and the domains: addresses and their names, MX, SPF, DMARC, and
the records of the keys for DKIM.

A fault is printed with the line of the file, its key, and what to do, and makes the
exit code 78; a warning does not. Nothing is changed.`,
		Example: `  postrider config check --config /etc/postrider.toml
  postrider config check new.toml --dns`,
		Args: workspace.AtMost(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				t.File = args[0]
			}
			cfg, found, err := look(cmd, &t, withDNS)
			if err != nil {
				return err
			}
			cuts := ""
			if cfg != nil {
				if cuts, err = checkFiles(cfg, &found); err != nil {
					return err
				}
			}
			if asJSON {
				if cuts != "" {
					found = append(found, inspect.Finding{Warning: true, Text: cuts})
				}
				if err := workspace.PrintJSON(cmd.OutOrStdout(), found); err != nil {
					return sysexits.IOErr.With(err)
				}
				return verdict(found, nil, cmd.OutOrStdout())
			}
			for _, f := range found {
				fmt.Fprintln(cmd.OutOrStdout(), f)
			}
			if err := verdict(found, cfg, cmd.OutOrStdout()); err != nil || cuts == "" {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), cuts)
			return sysexits.IOErr.With(err)
		},
	}
	cmd.Flags().BoolVar(&withDNS, "dns", false, "look at the DNS records of the host and of the domains, too")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return t.Flags(cmd)
}

// look gathers what can be found. Without a configuration, cfg is nil.
func look(cmd *cobra.Command, t *workspace.Target, withDNS bool) (cfg *config.Config, found []inspect.Finding, err error) {
	cfg, err = t.Config()
	found = findings(err)
	if err != nil && len(found) == 0 {
		return nil, nil, err
	}
	if cfg == nil {
		return nil, found, nil
	}
	world := inspect.World{UID: os.Geteuid(), Find: privilege.Find, Holder: workspace.PortHolder, Memory: machineMemory(), Now: time.Now()}
	domains := slices.Clone(cfg.Server.Domains)
	if server, running, err := workspace.Server(cmd.Context(), cfg); err == nil && server != nil {
		for _, part := range running.Listeners() {
			world.Own = append(world.Own, part.Addrs...)
		}
		domains = append(domains, server.Domains()...)
		_ = server.Close()
	}
	found = append(found, inspect.Local(cfg, world)...)
	if withDNS {
		slices.Sort(domains)
		names := server.NewResolver(cfg, slog.New(slog.DiscardHandler))
		found = append(found, inspect.DNS(cmd.Context(), cfg, slices.Compact(domains), names)...)
	}
	return cfg, found, nil
}

// findings are the faults that an error of package config joins.
func findings(err error) (found []inspect.Finding) {
	if f, ok := err.(*config.Fault); ok && f.Err == nil {
		return []inspect.Finding{{Key: f.Key, File: f.File, Line: f.Line, Text: f.Text}}
	}
	switch e := err.(type) {
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			found = append(found, findings(one)...)
		}
	case interface{ Unwrap() error }:
		return findings(e.Unwrap())
	}
	return found
}

// verdict is the end of the report: an error if there is a fault.
// That there is none is written to out, unless cfg is nil.
func verdict(found []inspect.Finding, cfg *config.Config, out io.Writer) error {
	faults, warnings := 0, 0
	for _, f := range found {
		if f.Warning {
			warnings++
		} else {
			faults++
		}
	}
	if faults > 0 {
		return sysexits.Config.With(fmt.Errorf("faults: %d, warnings: %d", faults, warnings))
	}
	if cfg == nil {
		return nil
	}
	what := cmp.Or(cfg.File(), "no file, only defaults")
	_, err := fmt.Fprintf(out, "%s: the configuration is good; warnings: %d\n", what, warnings)
	return sysexits.IOErr.With(err)
}

// checkFiles returns what the limit of open files takes off a configuration; "": nothing. If
// it leaves too little, that is one fault more. A
// service has a limit of its own.
func checkFiles(cfg *config.Config, found *[]inspect.Finding) (cuts string, err error) {
	if workspace.Service(cfg) != "" {
		return "", nil
	}
	limit, err := openFileLimit()
	if err != nil {
		return "", sysexits.Unavailable.With(err)
	}
	s, err := shareFiles(cfg, limit)
	if err != nil {
		*found = append(*found, inspect.Finding{Text: "a server that is started from here would not run: " + err.Error()})
		return "", nil
	}
	if cuts = s.cuts(cfg, limit); cuts != "" {
		cuts = "a server that is started from here would have less than that: " + cuts
	}
	return cuts, nil
}

// machineMemory is the memory of this machine in octets; 0: not known.
func machineMemory() int64 {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	var kib int64
	for line := range strings.Lines(string(text)) {
		if _, err := fmt.Sscanf(line, "MemTotal: %d kB", &kib); err == nil {
			return kib << 10
		}
	}
	return 0
}
