package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"postrider/bench"
	"postrider/cmd/sysexits"
)

func tableCommand() *cobra.Command {
	var perMB bool
	cmd := &cobra.Command{
		Use:   "table NAME=FILE...",
		Short: "Print results side by side, as a table in Markdown",
		Long: `Print results that were written with --json, a row for each name, with medians and
the minimum and maximum over all rounds. Files of the same name are rounds of one row.`,
		Example: `  postbench table postrider=a1.json postrider=a2.json postfix=b1.json postfix=b2.json`,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			rows := make(map[string][]bench.Report)
			var names []string
			for _, arg := range args {
				name, file, ok := strings.Cut(arg, "=")
				if !ok {
					return sysexits.Usage.With(fmt.Errorf("%q isn't NAME=FILE", arg))
				}
				result, err := bench.ReadResult(file)
				if err != nil {
					return wrongFile(err)
				}
				if !slices.Contains(names, name) {
					names = append(names, name)
				}
				rows[name] = append(rows[name], result.Rounds...)
			}
			out := cmd.OutOrStdout()
			unit := bench.PerMessage
			if perMB {
				unit = bench.PerMB
			}
			fmt.Fprint(out, bench.MarkdownHead(unit))
			for _, name := range names {
				fmt.Fprint(out, bench.MarkdownRow(name, rows[name], unit))
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&perMB, "per-mb", false, "print the server's CPU for a MB, not for a message")
	return cmd
}
