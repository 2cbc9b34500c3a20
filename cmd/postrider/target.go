package main

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

// target is the flags that say which store a command is about.
type target struct{ file, data string }

// flags adds --config and --data to cmd.
func (t *target) flags(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().StringVar(&t.file, "config", "", "configuration file (TOML)")
	cmd.Flags().StringVar(&t.data, "data", "", "data directory (default: server.data of the configuration)")
	return cmd
}

// config reads the configuration.
func (t *target) config() (*config.Config, error) {
	cfg, err := config.Load(t.file)
	if errors.Is(err, fs.ErrPermission) {
		return nil, sysexits.NoPerm.With(err)
	}
	if err != nil {
		return nil, sysexits.Config.With(err)
	}
	if t.data != "" {
		cfg.Server.Data = t.data
	}
	return cfg, sysexits.Config.With(cfg.Check())
}

func socketOf(cfg *config.Config) string { return filepath.Join(cfg.Server.Data, "admin.sock") }

// mayCreate says whether a command may begin a store that is not there.
type mayCreate bool

const (
	mustExist mayCreate = false
	create    mayCreate = true
)

// with calls f at the store: that of the running server if one answers, else the
// one that is opened for the time of the call.
func (t *target) with(ctx context.Context, c mayCreate, f func(*desk) error) error {
	cfg, err := t.config()
	if err != nil {
		return err
	}
	ws, err := t.desk(ctx, cfg, c)
	if err != nil {
		return err
	}
	err = f(ws)
	return errors.Join(err, sysexits.IOErr.With(ws.Close()))
}

// systemConfig is the configuration of commands that are called without knowing
// of us; "" when there is none.
func systemConfig() string {
	const path = "/etc/postrider.toml"
	if env := os.Getenv("POSTRIDER_CONFIG"); env != "" {
		return env
	}
	if _, err := os.Stat(path); err == nil {
		return path
	}
	return ""
}
