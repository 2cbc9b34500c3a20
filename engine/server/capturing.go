package server

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"postrider/engine/config"
	"postrider/engine/front/capture"
	"postrider/storage"
)

// In capture mode (config.Capture) all mail goes to one maildrop, whatever its recipients are. A
// message with many recipients is there once: its trace has a Delivered-To field for
// each of them. Nothing else is different: the dialogue, the limits and what a 250
// means are as ever, so that what is tested is tested against a server.

// captureAccount is the account that gets all mail; 0: there is none such.
func captureAccount(cfg *config.Config, store storage.Directory) (storage.AccountID, error) {
	if !cfg.Capture.On {
		return 0, nil
	}
	a, err := store.Lookup(config.CaptureAccount, cfg.DefaultDomain())
	if err == nil && a.Account == 0 {
		err = errors.New("it is an alias")
	}
	if err != nil {
		return 0, fmt.Errorf("capture.on: account %s@%s: %w", config.CaptureAccount, cfg.DefaultDomain(), err)
	}
	return a.Account, nil
}

// CaptureView is the view of captured mail; nil: nothing is captured. The caller runs its
// Retain.
func (srv *Server) CaptureView(log *slog.Logger) *capture.View {
	if srv.capture == 0 {
		return nil
	}
	srv.view = capture.New(srv.viewConfig(log))
	return srv.view
}

// viewConfig is what the view of captured mail goes by.
func (srv *Server) viewConfig(log *slog.Logger) capture.Config {
	return capture.Config{
		Store: srv.store, Account: srv.capture, Keep: srv.config().Capture.Keep, Age: srv.config().Capture.Age,
		Version: Version, Started: time.Now(), Bounds: srv.webBounds(), Draining: srv.draining.Load, Log: log,
	}
}
