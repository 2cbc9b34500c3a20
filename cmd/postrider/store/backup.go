package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/engine/config"
	"postrider/engine/edge/privilege"
	"postrider/engine/server"
	"postrider/storage"
	"postrider/storage/lsm"
	"postrider/storage/lsm/backup"
)

// BackupCommand is "postrider backup".
func BackupCommand() *cobra.Command {
	var t workspace.Target
	var keep int
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "backup DIR",
		Short: "Copy the store, also of a running server, into a directory",
		Long: `Make a backup in a new directory below DIR, named by the time. It is complete by itself:
the store as it is at this moment, all other files of the data directory (the secret of
SCRAM, DKIM keys, certificates, the account of ACME) and the configuration file. Files
that the configuration names elsewhere are not in it. The server goes on meanwhile.

On the disk of the store the large files are linked: that takes no time and no room, and
does not help when the disk fails. On another disk those that the last backup has are
linked to it, and the others are copied. A backup that was cut off is never taken for a
whole one; the next one deletes it.`,
		Example: `  postrider backup /mnt/backup/postrider --keep 14
  postrider backup --data /var/lib/postrider /mnt/backup/postrider`,
		Args: workspace.Exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := t.Config()
			if err != nil {
				return err
			}
			if keep < 0 {
				return sysexits.Usage.With(errors.New("--keep: expected a number of backups, or 0 for all"))
			}
			r, err := takeBackup(cmd.Context(), &t, cfg, args[0], keep)
			if err != nil {
				return err
			}
			if asJSON {
				return workspace.PrintJSON(cmd.OutOrStdout(), r)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: %d files, %d octets: %d copied, %d linked\n", r.Dir, r.Files, r.Octets, r.Copied, r.Linked)
			if r.Removed > 0 {
				fmt.Fprintf(cmd.OutOrStdout(), "%d older backups were removed\n", r.Removed)
			}
			return nil
		},
	}
	workspace.NumberVar(cmd.Flags(), &keep, "keep", "", 0, "remove the oldest backups in DIR until so many are left; 0: keep all")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return t.Flags(cmd)
}

// takeBackup copies a checkpoint of the running server's store, or the files of a store
// that is not open.
func takeBackup(ctx context.Context, t *workspace.Target, cfg *config.Config, to string, keep int) (r backup.Result, err error) {
	defer privateFiles()()
	if err := outside(cfg.Server.Data, to); err != nil {
		return r, err
	}
	o := backup.Options{Store: cfg.Server.Data, Data: cfg.Server.Data, Config: configFile(t.File), To: to, Keep: keep, Program: "postrider " + server.Version}
	client, _, err := workspace.Server(ctx, cfg)
	if err != nil {
		return r, err
	}
	if client != nil {
		defer client.Close()
		dir, remove, err := client.Checkpoint()
		if err != nil {
			return r, err
		}
		defer func() { _ = remove() }()
		o.Store = filepath.Join(cfg.Server.Data, dir)
	} else {
		if _, err := os.Stat(filepath.Join(cfg.Server.Data, lsm.LockFile)); errors.Is(err, fs.ErrNotExist) {
			return r, sysexits.Unavailable.With(fmt.Errorf("%w in %s: use --data with its directory", workspace.ErrNoStore, cfg.Server.Data))
		}
		lock, err := lsm.Lock(nil, cfg.Server.Data)
		if err != nil {
			return r, sysexits.Unavailable.With(err)
		}
		defer lock.Close()
	}
	r, err = backup.Take(ctx, o)
	if _, gone := os.Stat(o.Store); err != nil && client != nil && errors.Is(gone, fs.ErrNotExist) {
		return r, sysexits.TempFail.With(errors.New("no backup was made: the server ended meanwhile; the same command makes one"))
	}
	if errors.Is(err, storage.ErrCorrupt) {
		return r, sysexits.DataErr.With(fmt.Errorf("no backup was made: %w", err))
	}
	if err != nil {
		return r, workspace.IOError(fmt.Errorf("no backup was made: %w", err))
	}
	return r, nil
}

// configFile is the configuration file that a command uses; "" when there is none.
func configFile(named string) string {
	if named == "" {
		return workspace.SystemConfig()
	}
	return named
}

// privateFiles has the process make files that only its user can read, until the
// function that it returns is called.
func privateFiles() (restore func()) {
	before := syscall.Umask(0o077)
	return func() { syscall.Umask(before) }
}

