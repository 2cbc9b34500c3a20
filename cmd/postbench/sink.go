package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"runtime"

	"github.com/spf13/cobra"

	"postrider/bench/sink"
	"postrider/cmd/sysexits"
)

// sinking is the subcommand sink.
type sinking struct {
	options  sink.Options
	faults   []string
	profiles []string
	waits    []string
	limit    string
	tls      string
	loops    int
	list     string
	maildir  string
	messages int64
	pop3     sinkPOP3
	metrics  string
}

// profiles are faults that go together, in SMTP.
var profiles = map[string][]string{
	"diskfull": {"full-mail"},
	"flaky":    {"tempfail-rcpt-p10", "tempfail-dot-p5", "busy-greeting-p5", "reset-dot-p1"},
	"tarpit":   {"wait1s-helo", "wait1s-mail", "wait1s-rcpt", "wait1s-data", "wait1s-dot"},
	"refuser":  {"permfail-rcpt-p20"},
	"vanisher": {"silence-dot-p5", "close-data-p5"},
}

func sinkCommand() *cobra.Command {
	var s sinking
	cmd := &cobra.Command{
		Use:   "sink [flags] HOST:PORT",
		Short: "Take mail and throw it away, or fail as other hosts do",
		Long: `Take mail by SMTP and throw it away, for tests of senders, until interrupted; then
print a report as JSON. Faults are rules, given by --fault for all mail, or by a
recipient: its local part may be a rule (unless --deaf).

` + sink.Grammar + `

Waits before replies are STAGE=DISTRIBUTION: dot=20ms, rcpt=uniform:5ms-50ms,
dot=lognormal:20ms,2. Chance comes from --seed and the number of the session.
Profiles: diskfull, flaky, tarpit, refuser, vanisher.

With --pop3 it is a POP3 server, too, for tests of clients. Any name and password will
do. Each maildrop has the same made messages (--pop3-messages; some with lines that
begin with dots, each with the SHA-256 of its body in X-Digest), and what arrived for
the local part of its name; the domain doesn't matter. Sessions of one maildrop don't
lock each other out.

` + sink.POP3Grammar + `
Profiles: locked, torn, liar, flaky, tarpit.

Arrived mail is reported in three ways: --list (a line for each message), --maildir (the
messages), and --metrics (counters for Prometheus).`,
		Example: `  postbench sink 127.0.0.1:2500
  postbench sink --profile flaky --seed 7 127.0.0.1:2500
  postbench sink --fault tempfail-rcpt-after100 --wait dot=lognormal:20ms,2 127.0.0.1:2500
  postbench sink --greylist 30s --limit 10/s,20,450 --tls wrong --list arrived.tsv 127.0.0.1:2500
  swaks --server 127.0.0.1:2500 --to reset-dot-first1@any.example
  postbench sink --pop3 127.0.0.1:1100 --pop3-messages 50 --pop3-fault close-body-p10 127.0.0.1:2500
  curl -u nodot-retr-first1:x pop3://127.0.0.1:1100/1
  postbench sink --metrics 127.0.0.1:9100 127.0.0.1:2500 & curl http://127.0.0.1:9100/metrics`,
		Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error { return s.run(cmd, args[0]) },
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&s.faults, "fault", nil, "a rule, as above")
	flags.StringSliceVar(&s.profiles, "profile", nil, "rules by name")
	flags.StringArrayVar(&s.waits, "wait", nil, "a wait, STAGE=DISTRIBUTION")
	flags.BoolVar(&s.options.Deaf, "deaf", false, "ignore rules in recipients")
	flags.DurationVar(&s.options.Greylist, "greylist", 0, "451 until this long after a client, sender and recipient first came")
	flags.StringVar(&s.limit, "limit", "", "messages a second from a client, how many at once, and the reply code over the limit: 10/s,20,421")
	flags.StringVar(&s.tls, "tls", "none", "offer STARTTLS and STLS: good (self-signed), wrong (other name, expired), slow (5 s before the handshake), mute (no handshake)")
	flags.Uint64Var(&s.options.Seed, "seed", 1, "of chance")
	flags.StringVar(&s.options.Hostname, "hostname", "", "host name in replies (default sink.example)")
	flags.IntVar(&s.loops, "loops", max(1, runtime.NumCPU()/2), "event loops")
	flags.StringVar(&s.list, "list", "", "write a line for each message to this file: time, client, octets, from, recipients, X-Bench-ID or Message-ID")
	flags.StringVar(&s.maildir, "maildir", "", "keep each message in the maildir of each recipient's local part, under this folder")
	flags.Int64Var(&s.messages, "messages", 0, "end after this many messages; 0: when interrupted")
	flags.StringVar(&s.metrics, "metrics", "", "serve counters for Prometheus at http://HOST:PORT/metrics")
	s.pop3.add(cmd)
	return cmd
}

