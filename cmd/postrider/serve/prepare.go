package serve

import (
	"context"
	"errors"
	"log/slog"
	"os"

	"postrider/cmd/postrider/serve/inspect"
	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/engine/config"
	"postrider/engine/host/perms"
	"postrider/engine/server"
)

// prepare does what only root can do, stops being root, and checks that secrets are
// secret. Everything after it runs as the owner of the files.
func (o *origin) prepare(ctx context.Context, cfg *config.Config, log *slog.Logger) error {
	if !o.held.IsHandedOver() { // else the admin socket is one of them
		if err := alreadyRuns(ctx, cfg); err != nil {
			return err
		}
	}
	if err := mayBeRoot(cfg, log); err != nil {
		return err
	}
	sockets, err := server.Sockets(cfg, o.held)
	if err != nil {
		return sysexits.Unavailable.With(withHolder(err, cfg))
	}
	o.sockets = sockets
	return errors.Join(workspace.BecomeServer(cfg), sysexits.Config.With(secrets(cfg)))
}

// mayBeRoot refuses to run as root when the server listens to other hosts, unless the
// configuration asks for it.
func mayBeRoot(cfg *config.Config, log *slog.Logger) error {
	if f := inspect.AsRoot(cfg, os.Geteuid()); f != nil {
		return sysexits.Config.With(f)
	}
	if os.Geteuid() == 0 && cfg.Server.User == "" {
		log.Warn("running as root, on loopback only; set server.user to run as another user")
	}
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
