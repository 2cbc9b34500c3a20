package server

import (
	"fmt"
	"path/filepath"
	"time"

	"postrider/engine/admit/login"
	"postrider/engine/config"
	files "postrider/engine/host/perms"
)

// newDoor makes the door of all protocols. Claims with a password wait for the pool
// Server.auth.
func (srv *Server) newDoor() (*login.Door, error) {
	c := srv.config()
	secret, err := files.OpenOrRemake(filepath.Join(c.Server.Data, login.SecretFile), "names without an account get other salts than before", srv.log.Logger,
		func() ([]byte, error) { return login.LoadSecret(c.Server.Data) })
	if err != nil {
		return nil, fmt.Errorf("the secret of SCRAM: %w", err)
	}
	srv.secret = secret
	return login.New(srv.doorSettings(c)), nil
}

// doorSettings are the rules for logins.
func (srv *Server) doorSettings(c *config.Config) login.Settings {
	return login.Settings{
		FailureDelay:    c.Auth.FailureDelay,
		NetworkFailures: c.Auth.NetworkFailures, AccountFailures: c.Auth.AccountFailures, AccountDelay: c.Auth.AccountDelay,
		FailureWindow: c.Auth.FailureWindow,
		CacheTTL:      c.Auth.CacheTTL, CacheSize: c.Auth.CacheSize,
		Cost: c.HashCost(), Iterations: c.Auth.ScramIterations, Secret: srv.secret, OfferToSome: c.Auth.OfferSCRAM == config.OfferToSome,
		Router: srv.router, Store: srv.store, Queue: srv.hash, Draining: srv.draining.Load, Now: time.Now, Took: srv.took.login, Log: srv.log.Logger,
	}
}
