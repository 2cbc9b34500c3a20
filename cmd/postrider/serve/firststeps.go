package serve

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/engine/config"
	"postrider/engine/mail/router"
	"postrider/storage"
)

// firstSteps prints after the ready line what is where, and, as long as only accounts of
// the server itself or of --demo exist, how to send and read a first message.
func firstSteps(store storage.Store, cfg *config.Config, demo bool, out io.Writer) error {
	data := workspace.FullPath(cfg.Server.Data)
	source := "none, only defaults and flags (\"postrider config defaults\" prints all keys)"
	if cfg.File() != "" {
		source = workspace.FullPath(cfg.File())
	}
	fmt.Fprintf(out, "configuration: %s\ndata: %s\n", source, data)
	if cfg.Capture.On {
		return nil
	}
	people := 0
	err := store.Accounts(func(a storage.Account) bool {
		if a.Name != "postmaster" {
			people++
		}
		return people == 0
	})
	if err != nil {
		return sysexits.IOErr.With(err)
	}
	name, where, call := "NAME", place(cfg, data), program()
	switch {
	case demo:
		name = demoNames[0]
	case people > 0:
		return nil
	default:
		fmt.Fprintf(out, "no accounts yet; make one:   %s account add NAME%s   (or start with --demo)\n", call, where)
	}
	fmt.Fprintf(out, "send a first message:        echo hello | %s sendmail%s %s\n", call, where, router.Mailbox(name, cfg.DefaultDomain()))
	fmt.Fprintf(out, "read it:                     %s export %s --out .%s\n", call, name, where)
	return nil
}

// program is what a user types to call this program: its name where the PATH leads to it,
// else its path. A program that "go run" has built has no path that lasts.
func program() string {
	self, err := os.Executable()
	if err != nil {
		return "postrider"
	}
	if found, err := exec.LookPath("postrider"); err == nil && isSameFile(found, self) {
		return "postrider"
	}
	if strings.Contains(self, "/go-build") {
		return "go run ./cmd/postrider"
	}
	return self
}

func isSameFile(a, b string) bool {
	one, err := os.Stat(a)
	if err != nil {
		return false
	}
	other, err := os.Stat(b)
	return err == nil && os.SameFile(one, other)
}

// place is the flags by which a command in another directory finds this server.
func place(cfg *config.Config, data string) string {
	if file := workspace.SystemConfig(); file != "" && file == cfg.File() {
		if saved, err := workspace.Load(file); err == nil && workspace.FullPath(saved.Server.Data) == data && filepath.IsAbs(saved.Server.Data) {
			return ""
		}
	}
	return " --data " + data
}
