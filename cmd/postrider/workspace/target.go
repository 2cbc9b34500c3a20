package workspace

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"postrider/cmd/sysexits"
	"postrider/engine/config"
)

// Target is the flags that say which store a command is about.
type Target struct{ File, Data string }

// Flags adds --config and --data to cmd.
func (t *Target) Flags(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().StringVar(&t.File, "config", "", "configuration file (TOML)")
	cmd.Flags().StringVar(&t.Data, "data", "", "data directory (default: server.data of the configuration)")
	return cmd
}

// Config reads the configuration.
func (t *Target) Config() (*config.Config, error) {
	cfg, err := config.Load(t.File)
	if errors.Is(err, fs.ErrPermission) {
		return nil, sysexits.NoPerm.With(err)
	}
	if err != nil {
		return nil, sysexits.Config.With(err)
	}
	if t.Data != "" {
		cfg.Server.Data = t.Data
	}
	return cfg, sysexits.Config.With(cfg.Check())
}

// AdminSocket is where the running server of a configuration answers commands.
func AdminSocket(cfg *config.Config) string { return filepath.Join(cfg.Server.Data, "admin.sock") }

// MayCreate: whether a command may make a store that does not exist.
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
		return err
	}
	ws, err := t.Open(ctx, cfg, c)
	if err != nil {
		return err
	}
	err = f(ws)
	return errors.Join(err, sysexits.IOErr.With(ws.Close()))
}

// SystemConfig is the configuration file for programs that call sendmail without
// naming one; "" when there is none.
func SystemConfig() string {
	const path = "/etc/postrider.toml"
	if env := os.Getenv("POSTRIDER_CONFIG"); env != "" {
		return env
	}
	if _, err := os.Stat(path); err == nil {
		return path
	}
	return ""
}
