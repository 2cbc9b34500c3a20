package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"postrider/bench"
	"postrider/cmd/sysexits"
)

// smtpSource holds the flags of Postfix's smtp-source that have no counterpart.
type smtpSource struct {
	keep, numbered, lmtp, old bool
	v4, v6                    bool
	rcpts                     int
	file, subject             string
	length                    int
	random, fixed             int // seconds between messages
	window, tries             int
}

// smtpSourceCommand is smtp with the flags and the defaults of smtp-source(1).
func smtpSourceCommand() *cobra.Command {
	var s sending
	var old smtpSource
	cmd := &cobra.Command{
		Use:   "smtp-source [flags] [inet:]HOST[:PORT]",
		Short: "Send as Postfix's smtp-source does, with its flags",
		Long: `Send messages as smtp-source(1) does: one message, one session, a new connection for
each message, unless the flags say otherwise. The report is as of "postbench smtp".
A link to postbench named smtp-source does the same. LMTP (-L), the old mode (-o)
and Unix sockets are not supported, and are errors. Pauses (-R, -w) are not in the
time of a message; for messages at fixed times see --rate of "postbench smtp".`,
		Example: `  postbench smtp-source -d -s 20 -m 20000 -l 4096 -f a@example.org -t b@example.org inet:127.0.0.1:25
  postbench smtp-source -4 -R 5 -s 50 -m 1000 -T 4096 127.0.0.1:25`,
		Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.asSource(cmd, old, args[0])
		},
	}
	host, _ := os.Hostname()
	s.tls, s.rounds = "none", 1
	s.texts, s.source.rcpts = 1, 1
	flags := cmd.Flags()
	flags.BoolP("counter", "c", false, "show a running counter")
	flags.BoolVarP(&old.v4, "ipv4", "4", false, "connect by IPv4")
	flags.BoolVarP(&old.v6, "ipv6", "6", false, "connect by IPv6")
	flags.IntVarP(&old.random, "random-pause", "R", 0, "random pause between the messages of a session, up to this many seconds")
	flags.IntVarP(&old.fixed, "pause", "w", 0, "seconds between the messages of a session")
	flags.IntVarP(&old.window, "window", "T", 0, "octets of the socket buffers, which limit the TCP window")
	flags.IntVarP(&old.tries, "connects", "C", 1, "how often to try a connect that is refused")
	flags.BoolVarP(&old.keep, "keep", "d", false, "don't disconnect after a message")
	flags.StringVarP(&s.load.From, "from", "f", "foo@"+host, "sender")
	flags.StringVarP(&old.file, "file", "F", "", "send the message in this file")
	flags.IntVarP(&old.length, "length", "l", 0, "octets of the body")
	flags.BoolVarP(&old.lmtp, "lmtp", "L", false, "LMTP: refused")
	flags.IntVarP(&s.load.Messages, "messages", "m", 1, "messages")
	flags.StringVarP(&s.hello, "hello", "M", host, "name in EHLO")
	flags.BoolVarP(&old.numbered, "numbered", "N", false, "a number before each recipient, without repeats")
	flags.BoolVarP(&old.old, "old", "o", false, "no greeting and no header: refused")
	flags.IntVarP(&old.rcpts, "rcpts", "r", 1, "recipients of each message, with a number before each")
	flags.IntVarP(&s.load.Sessions, "sessions", "s", 1, "sessions at once")
	flags.StringVarP(&old.subject, "subject", "S", "", "subject")
	flags.StringVarP(&s.to, "to", "t", "foo@"+host, "recipient")
	flags.BoolP("verbose", "v", false, "ignored")
	flags.BoolVarP(&s.load.KeepGoing, "keep-going", "A", false, "go on after a refusal")
	return cmd
}