// outside makes sure that a directory is not in the data directory, where the server
// would take it for its own.
func outside(data, dir string) error {
	a, err := filepath.Abs(data)
	if err != nil {
		return err
	}
	b, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if rel, err := filepath.Rel(a, b); err == nil && rel != ".." && !strings.HasPrefix(rel, "../") {
		return sysexits.Usage.With(fmt.Errorf("%s is in the data directory %s: name a directory elsewhere, best on another disk", dir, data))
	}
	return nil
}

// RestoreCommand is "postrider restore".
func RestoreCommand() *cobra.Command {
	var t workspace.Target
	var dry bool
	cmd := &cobra.Command{
		Use:   "restore DIR",
		Short: "Bring a backup back into an empty data directory",
		Long: `Copy a backup into the data directory: DIR is one backup, or the directory with all of
them, of which the newest whole one is taken. The data directory must be empty or not be
there: nothing is overwritten, and no server and no other restore can use it meanwhile.
After a restore that was cut off no server starts on it; the same command begins again.
Sizes and checksums are compared while the files are copied. The configuration file in the backup is not put in place: look at it, copy what
you need. With --dry-run the backup is read and compared, and nothing is written.`,
		Example: `  postrider restore /mnt/backup/postrider --config /etc/postrider.toml
  postrider restore /mnt/backup/postrider/2026-11-29T23-59-59Z --data /var/lib/postrider
  postrider restore /mnt/backup/postrider --dry-run`,
		Args: workspace.Exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := t.Config()
			if err != nil {
				return err
			}
			l, err := backup.Find(nil, args[0])
			if err != nil {
				return backupError(err)
			}
			if dry {
				checked, err := backup.Verify(cmd.Context(), nil, l)
				if err != nil {
					return backupError(err)
				}
				same := "all have the checksums of the list"
				if checked < len(l.Files) {
					same = fmt.Sprintf("%d of them have the checksums of the list, the others have the sizes", checked)
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s: made %s by %s: %d files, %d octets; %s\n",
					l.Dir, l.Made.Format(time.RFC3339), l.Program, len(l.Files), l.Octets(), same)
				return nil
			}
			return restore(cmd, cfg, l)
		},
	}
	cmd.Flags().BoolVar(&dry, "dry-run", false, "compare the backup's files with its list, and write nothing")
	return t.Flags(cmd)
}

// backupError gives an error of a backup its exit code.
func backupError(err error) error {
	switch {
	case errors.Is(err, backup.ErrNotWhole):
		return sysexits.DataErr.With(err)
	case errors.Is(err, fs.ErrNotExist):
		return sysexits.NoInput.With(err)
	}
	return workspace.IOError(err)
}

// restore restores a backup as the user that the server runs as will want it.
func restore(cmd *cobra.Command, cfg *config.Config, l *backup.List) error {
	client, _, err := workspace.Server(cmd.Context(), cfg)
	if err != nil {
		return err
	}
	if client != nil {
		_ = client.Close()
		return sysexits.Unavailable.With(fmt.Errorf("a server runs on %s: stop it first, and move its data directory away", cfg.Server.Data))
	}
	owner, err := futureOwner(cfg)
	if err != nil {
		return err
	}
	defer privateFiles()()
	r, err := backup.Restore(cmd.Context(), nil, l, cfg.Server.Data, owner)
	switch {
	case errors.Is(err, storage.ErrExists):
		return sysexits.CantCreate.With(err)
	case errors.Is(err, lsm.ErrLocked):
		return sysexits.Unavailable.With(err)
	}
	if err != nil {
		return backupError(fmt.Errorf("nothing was restored that a server would use: %w", err))
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s: %d files, %d octets of %s, made %s; \"postrider check\" reads all of it\n",
		cfg.Server.Data, r.Files, r.Octets, r.Dir, l.Made.Format(time.RFC3339))
	return nil
}

// futureOwner returns what gives a file to the user that the server runs as, when root
// restores: server.user, else the owner of the data directory.
func futureOwner(cfg *config.Config) (func(path string) error, error) {
	nothing := func(string) error { return nil }
	if os.Geteuid() != 0 {
		return nothing, nil
	}
	uid, gid := 0, 0
	if cfg.Server.User != "" {
		u, err := privilege.Find(cfg.Server.User)
		if err != nil {
			return nil, sysexits.Config.With(fmt.Errorf("server.user: %w", err))
		}
		uid, gid = u.UID, u.GID
	} else if info, err := os.Stat(cfg.Server.Data); err == nil {
		owner := info.Sys().(*syscall.Stat_t)
		uid, gid = int(owner.Uid), int(owner.Gid)
	}
	if uid == 0 {
		return nothing, nil
	}
	return func(path string) error { return os.Chown(path, uid, gid) }, nil
}
