package main

import (
	"testing"

	"postrider/cmd/sysexits"
)

func TestConfigCommands(t *testing.T) {
	s := &shell{t: t, dir: t.TempDir()}
	s.config = s.file("good.toml", "[smtp]\nmax_size = \"1MiB\"\n")
	s.want(0, "", "config check", "good")
	if out := s.want(0, "", "config show"); out != "[smtp]\nmax_size = \"1MiB\"\n" {
		t.Errorf("%q", out)
	}
	s.want(0, "", "config show --json", `"key": "smtp.max_size"`)
	s.config = s.file("bad.toml", "[smtp]\nmax_size = 1\n")
	for _, line := range []string{"config check", "config show", "account list"} {
		s.want(sysexits.Config, "", line, "bad.toml:2: smtp.max_size: 1 is out of bounds; allowed: 64KiB")
	}
}
