package workspace

import (
	"fmt"

	"github.com/spf13/cobra"

	"postrider/cmd/sysexits"
)

// Root makes the top command with its subcommands. The program prints its errors.
func Root(cmd *cobra.Command, commands ...*cobra.Command) *cobra.Command {
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return sysexits.Usage.With(fmt.Errorf("%w (see \"%s --help\")", err, cmd.CommandPath()))
	})
	cmd.AddCommand(commands...)
	return cmd
}

// AtLeast checks that there are n arguments or more. Its error shows how the command is
// used, in place of cobra's words.
func AtLeast(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < n {
			return sysexits.Usage.With(fmt.Errorf("missing arguments: %s", cmd.UseLine()))
		}
		return nil
	}
}

// Exactly checks that there are n arguments.
func Exactly(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return sysexits.Usage.With(fmt.Errorf("expected %d arguments, got %d: %s", n, len(args), cmd.UseLine()))
		}
		return nil
	}
}

// Group makes a command that only holds others.
func Group(use, short string, subs ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return sysexits.Usage.With(fmt.Errorf("unknown command %q (see \"%s --help\")", args[0], cmd.CommandPath()))
			}
			return cmd.Help()
		},
	}
	cmd.AddCommand(subs...)
	return cmd
}
