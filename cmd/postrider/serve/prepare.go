package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"

	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/engine/config"
	"postrider/engine/edge/privilege"
	"postrider/engine/host/perms"
	"postrider/engine/server"
)

// prepare does what only root can do, stops being root, and checks that secrets are
// secret. Everything after it in serve runs as the owner of the files.
func prepare(ctx context.Context, cfg *config.Config, log *slog.Logger) (*privilege.Sockets, error) {
	if err := alreadyRuns(ctx, cfg); err != nil {
		return nil, err
	}
	if err := mayBeRoot(cfg, log); err != nil {
		return nil, err
	}
	sockets, err := server.Sockets(cfg)
	if err != nil {
		return nil, sysexits.Unavailable.With(withHolder(err, cfg))
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
	for _, part := range server.Listeners(cfg) {
		for _, addr := range part.Addrs {
			if at, err := netip.ParseAddrPort(addr); err != nil || !at.Addr().IsLoopback() {
				return sysexits.Config.With(fmt.Errorf("%s %s: the server would listen for other hosts as root: set server.user (--user) to the user to run as, or to \"root\" to allow it", part.Key, addr))
			}
		}
	}
	log.Warn("running as root, on loopback only; set server.user to run as another user")
	return nil
}

// secrets refuses to start while other users may read passwords, keys or mail.
func secrets(cfg *config.Config) error {
	errs := []error{perms.Directory(cfg.Server.Data)}
	if cfg.Relay.Passwords != "" {
		errs = append(errs, perms.Secret(cfg.Relay.Passwords))
	}
	if cfg.Web.OTLPHeaders != "" {
		errs = append(errs, perms.Secret(cfg.Web.OTLPHeaders))
	}
	for _, c := range cfg.TLS.Certificates {
		errs = append(errs, perms.SharedSecret(c.Key))
	}
	return errors.Join(errs...)
}
