package serve

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"

	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/engine"
	"postrider/engine/config"
	"postrider/engine/guard"
	"postrider/engine/privilege"
)

// prepare does what is root's to do, stops being root, and looks whether secrets are
// secret. What follows in serve runs as the user whose files they are.
func prepare(cfg *config.Config, log *slog.Logger) (*privilege.Sockets, error) {
	if err := mayBeRoot(cfg, log); err != nil {
		return nil, err
	}
	sockets, err := engine.Sockets(cfg)
	if err != nil {
		return nil, sysexits.Unavailable.With(err)
	}
	if err := errors.Join(workspace.BecomeServer(cfg), sysexits.Config.With(secrets(cfg))); err != nil {
		sockets.Close()
		return nil, err
	}
	return sockets, nil
}

// mayBeRoot refuses to run as root when the server listens to other hosts, unless the
// configuration asks for it.
func mayBeRoot(cfg *config.Config, log *slog.Logger) error {
	if os.Geteuid() != 0 || cfg.Server.User != "" {
		return nil
	}
	for _, part := range cfg.Listeners() {
		for _, addr := range part.Addrs {
			if at, err := netip.ParseAddrPort(addr); err != nil || !at.Addr().IsLoopback() {
				return sysexits.Config.With(fmt.Errorf("%s %s: the server would face others as root: name the user to run as in server.user (--user), or \"root\" there if that is meant", part.Key, addr))
			}
		}
	}
	log.Warn("running as root, on loopback only; server.user names another user")
	return nil
}

// secrets refuses to start while other users may read passwords, keys or mail.
func secrets(cfg *config.Config) error {
	errs := []error{guard.Directory(cfg.Server.Data)}
	if cfg.Relay.Passwords != "" {
		errs = append(errs, guard.Secret(cfg.Relay.Passwords))
	}
	for _, c := range cfg.TLS.Certificates {
		errs = append(errs, guard.SharedSecret(c.Key))
	}
	return errors.Join(errs...)
}
