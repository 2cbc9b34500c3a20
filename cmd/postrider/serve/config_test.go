package serve

import (
	"testing"

	"postrider/cmd/postrider/accounts"
	"postrider/cmd/postrider/shelltest"
	"postrider/cmd/sysexits"
)

func TestConfigCommands(t *testing.T) {
	s := shelltest.Bare(t, ConfigCommand, accounts.AccountCommand)
	s.Config = s.File("good.toml", "[smtp]\nmax_size = \"1MiB\"\n")
	s.Want(0, "", "config check", "good")
	if out := s.Want(0, "", "config show"); out != "[smtp]\nmax_size = \"1MiB\"\n" {
		t.Errorf("%q", out)
	}
	s.Want(0, "", "config show --json", `"key": "smtp.max_size"`)
	s.Config = s.File("bad.toml", "[smtp]\nmax_size = 1\n")
	for _, line := range []string{"config check", "config show", "account list"} {
		s.Want(sysexits.Config, "", line, "bad.toml:2: smtp.max_size: 1 is out of bounds; allowed: 64KiB")
	}
}

// The running server prints its status, and without one there is an exit code.
func TestStatus(t *testing.T) {
	shelltest.Both(t, func(s *shelltest.Shell) {
		if s.Server {
			s.Want(0, "", "status", "health: ok", "smtp: 127.0.0.1:25")
			s.Want(0, "", "status --json", `"health": "ok"`)
			return
		}
		s.Want(sysexits.Unavailable, "", "status", "no server runs on ")
	}, StatusCommand)
}
