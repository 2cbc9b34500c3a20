package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"postrider/bench"
	"postrider/cmd/sysexits"
)

// wrongFile is the error of a result that can't be read: not there, or no result.
func wrongFile(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return sysexits.DataErr.With(err)
}

func compareCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "compare A.json B.json",
		Short: "Say whether B is better than A",
		Long: `Compare two results that were written with --json: the ratio of the medians, and a
verdict from the spread of the rounds. B is better or worse when all its rounds are
beyond all of A's; "by chance" is how often that would happen to two equal servers.
Where the rounds overlap no difference is shown. Measure with --rounds 5 or so, both
on the same machine, better in turn than one after the other.`,
		Example: `  postbench smtp --rounds 5 --json old.json 127.0.0.1:2525
  postbench smtp --rounds 5 --json new.json 127.0.0.1:3525
  postbench compare old.json new.json`,
		Args: exactly(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			var results [2]*bench.Result
			for i, name := range args {
				var err error
				if results[i], err = bench.ReadResult(name); err != nil {
					return wrongFile(err)
				}
			}
			if results[0].Workload != results[1].Workload {
				return sysexits.DataErr.With(fmt.Errorf("%s is of workload %q and %s of %q: they can't be compared", args[0], results[0].Workload, args[1], results[1].Workload))
			}
			all := bench.Compare(results[0], results[1])
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(all)
			}
			fmt.Fprint(cmd.OutOrStdout(), bench.ComparisonTable(all))
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
