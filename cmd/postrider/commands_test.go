package main

import (
	"os"
	"path/filepath"
	"testing"

	"postrider/cmd/sysexits"
)

func TestWithoutAStore(t *testing.T) {
	s := &shell{t: t, dir: t.TempDir()}
	s.config = s.file("c.toml", "[server]\ndata = \""+filepath.Join(s.dir, "data")+"\"\n")
	s.want(sysexits.Unavailable, "", "account list", "there is no store in")
	s.want(sysexits.Unavailable, "", "status", "no server runs")
	if _, err := os.Stat(filepath.Join(s.dir, "data")); err == nil {
		t.Error("a listing made a store")
	}
}

func TestUnknownCommands(t *testing.T) {
	s := &shell{t: t}
	s.want(sysexits.Usage, "", "account frobnicate", `no command "frobnicate"`, "account --help")
	s.want(sysexits.Usage, "", "frobnicate", "frobnicate")
	s.want(0, "", "account", "passwd")
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
