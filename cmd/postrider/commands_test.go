package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"postrider/cmd/postrider/shelltest"
	"postrider/cmd/sysexits"
)

// commands are all of the program.
func commands() (all []func() *cobra.Command) {
	for i := range rootCommand().Commands() {
		all = append(all, func() *cobra.Command { return rootCommand().Commands()[i] })
	}
	return all
}

func TestWithoutAStore(t *testing.T) {
	s := shelltest.Bare(t, commands()...)
	s.Config = s.File("c.toml", "[server]\ndata = \""+filepath.Join(s.Dir, "data")+"\"\n")
	s.Want(sysexits.Unavailable, "", "account list", "no store in")
	s.Want(sysexits.Unavailable, "", "status", "no server runs")
	if _, err := os.Stat(filepath.Join(s.Dir, "data")); err == nil {
		t.Error("a listing made a store")
	}
}

func TestUnknownCommands(t *testing.T) {
	s := shelltest.Bare(t, commands()...)
	s.Want(sysexits.Usage, "", "account frobnicate", `unknown command "frobnicate"`, "account --help")
	s.Want(sysexits.Usage, "", "frobnicate", "frobnicate")
	s.Want(0, "", "account", "passwd")
}

// Every command can be read about: a sentence, and an example if it does something.
func TestEveryCommandHasHelp(t *testing.T) {
	for _, top := range rootCommand().Commands() {
		if top.Name() == "completion" || top.Name() == "help" {
			continue
		}
		for _, cmd := range append(top.Commands(), top) {
			if cmd.Short == "" || !cmd.HasSubCommands() && cmd.Example == "" {
				t.Errorf("%s: short %q, example %q", cmd.CommandPath(), cmd.Short, cmd.Example)
			}
		}
	}
}

// Under the name of a program that it replaces, the program is that command.
func TestArgsOf(t *testing.T) {
	for _, args := range [][]string{{"sendmail", "-t"}, {"/usr/sbin/sendmail", "-t"}} {
		if got := argsOf(args); !slices.Equal(got, []string{"sendmail", "-t"}) {
			t.Error(got)
		}
	}
	if got := argsOf([]string{"/usr/bin/mailq"}); !slices.Equal(got, []string{"mailq"}) {
		t.Error(got)
	}
	if got := argsOf([]string{"postrider", "serve"}); !slices.Equal(got, []string{"serve"}) {
		t.Error(got)
	}
}

// A flag for a number refuses one that is less than 0, and what is no whole number: no command
// may pass over "--max-messages -5".
func TestNumbersOfFlags(t *testing.T) {
	n := 0
	var visit func(*cobra.Command)
	visit = func(cmd *cobra.Command) {
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if kind := f.Value.Type(); !strings.HasPrefix(kind, "int") && !strings.HasPrefix(kind, "uint") && !strings.HasPrefix(kind, "float") {
				return
			}
			n++
			for _, wrong := range []string{"-5", "-1", "x", "1.5", "", "9223372036854775808"} {
				if err := f.Value.Set(wrong); err == nil {
					t.Errorf("%s: --%s takes %q", cmd.CommandPath(), f.Name, wrong)
				}
			}
			if err := f.Value.Set("7"); err != nil || f.Value.String() != "7" {
				t.Errorf("%s: --%s: 7: %v", cmd.CommandPath(), f.Name, err)
			}
		})
		for _, sub := range cmd.Commands() {
			visit(sub)
		}
	}
	visit(rootCommand())
	if n < 10 {
		t.Errorf("%d flags only", n)
	}
}