func (s *sinking) run(cmd *cobra.Command, addr string) error {
	if err := s.prepare(); err != nil {
		return err
	}
	list, err := s.lister()
	if err != nil {
		return err
	}
	stop := make(chan struct{})
	s.options.Arrived = list.arrived
	if s.messages > 0 {
		s.options.Arrived = countdown(s.messages, stop, list.arrived)
	}
	if s.maildir != "" {
		s.options.Keep = 64 << 20
		s.options.Arrived = s.deliver(s.options.Arrived)
	} else if s.list == "" && s.messages == 0 {
		s.options.Arrived = nil
	}
	s.options.Keep = max(s.options.Keep, int(s.options.POP3.Room))
	target, err := address(addr, "2500")
	if err != nil {
		return err
	}
	ctx, cancel := contextUntil(cmd.Context(), stop)
	defer cancel()
	all := sink.New(s.options)
	serving := servers{ctx: ctx, cancel: cancel}
	if err := s.listen(&serving, all, target); err != nil {
		cancel()
		return errors.Join(err, serving.wait())
	}
	fmt.Fprintln(cmd.ErrOrStderr(), "ready"+serving.ready)
	err = serving.wait()
	out := json.NewEncoder(cmd.OutOrStdout())
	out.SetIndent("", "  ")
	return errors.Join(err, list.close(), out.Encode(all.Counts()))
}

// listen starts what is asked for.
func (s *sinking) listen(serving *servers, all *sink.Sink, smtp string) error {
	loops := max(s.loops, 1)
	err := serving.listen("smtp", smtp, func(ln *net.TCPListener) error { return all.Serve(serving.ctx, ln, loops) })
	if err == nil && s.pop3.addr != "" {
		err = serving.listen("pop3", s.pop3.addr, func(ln *net.TCPListener) error { return all.ServePOP3(serving.ctx, ln, loops) })
	}
	if err == nil && s.metrics != "" {
		err = serving.listen("metrics", s.metrics, func(ln *net.TCPListener) error { return serving.http(ln, all.Metrics()) })
	}
	return err
}

// prepare turns flags into options.
func (s *sinking) prepare() (err error) {
	rules := s.faults
	for _, name := range s.profiles {
		profile, ok := profiles[name]
		_, also := pop3Profiles[name]
		if !ok && !also {
			return sysexits.Usage.With(fmt.Errorf("unknown profile %q (see \"postbench sink --help\")", name))
		}
		rules = append(rules, profile...)
	}
	if err := s.pop3.prepare(&s.options, s.profiles); err != nil {
		return err
	}
	for _, text := range rules {
		r, err := sink.ParseRule(text)
		if err != nil {
			return sysexits.Usage.With(err)
		}
		s.options.Rules = append(s.options.Rules, r)
	}
	if s.options.Waits, err = waits("--wait", s.waits, sink.StageOf); err != nil {
		return err
	}
	if s.limit != "" {
		s.options.Burst, s.options.LimitCode = 1, 450
		n, _ := fmt.Sscanf(s.limit, "%g/s,%d,%d", &s.options.Limit, &s.options.Burst, &s.options.LimitCode)
		if n == 0 || s.options.Limit <= 0 || s.options.LimitCode < 400 || s.options.LimitCode > 599 {
			return sysexits.Usage.With(fmt.Errorf("--limit %s: use a rate, a burst and a code, such as 10/s,20,421", s.limit))
		}
	}
	return s.certificate()
}

func (s *sinking) certificate() (err error) {
	name := s.options.Hostname
	if name == "" {
		name = "sink.example"
	}
	switch s.tls {
	case "none":
		return nil
	case "slow":
		err = s.handshake("wait5s-handshake")
	case "mute":
		err = s.handshake("silence-handshake")
	case "good", "wrong":
	default:
		err = sysexits.Usage.With(fmt.Errorf("--tls %s: use none, good, wrong, slow or mute", s.tls))
	}
	if err != nil {
		return err
	}
	s.options.TLS, err = sink.Certificate(name, s.tls == "wrong")
	return err
}

// handshake adds a rule to both protocols.
func (s *sinking) handshake(text string) error {
	smtp, err := sink.ParseRule(text)
	if err != nil {
		return err
	}
	pop3, err := sink.ParsePOP3Rule(text)
	s.options.Rules, s.options.POP3.Rules = append(s.options.Rules, smtp), append(s.options.POP3.Rules, pop3)
	return err
}
