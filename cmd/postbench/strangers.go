package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"postrider/bench/strangers"
	"postrider/cmd/sysexits"
)

// attacking is the subcommand strangers.
type attacking struct {
	server, memory, addresses string
	limit                     int64
	duration                  time.Duration
}

func strangersCommand() *cobra.Command {
	var a attacking
	cmd := &cobra.Command{
		Use:   "strangers --server PROGRAM",
		Short: "Attack a postrider with everything at once, and send its own mail meanwhile",
		Long: `Start a postrider in a temporary folder, under a limit of memory (a memory cgroup, if
one can be made), and attack it as many unknown clients; send own mail by submission and
by relay, and read it by POP3, all the time. The report has the times of
the own mail and the memory that the server has held. It is an error when the server has
ended, has held more than the limit, or has lost own mail that it had acknowledged.

Strangers connect from 127.64.0.0/10, or from --addresses, which have to be addresses of
this host: bench/run strangers makes a network of its own for that.`,
		Example: "  postbench strangers --server ./postrider --duration 10m --memory 256MiB --limit-mb 1200",
		Args:    exactly(0),
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.run(cmd.Context(), cmd.OutOrStdout()) },
	}
	flags := cmd.Flags()
	flags.StringVar(&a.server, "server", "postrider", "postrider program to start")
	flags.DurationVar(&a.duration, "duration", time.Minute, "how long the attack lasts")
	flags.StringVar(&a.memory, "memory", "256MiB", "limits.memory of the server")
	flags.Int64Var(&a.limit, "limit-mb", 1200, "memory limit of the process, in 10^6 octets")
	flags.StringVar(&a.addresses, "addresses", "", "the network of the strangers and of their hosts")
	return cmd
}

func (a *attacking) run(ctx context.Context, out io.Writer) error {
	dir, err := os.MkdirTemp("", "strangers")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	r := &strangers.Run{Domain: "own.test", User: "owner", Password: "secret of the owner", Duration: a.duration}
	sink, slow := netip.MustParseAddr("127.0.0.8"), []netip.Addr{netip.MustParseAddr("127.0.0.9")}
	if a.addresses != "" {
		if r.Addresses, err = netip.ParsePrefix(a.addresses); err != nil {
			return sysexits.Usage.With(err)
		}
		sink, slow = hostsIn(r.Addresses)
	}
	if r.Hosts, err = strangers.Listen(netip.MustParseAddr("127.0.0.1"), sink, slow...); err != nil {
		return err
	}
	defer r.Hosts.Close()
	p := &victim{program: a.server, dir: dir}
	defer p.stop()
	if err := p.start(ctx, strangers.Config(r.Domain, r.Hosts, a.memory), a.limit*1e6, r); err != nil {
		return err
	}
	fmt.Fprintf(out, "limits.memory %s, limit of the process %d MB: %s.\n\n", a.memory, a.limit, p.limited)
	report, err := r.Run(ctx)
	report.Write(out)
	switch {
	case err != nil:
		return exFailed.With(fmt.Errorf("%w\n%s", err, p.log.Bytes()))
	case report.Usage.PeakRSS > a.limit*1e6:
		return exFailed.With(fmt.Errorf("the server has held %d octets, over the limit of %d MB", report.Usage.PeakRSS, a.limit))
	case len(report.Lost) > 0:
		return exFailed.With(fmt.Errorf("%d own messages that were acknowledged are lost", len(report.Lost)))
	}
	return nil
}

// hostsIn are the sink and the slow hosts: the last addresses of the network.
func hostsIn(network netip.Prefix) (sink netip.Addr, slow []netip.Addr) {
	octets := network.Masked().Addr().As4()
	for i := range octets {
		octets[i] |= byte(uint32(0xffffffff) >> network.Bits() >> (24 - 8*i))
	}
	at := netip.AddrFrom4(octets).Prev()
	for range 32 {
		slow = append(slow, at)
		at = at.Prev()
	}
	return at, slow
}

// victim is the server that is attacked.
type victim struct {
	program, dir string
	cmd          *exec.Cmd
	log          bytes.Buffer
	cgroup       string // "": there is none
	limited      string // how, for people
}

// start makes the accounts, starts the server, and sets its addresses in r.
func (v *victim) start(ctx context.Context, config string, limit int64, r *strangers.Run) error {
	data, file, people := filepath.Join(v.dir, "data"), filepath.Join(v.dir, "postrider.toml"), filepath.Join(v.dir, "people")
	lines := fmt.Sprintf("%s@%s:%s\nvictim@%s:%s\n", r.User, r.Domain, r.Password, r.Domain, r.Password)
	if err := errors.Join(os.WriteFile(file, []byte(config), 0o600), os.WriteFile(people, []byte(lines), 0o600)); err != nil {
		return err
	}
	for _, args := range [][]string{{"domain", "add", "--create", r.Domain, "--data", data}, {"account", "import", people, "--data", data}} {
		if text, err := exec.CommandContext(ctx, v.program, args...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s %s: %w\n%s", v.program, strings.Join(args, " "), err, text)
		}
	}
	v.limitMemory(limit)
	args := []string{v.program, "serve", "--data", data, "--config", file, "--smtp", "127.0.0.1:0", "--pop3", "127.0.0.1:0", "--submission", "127.0.0.1:0", "--http", "127.0.0.1:0"}
	if v.cgroup != "" {
		args = append([]string{"/bin/sh", "-c", `echo $$ >"$0"/cgroup.procs && exec "$@"`, v.cgroup}, args...)
	}
	v.cmd = exec.Command(args[0], args[1:]...)
	v.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	v.cmd.Stderr = &v.log
	stdout, err := v.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := v.cmd.Start(); err != nil {
		return err
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		return fmt.Errorf("the server has ended before it was ready: %w\n%s", err, v.log.Bytes())
	}
	for _, word := range strings.Fields(line) {
		name, address, _ := strings.Cut(word, "=")
		switch name {
		case "smtp":
			r.SMTP = address
		case "pop3":
			r.POP3 = address
		case "submission":
			r.Submission = address
		case "http":
			r.HTTP = address
		}
	}
	r.PID = v.cmd.Process.Pid
	return nil
}

// limitMemory makes a memory cgroup for the server, of version 2 or 1.
func (v *victim) limitMemory(limit int64) {
	v.limited = "no memory cgroup can be made here, so that the limit is compared with the peak"
	for _, place := range []struct{ folder, file string }{{"/sys/fs/cgroup", "memory.max"}, {"/sys/fs/cgroup/memory", "memory.limit_in_bytes"}} {
		dir := filepath.Join(place.folder, fmt.Sprintf("strangers-%d", os.Getpid()))
		if os.Mkdir(dir, 0o755) != nil {
			continue
		}
		if _, err := os.Stat(filepath.Join(dir, place.file)); err == nil {
			if os.WriteFile(filepath.Join(dir, place.file), fmt.Append(nil, limit), 0o644) == nil {
				v.cgroup, v.limited = dir, "by the memory cgroup "+dir
				return
			}
		}
		_ = os.Remove(dir)
	}
}

// stop ends the server.
func (v *victim) stop() {
	if v.cmd != nil && v.cmd.Process != nil {
		_ = v.cmd.Process.Kill()
		_ = v.cmd.Wait()
	}
	if v.cgroup != "" {
		for range 100 { // until the kernel knows that the process is gone
			if os.Remove(v.cgroup) == nil {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
}