// asSource runs with the meaning that smtp-source gives the flags.
func (s *sending) asSource(cmd *cobra.Command, old smtpSource, addr string) error {
	if old.lmtp || old.old {
		return sysexits.Usage.With(fmt.Errorf("-L and -o are not supported: only SMTP with EHLO is"))
	}
	if err := s.prepare(cmd, addr); err != nil {
		return err
	}
	if err := old.check(cmd); err != nil {
		return err
	}
	s.load.Client.Dial, s.load.Pause = old.dial, old.pause()
	if !old.keep {
		s.load.PerConnection = 1
	}
	body := []byte(strings.Repeat(strings.Repeat("X", 78)+"\r\n", old.length/80) + strings.Repeat("X", max(0, old.length%80-2)) + "\r\n")
	if old.length == 0 {
		body = nil
	}
	wire := fmt.Appendf(nil, "From: <%s>\r\nTo: <%s>\r\nSubject: %s\r\n\r\n%s", s.load.From, s.to, old.subject, body)
	if old.file != "" {
		octets, err := os.ReadFile(old.file)
		if err != nil {
			return err
		}
		wire = []byte(strings.ReplaceAll(strings.ReplaceAll(string(octets), "\r\n", "\n"), "\n", "\r\n"))
	}
	wire = bench.Stuff(wire)
	s.load.Wire = func(int) []byte { return wire }
	s.load.To = old.recipients(s.to)
	return s.measure(cmd, s.load.Client.Addr, s.load.Messages, s.plainRound)
}

// check finds numbers that mean nothing, as smtp-source does.
func (o smtpSource) check(cmd *cobra.Command) error {
	if o.fixed > 0 && o.random > 0 {
		return sysexits.Usage.With(errors.New("-w and -R exclude each other"))
	}
	if o.v4 && o.v6 {
		return sysexits.Usage.With(errors.New("-4 and -6 exclude each other"))
	}
	for name, n := range map[string]int{"random-pause": o.random, "pause": o.fixed, "window": o.window, "connects": o.tries} {
		if flag := cmd.Flag(name); flag.Changed && (n < 1 || n > 1<<30) {
			return sysexits.Usage.With(fmt.Errorf("-%s %d: give 1 or more", flag.Shorthand, n))
		}
	}
	return nil
}

// pause is what -R or -w make of the time between messages, or nil.
func (o smtpSource) pause() func() time.Duration {
	switch {
	case o.random > 0:
		return func() time.Duration { return time.Duration(rand.IntN(o.random+1)) * time.Second }
	case o.fixed > 0:
		return func() time.Duration { return time.Duration(o.fixed) * time.Second }
	}
	return nil
}

// dial connects, with the buffers of -T, and tries as often as -C says.
func (o smtpSource) dial(ctx context.Context, network, addr string) (conn net.Conn, err error) {
	if o.v4 {
		network = "tcp4"
	} else if o.v6 {
		network = "tcp6"
	}
	dialer := net.Dialer{Control: o.buffers}
	for range max(o.tries, 1) {
		if conn, err = dialer.DialContext(ctx, network, addr); !errors.Is(err, unix.ECONNREFUSED) {
			return conn, err
		}
	}
	return nil, err
}

// buffers sets a socket's buffers before it connects: later the window stays as it is.
func (o smtpSource) buffers(_, _ string, c syscall.RawConn) (err error) {
	if o.window == 0 {
		return nil
	}
	wrong := c.Control(func(fd uintptr) {
		err = errors.Join(
			os.NewSyscallError("SO_SNDBUF", unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF, o.window)),
			os.NewSyscallError("SO_RCVBUF", unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, o.window)))
	})
	return errors.Join(wrong, err)
}

// recipients is what -t, -r and -N make of a message.
func (o smtpSource) recipients(to string) func(n int) []string {
	return func(n int) []string {
		if o.rcpts <= 1 && !o.numbered {
			return []string{to}
		}
		all := make([]string, max(o.rcpts, 1))
		for i := range all {
			number := i
			if o.numbered {
				number += n * len(all)
			}
			all[i] = fmt.Sprint(number) + to
		}
		return all
	}
}
