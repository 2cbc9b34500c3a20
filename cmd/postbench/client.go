package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"postrider/bench"
	"postrider/cmd/sysexits"
)

// clientFlags say how sessions begin.
type clientFlags struct {
	tls      string
	insecure bool
	auth     string
	hello    string
}

func (f *clientFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.tls, "tls", "none", "none, starttls (STLS in POP3) or implicit")
	cmd.Flags().BoolVar(&f.insecure, "insecure", false, "accept any certificate, such as a test server's")
	cmd.Flags().StringVarP(&f.hello, "hello", "M", "", "name in EHLO (default bench.example)")
}

// client is what the flags say, for addr. Without a port it is port.
func (f *clientFlags) client(addr, port string) (bench.Client, error) {
	c := bench.Client{Hello: f.hello}
	var err error
	if c.Addr, err = address(addr, port); err != nil {
		return c, err
	}
	security, ok := map[string]bench.Security{"none": bench.Plain, "starttls": bench.Upgrade, "implicit": bench.ImplicitTLS}[f.tls]
	if !ok {
		return c, sysexits.Usage.With(fmt.Errorf("--tls %s: use none, starttls or implicit", f.tls))
	}
	c.Security = security
	if f.insecure {
		c.TLS = &tls.Config{InsecureSkipVerify: true}
	}
	if f.auth != "" {
		if c.User, c.Password, ok = strings.Cut(f.auth, ":"); !ok {
			return c, sysexits.Usage.With(fmt.Errorf("--auth %s: give NAME:PASSWORD", f.auth))
		}
	}
	return c, nil
}

// address reads [inet:]host[:port].
func address(text, port string) (string, error) {
	addr := strings.TrimPrefix(text, "inet:")
	if strings.HasPrefix(addr, "unix:") {
		return "", sysexits.Usage.With(fmt.Errorf("%s: Unix sockets are not supported: use HOST:PORT", addr))
	}
	if _, _, err := net.SplitHostPort(addr); err == nil {
		return addr, nil
	}
	addr = net.JoinHostPort(strings.Trim(addr, "[]"), port)
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return "", sysexits.Usage.With(fmt.Errorf("%q isn't HOST:PORT: %w", text, err))
	}
	return addr, nil
}

// portLater leaves choosing a port to connect. bind would look for one that no connection
// from this address has, to any peer: with some ten thousand ports of the last minute
// still in TIME_WAIT, that search takes milliseconds.
func portLater(_, _ string, c syscall.RawConn) (err error) {
	wrong := c.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	})
	return errors.Join(wrong, err)
}

// from dials from the source addresses in turn.
func from(sources []string) (func(context.Context, string, string) (net.Conn, error), error) {
	turn := make(chan net.Addr, len(sources))
	for _, s := range sources {
		ip := net.ParseIP(s)
		if ip == nil {
			return nil, sysexits.Usage.With(fmt.Errorf("--source %s: not an IP address", s))
		}
		turn <- &net.TCPAddr{IP: ip}
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		local := <-turn
		turn <- local
		return (&net.Dialer{LocalAddr: local, Control: portLater}).DialContext(ctx, network, addr)
	}, nil
}

// contextUntil is a context that ends with ctx or when stop is closed.
func contextUntil(ctx context.Context, stop <-chan struct{}) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}
