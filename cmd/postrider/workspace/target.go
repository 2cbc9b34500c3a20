package workspace

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"github.com/spf13/cobra"

	"postrider/cmd/sysexits"
	"postrider/engine/config"
	"postrider/engine/front/admin"
)

// Target is the flags that say which store a command is about.
type Target struct {
	File, Data string
	offers     bool // the command has --create
	create     bool // --create was given
}

// Flags adds --config and --data to cmd.
func (t *Target) Flags(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().StringVar(&t.File, "config", "", "configuration file (TOML; default: $POSTRIDER_CONFIG, or /etc/postrider.toml if it exists)")
	cmd.Flags().StringVar(&t.Data, "data", "", "data directory (default: server.data of the configuration)")
	return cmd
}

// FlagsWithCreate adds --config, --data and --create to cmd.
func (t *Target) FlagsWithCreate(cmd *cobra.Command) *cobra.Command {
	t.offers = true
	cmd.Flags().BoolVar(&t.create, "create", false, "make the store if it does not exist")
	return t.Flags(cmd)
}

// Config reads the configuration.
func (t *Target) Config() (*config.Config, error) {
	cfg, err := Load(t.File)
	switch {
	case errors.Is(err, fs.ErrPermission) && t.File == "" && t.Data != "":
		cfg = config.Default() // the directory is named, and a server there has settings of its own
	case errors.Is(err, fs.ErrPermission):
		return nil, sysexits.NoPerm.With(fmt.Errorf("%w: run the command as root or as the server's user, or name the store with --data", err))
	case err != nil:
		return nil, sysexits.Config.With(err)
	}
	if t.Data != "" {
		cfg.Server.Data = t.Data
	}
	return cfg, sysexits.Config.With(cfg.Check())
}

// Place is the configuration of a data directory that exists, for commands that work at
// its files and not at the store, or of one that may be made.
func (t *Target) Place() (*config.Config, error) {
	cfg, err := t.Config()
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(cfg.Server.Data); errors.Is(err, fs.ErrNotExist) && !t.create {
		return nil, noStore(cfg, t.offers)
	}
	return cfg, nil
}

// AdminSocket is where the running server of a configuration answers commands.
func AdminSocket(cfg *config.Config) string { return filepath.Join(cfg.Server.Data, adminSocket) }

const adminSocket = "admin.sock"

// MayCreate: whether a command may make a store that does not exist, if --create asks
// for it.
type MayCreate bool

// Whether the store has to be there already.
const (
	MustExist MayCreate = false
	Create    MayCreate = true
)

// With calls f with the store: the running server's if one answers, else a store that
// is opened for the time of the call.
func (t *Target) With(ctx context.Context, c MayCreate, f func(*Workspace) error) error {
	cfg, err := t.Config()
	if err != nil {
		if cfg = t.despite(ctx, err); cfg == nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "postrider: warning: the settings of the running server are used: %v\n", err)
	}
	ws, err := t.Open(ctx, cfg, c)
	if err != nil {
		return err
	}
	err = f(ws)
	return errors.Join(err, sysexits.IOErr.With(ws.Close()))
}

// Server is the running server, also when the file has become broken. The caller closes it.
func (t *Target) Server(ctx context.Context) (*admin.Client, error) {
	cfg, err := t.Config()
	if err != nil {
		if cfg = t.despite(ctx, err); cfg == nil {
			return nil, err
		}
	}
	server, _, err := Server(ctx, cfg)
	if err == nil && server == nil {
		err = NoServer(cfg)
	}
	return server, err
}

// despite finds the running server of a file that is broken: an operator who edits it can
// still look at the queue. nil: there is none.
func (t *Target) despite(ctx context.Context, err error) *config.Config {
	if code, _ := sysexits.Of(err); code != sysexits.Config {
		return nil
	}
	cfg := config.Default()
	cfg.Server.Data = t.Data
	if t.Data == "" {
		file := cmp.Or(t.File, SystemConfig())
		text, err := os.ReadFile(file)
		if err != nil {
			return nil
		}
		if m := dataLine.FindSubmatch(text); m != nil {
			cfg.Server.Data = string(m[1])
		} else if file == systemConfig {
			cfg.Server.Data = systemData
		}
	}
	server, _, err := Server(ctx, cfg)
	if err != nil || server == nil {
		return nil
	}
	_ = server.Close()
	return cfg
}

// dataLine finds server.data in a file that can't be read as a whole; no other key is
// called data.
var dataLine = regexp.MustCompile(`(?m)^[ \t]*(?:server\.)?data[ \t]*=[ \t]*["']([^"'\n]+)["']`)

// SystemConfig is the configuration file of commands that name none: $POSTRIDER_CONFIG,
// or /etc/postrider.toml if it exists; "" without both.
func SystemConfig() string {
	if env := os.Getenv("POSTRIDER_CONFIG"); env != "" {
		return env
	}
	if _, err := os.Stat(systemConfig); err == nil {
		return systemConfig
	}
	return ""
}

// systemConfig is the configuration of the machine's mail server, and systemData its data
// directory unless it names another one.
var systemConfig, systemData = "/etc/postrider.toml", "/var/lib/postrider"

// Load reads a configuration; file "" is the one of SystemConfig. The keys are not yet
// checked together.
func Load(file string) (*config.Config, error) {
	cfg, err := config.Load(cmp.Or(file, SystemConfig()))
	if err == nil && cfg.File() == systemConfig && cfg.Key("server.data").Line() == 0 {
		cfg.Server.Data = systemData // commands are run in any directory
	}
	return cfg, err
}
