package serve

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/engine/config"
	"postrider/engine/front/admin"
)

// alreadyRuns is the error of a start while another server has the data directory.
func alreadyRuns(ctx context.Context, cfg *config.Config) error {
	client, err := admin.Dial(ctx, workspace.AdminSocket(cfg))
	if err != nil {
		return nil // what is wrong with the directory shows when it is opened
	}
	defer client.Close()
	s, err := client.Status(ctx)
	if err != nil {
		return nil
	}
	return sysexits.Unavailable.With(fmt.Errorf("a server runs on %s already: postrider %s, process %d, since %s: end that one (kill %d), or give this one another directory (--data)",
		workspace.FullPath(cfg.Server.Data), s.Version, s.PID, s.Started.Local().Format(time.DateTime), s.PID))
}

// withHolder adds to the error of a start which process has the port.
func withHolder(err error, cfg *config.Config) error {
	if !errors.Is(err, syscall.EADDRINUSE) {
		return err
	}
	for _, part := range cfg.Listeners() {
		for _, addr := range part.Addrs {
			if !strings.Contains(err.Error(), part.Key+" "+addr+":") {
				continue
			}
			if holder := workspace.PortHolder(addr); holder != "" {
				return fmt.Errorf("%w; %s", err, holder)
			}
		}
	}
	return err
}
