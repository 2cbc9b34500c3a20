package workspace

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"postrider/cmd/sysexits"
	"postrider/engine/config"
)

// ErrNoStore: the data directory does not exist.
var ErrNoStore = errors.New("no store")

// noStore is the error for a data directory that does not exist. canCreate: the command
// has the flag --create.
func noStore(cfg *config.Config, canCreate bool) error {
	advice := "name its directory with --data or a configuration with --config; \"postrider serve\" makes a store"
	if start := Service(cfg); start != "" {
		advice = "the server makes it at its first start (" + start + "); another one is named by --data or --config"
	} else if canCreate {
		advice += ", and so does --create"
	}
	return sysexits.Unavailable.With(fmt.Errorf("%w in %s: %s%s", ErrNoStore, FullPath(cfg.Server.Data), advice, others()))
}

// NoServer is the error for a data directory that no server runs on.
func NoServer(cfg *config.Config) error {
	return sysexits.Unavailable.With(fmt.Errorf("no server runs on %s: start it with \"%s\", or name its directory with --data or its configuration with --config%s",
		FullPath(cfg.Server.Data), cmp.Or(Service(cfg), "postrider serve"), others()))
}

// units is there where systemd runs.
var units = "/run/systemd/system"

// Service is the command that starts the service of this machine; "" when the configuration
// or the data directory is not the service's, or systemd does not run.
func Service(cfg *config.Config) string {
	if _, err := os.Stat(units); err != nil || cfg.File() != systemConfig || cfg.Server.Data != systemData {
		return ""
	}
	return "systemctl start postrider"
}

// others names the servers that run elsewhere; "": none.
func others() string {
	if dirs := Servers(); len(dirs) > 0 {
		return "; a server runs on " + strings.Join(dirs, " and on ")
	}
	return ""
}

// FullPath is path from the root on, if that can be told.
func FullPath(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// Servers are the data directories of the servers that run on this machine, as far as
// the kernel's list of sockets names them.
func Servers() (dirs []string) {
	text, err := os.ReadFile("/proc/net/unix")
	if err != nil {
		return nil
	}
	for line := range bytes.Lines(text) {
		// Num RefCount Protocol Flags Type St Inode Path; a socket that listens has flag 0x10000.
		fields := strings.Fields(string(line))
		if len(fields) == 8 && fields[3] == "00010000" && filepath.IsAbs(fields[7]) && filepath.Base(fields[7]) == adminSocket {
			dirs = append(dirs, filepath.Dir(fields[7]))
		}
	}
	slices.Sort(dirs)
	return slices.Compact(dirs)
}
