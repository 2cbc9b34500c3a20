package workspace

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"postrider/cmd/sysexits"
	"postrider/engine/config"
)

// Root makes the top command with its subcommands. The program prints its errors.
func Root(cmd *cobra.Command, commands ...*cobra.Command) *cobra.Command {
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		if words := cmd.Flags().Args(); cmd.HasSubCommands() && len(words) > 0 {
			return unknownOrHelp(cmd, words)
		}
		return sysexits.Usage.With(fmt.Errorf("%w%s (see \"%s --help\")", err, meantFlag(cmd, err), cmd.CommandPath()))
	})
	cmd.AddCommand(commands...)
	cmd.Args = cobra.ArbitraryArgs // an unknown command is reported by RunE
	cmd.RunE = unknownOrHelp
	cmd.SetHelpCommand(helpCommand())
	return cmd
}

// helpCommand is "help", which unlike cobra's own fails for a command that does not exist.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND]", Short: "Help about any command", Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			about, rest, err := cmd.Root().Find(args)
			if err != nil || about.HasSubCommands() && len(rest) > 0 {
				return unknownOrHelp(cmp.Or(about, cmd.Root()), args[max(0, len(args)-len(rest)):])
			}
			return about.Help()
		},
	}
}

// flagName finds the names in the help of flags.
var flagName = regexp.MustCompile(`(?m)^ +(?:-\w, )?--([a-z0-9-]+)`)

// meantFlag names the flag that was probably meant by an unknown one.
func meantFlag(cmd *cobra.Command, err error) string {
	word, ok := strings.CutPrefix(err.Error(), "unknown flag: --")
	if !ok {
		return ""
	}
	word, _, _ = strings.Cut(word, "=")
	var names []string
	for _, m := range flagName.FindAllStringSubmatch(cmd.Flags().FlagUsages(), -1) {
		names = append(names, m[1])
	}
	if near := config.Nearest(word, names); near != "" {
		return "; did you mean --" + near + "?"
	}
	return ""
}

// unknownOrHelp runs a command that only holds others: an argument is a command that it
// does not have.
func unknownOrHelp(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	var names []string
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	meant := ""
	if near := config.Nearest(args[0], names); near != "" {
		meant = fmt.Sprintf("; did you mean \"%s %s\"?", cmd.CommandPath(), near)
	}
	return sysexits.Usage.With(fmt.Errorf("unknown command %q%s (see \"%s --help\")", args[0], meant, cmd.CommandPath()))
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

// AtMost checks that there are n arguments or fewer.
func AtMost(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > n {
			return sysexits.Usage.With(fmt.Errorf("expected at most %s, got %d: %s", arguments(n), len(args), cmd.UseLine()))
		}
		return nil
	}
}

// Exactly checks that there are n arguments.
func Exactly(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return sysexits.Usage.With(fmt.Errorf("expected %s, got %d: %s", arguments(n), len(args), cmd.UseLine()))
		}
		return nil
	}
}

// Group makes a command that only holds others.
func Group(use, short string, subs ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: cobra.ArbitraryArgs, RunE: unknownOrHelp}
	cmd.AddCommand(subs...)
	return cmd
}

// arguments counts arguments in words.
func arguments(n int) string {
	if n == 1 {
		return "1 argument"
	}
	return fmt.Sprintf("%d arguments", n)
}
