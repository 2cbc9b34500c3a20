package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/engine/config"
	"postrider/engine/host/maillog"
	"postrider/engine/server"
	"postrider/storage/lsm"
)

// Before a restart the program on disk is executed with the same arguments and trialFlag. It
// does all that a start does, except at the store and at the sockets that it would get, which
// the running server has. Whatever would fail in the start fails there.

const (
	trialFlag = "check-start"
	trialEnv  = "POSTRIDER_CHECK_START" // trial
	// trialTime is how long it may take, on a machine that is busy.
	trialTime = time.Minute
	// trialText bounds what it may say.
	trialText = 64 << 10
)

// trial is what the running server has, and passes on at a restart.
type trial struct {
	Sockets string `json:"sockets"`
	Format  int    `json:"format"` // the store's
}

// trialAnswer is what a program answers that can start.
type trialAnswer struct {
	Version string `json:"version"`
	Socket  string `json:"socket"` // where the server will answer commands
}

// tryProgram has the program on disk find out whether it can start.
func (r *running) tryProgram() (version, socket string, err error) {
	program := r.from.program
	fail := func(format string, args ...any) (string, string, error) {
		return "", "", sysexits.Config.With(fmt.Errorf(format, args...))
	}
	switch info, err := os.Stat(program); {
	case errors.Is(err, fs.ErrNotExist):
		return fail("the program %s is not there any more: install it again", program)
	case err != nil:
		return fail("the program: %w", err)
	case !info.Mode().IsRegular() || info.Mode()&0o111 == 0:
		return fail("%s is no program: its mode is %s", program, info.Mode())
	}
	what, err := json.Marshal(trial{r.sockets.Listed(), lsm.FormatVersion})
	if err != nil {
		return fail("%w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), trialTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, append(slices.Clone(os.Args[1:]), "--"+trialFlag)...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), trialEnv+"="+string(what), "NOTIFY_SOCKET=")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = time.Second
	out, said := &bounded{left: trialText}, &bounded{left: trialText}
	cmd.Stdout, cmd.Stderr = out, said
	err = cmd.Run()
	text := strings.TrimPrefix(strings.TrimSpace(said.String()), "postrider: ")
	var a trialAnswer
	switch {
	case ctx.Err() != nil:
		return fail("the program %s did not say within %s that it can start %s", program, trialTime, text)
	case errors.As(err, new(*exec.ExitError)) && text != "":
		return fail("the program %s can't start: %s", program, text)
	case err != nil:
		return fail("the program %s can't start: %w", program, err)
	case json.Unmarshal(out.Bytes(), &a) != nil || a.Version == "":
		return fail("the program %s does not answer as postrider does: is it another program?", program)
	}
	return a.Version, a.Socket, nil
}

// bounded keeps the first octets that are written.
type bounded struct {
	bytes.Buffer
	left int
}

// Write implements io.Writer.
func (b *bounded) Write(p []byte) (int, error) {
	n := min(len(p), b.left)
	b.left -= n
	b.Buffer.Write(p[:n])
	return len(p), nil
}

// tryStart is the part of the program on disk: it finds out whether it can start.
func tryStart(ctx context.Context, cfg *config.Config, out io.Writer) error {
	var t trial
	if err := json.Unmarshal([]byte(os.Getenv(trialEnv)), &t); err != nil {
		return sysexits.Usage.With(fmt.Errorf("--%s is for \"postrider restart\": use \"postrider config check\"", trialFlag))
	}
	_ = os.Unsetenv(trialEnv)
	if t.Format > lsm.FormatVersion {
		return sysexits.Config.With(fmt.Errorf("the store has format %d, and version %s knows formats up to %d: install the version that runs, or a later one", t.Format, server.Version, lsm.FormatVersion))
	}
	log := slog.New(slog.DiscardHandler)
	if err := mayBeRoot(cfg, log); err != nil {
		return err
	}
	if err := server.TrySockets(cfg, t.Sockets); err != nil {
		return sysexits.Unavailable.With(withHolder(err, cfg))
	}
	if err := errors.Join(workspace.BecomeServer(cfg), sysexits.Config.With(secrets(cfg))); err != nil {
		return err
	}
	lines, err := maillog.Open(logSettings(cfg))
	if err != nil {
		return sysexits.CantCreate.With(err)
	}
	lines.Close()
	if _, err := setFilesAside(cfg, log); err != nil {
		return err
	}
	answer := trialAnswer{server.Version, workspace.FullPath(workspace.AdminSocket(cfg))}
	if err := tryServer(cfg, log); err != nil {
		return err
	}
	return sysexits.IOErr.With(json.NewEncoder(out).Encode(answer))
}

// tryServer makes a server as a start does, with an empty store and at other ports.
func tryServer(cfg *config.Config, log *slog.Logger) error {
	for _, l := range cfg.Listeners() {
		l.Set(slices.Repeat([]string{"127.0.0.1:0"}, len(l.Addrs)))
	}
	store, err := lsm.OpenScratch(log)
	if err != nil {
		return err
	}
	if err := bootstrap(store, cfg, false, io.Discard); err != nil {
		return err
	}
	if _, err := server.New(cfg, store, log); err != nil { // the process ends soon, and ends it
		return sysexits.Unavailable.With(err)
	}
	return nil
}
