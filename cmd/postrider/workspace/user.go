package workspace

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"postrider/cmd/sysexits"
	"postrider/engine/config"
	"postrider/engine/edge/privilege"
)

// BecomeServer changes the process to the user that the server runs as, for a command
// that opens its files: server.user, or else the owner of the data directory. A data
// directory that is not there is made first, for that user.
func BecomeServer(cfg *config.Config) error {
	if os.Geteuid() != 0 {
		return sysexits.Unavailable.With(becomeNamed(cfg))
	}
	u, err := ServerUser(cfg)
	if err != nil || u == nil {
		return err
	}
	if cfg.Server.User != "" {
		if err := makeDataDir(cfg.Server.Data, *u); err != nil {
			return sysexits.CantCreate.With(err)
		}
	}
	return sysexits.Unavailable.With(privilege.Become(*u))
}

// ServerUser is the user that a server runs as that root starts; nil: root.
func ServerUser(cfg *config.Config) (*privilege.User, error) {
	info, err := os.Stat(cfg.Server.Data)
	switch {
	case cfg.Server.User != "":
		u, err := privilege.Find(cfg.Server.User)
		if err != nil {
			return nil, sysexits.Config.With(fmt.Errorf("server.user: %w", err))
		}
		return &u, nil
	case err == nil:
		if owner := info.Sys().(*syscall.Stat_t); owner.Uid != 0 {
			return &privilege.User{
				Name: fmt.Sprintf("the owner of %s", cfg.Server.Data), UID: int(owner.Uid), GID: int(owner.Gid), Groups: []int{int(owner.Gid)},
			}, nil
		}
	}
	return nil, nil
}

// becomeNamed checks, without root, that we are server.user already.
func becomeNamed(cfg *config.Config) error {
	if cfg.Server.User == "" {
		return nil
	}
	u, err := privilege.Find(cfg.Server.User)
	if err != nil {
		return err
	}
	return privilege.Become(u)
}

// makeDataDir makes the data directory for u. An existing one has to belong to u.
func makeDataDir(path string, u privilege.User) error {
	if info, err := os.Stat(path); err == nil {
		if owner := info.Sys().(*syscall.Stat_t); int(owner.Uid) != u.UID {
			return fmt.Errorf("the data directory %s belongs to user %d, but the server runs as %s: chown -R %[3]s %[1]s", path, owner.Uid, u.Name)
		}
		return nil
	}
	err := os.Mkdir(path, 0o700)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("the data directory: %w", err)
	}
	return os.Chown(path, u.UID, u.GID)
}
