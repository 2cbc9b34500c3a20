package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"postrider/bench"
	"postrider/bench/sink"
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
}

// profiles are faults that go together.
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
print what came as JSON. Faults are rules, given by --fault for all mail, or by a
recipient: its local part may be a rule (unless --deaf).

` + sink.Grammar + `

Waits before replies are STAGE=DISTRIBUTION: dot=20ms, rcpt=uniform:5ms-50ms,
dot=lognormal:20ms,2. Chance comes from --seed and the number of the session.
Profiles: diskfull, flaky, tarpit, refuser, vanisher.`,
		Example: `  postbench sink 127.0.0.1:2500
  postbench sink --profile flaky --seed 7 127.0.0.1:2500
  postbench sink --fault tempfail-rcpt-after100 --wait dot=lognormal:20ms,2 127.0.0.1:2500
  postbench sink --greylist 30s --limit 10/s,20,450 --tls wrong --list arrived.tsv 127.0.0.1:2500
  swaks --server 127.0.0.1:2500 --to reset-dot-first1@any.example`,
		Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error { return s.run(cmd, args[0]) },
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&s.faults, "fault", nil, "a rule, as above")
	flags.StringSliceVar(&s.profiles, "profile", nil, "rules by name")
	flags.StringArrayVar(&s.waits, "wait", nil, "a wait, STAGE=DISTRIBUTION")
	flags.BoolVar(&s.options.Deaf, "deaf", false, "ignore rules in recipients")
	flags.DurationVar(&s.options.Greylist, "greylist", 0, "451 until so long after a client, sender and recipient came first")
	flags.StringVar(&s.limit, "limit", "", "messages a second of a client, how many at once, and the code beyond: 10/s,20,421")
	flags.StringVar(&s.tls, "tls", "none", "offer STARTTLS: good (signed by itself), wrong (other name, expired), slow (5 s before the handshake)")
	flags.Uint64Var(&s.options.Seed, "seed", 1, "of chance")
	flags.StringVar(&s.options.Hostname, "hostname", "", "in replies (default sink.example)")
	flags.IntVar(&s.loops, "loops", max(1, runtime.NumCPU()/2), "event loops")
	flags.StringVar(&s.list, "list", "", "write a line for each message to this file: time, client, octets, from, recipients, X-Bench-ID or Message-ID")
	flags.StringVar(&s.maildir, "maildir", "", "keep each message in the maildir of each recipient's local part, under this folder")
	flags.Int64Var(&s.messages, "messages", 0, "end after so many; 0: when interrupted")
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
	target, err := address(addr, "2500")
	if err != nil {
		return err
	}
	ctx, cancel := contextUntil(cmd.Context(), stop)
	defer cancel()
	ln, err := sink.Listen(ctx, target)
	if err != nil {
		return exit(exUnavailable, err)
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "ready smtp=%s\n", ln.Addr())
	all := sink.New(s.options)
	err = all.Serve(ctx, ln, max(s.loops, 1))
	out := json.NewEncoder(cmd.OutOrStdout())
	out.SetIndent("", "  ")
	return errors.Join(err, list.close(), out.Encode(all.Counts()))
}

// prepare turns flags into options.
func (s *sinking) prepare() error {
	rules := s.faults
	for _, name := range s.profiles {
		profile, ok := profiles[name]
		if !ok {
			return exit(exUsage, fmt.Errorf("there is no profile %q (see \"postbench sink --help\")", name))
		}
		rules = append(rules, profile...)
	}
	for _, text := range rules {
		r, err := sink.ParseRule(text)
		if err != nil {
			return exit(exUsage, err)
		}
		s.options.Rules = append(s.options.Rules, r)
	}
	for _, text := range s.waits {
		stage, distribution, _ := strings.Cut(text, "=")
		at, ok := sink.StageOf(stage)
		if !ok {
			return exit(exUsage, fmt.Errorf("--wait %s: there is no stage %q", text, stage))
		}
		w, err := sink.ParseWait(distribution)
		if err != nil {
			return exit(exUsage, err)
		}
		if s.options.Waits == nil {
			s.options.Waits = make(map[sink.Stage]sink.Wait)
		}
		s.options.Waits[at] = w
	}
	if s.limit != "" {
		s.options.Burst, s.options.LimitCode = 1, 450
		n, _ := fmt.Sscanf(s.limit, "%g/s,%d,%d", &s.options.Limit, &s.options.Burst, &s.options.LimitCode)
		if n == 0 || s.options.Limit <= 0 || s.options.LimitCode < 400 || s.options.LimitCode > 599 {
			return exit(exUsage, fmt.Errorf("--limit %s: give a rate, a burst and a code, such as 10/s,20,421", s.limit))
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
		s.options.HandshakeWait = 5 * time.Second
	case "good", "wrong":
	default:
		return exit(exUsage, fmt.Errorf("--tls %s: give none, good, wrong or slow", s.tls))
	}
	s.options.TLS, err = sink.Certificate(name, s.tls == "wrong")
	return err
}

// lister writes the list of what arrived.
type lister struct {
	mu   sync.Mutex // guards out
	file *os.File
	out  *bufio.Writer
}

func (s *sinking) lister() (*lister, error) {
	if s.list == "" {
		return &lister{}, nil
	}
	s.options.Keep = 8 << 10 // the header, for the id
	f, err := os.Create(s.list)
	return &lister{file: f, out: bufio.NewWriter(f)}, err
}

func (l *lister) arrived(a sink.Arrival) {
	if l.file == nil {
		return
	}
	id := bench.IDOf(a.Message)
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(l.out, "%s\t%s\t%d\t%s\t%s\t%s\n", a.Time.UTC().Format(time.RFC3339Nano), a.Client, a.Octets, a.From, strings.Join(a.To, ","), id)
}

func (l *lister) close() error {
	if l.file == nil {
		return nil
	}
	return errors.Join(l.out.Flush(), l.file.Close())
}

// countdown closes stop a moment after the last of n messages, so that its reply
// goes out.
func countdown(n int64, stop chan struct{}, arrived func(sink.Arrival)) func(sink.Arrival) {
	var mu sync.Mutex
	return func(a sink.Arrival) {
		arrived(a)
		mu.Lock()
		defer mu.Unlock()
		if n--; n == 0 {
			time.AfterFunc(200*time.Millisecond, func() { close(stop) })
		}
	}
}

// deliver writes what arrives into maildirs, and then hands it on. Without a sync:
// this is for tests.
func (s *sinking) deliver(then func(sink.Arrival)) func(sink.Arrival) {
	var number atomic.Int64
	return func(a sink.Arrival) {
		mail := bytes.ReplaceAll(bench.Unstuff(a.Message), []byte("\r\n"), []byte("\n"))
		for _, to := range a.To {
			local, _, _ := strings.Cut(to, "@")
			box := filepath.Join(s.maildir, filepath.Base("/"+local))
			for _, folder := range []string{"tmp", "cur", "new"} {
				_ = os.MkdirAll(filepath.Join(box, folder), 0o700) // what fails here fails below
			}
			name := fmt.Sprintf("%d.%d.sink", a.Time.Unix(), number.Add(1))
			if err := os.WriteFile(filepath.Join(box, "new", name), mail, 0o600); err != nil {
				fmt.Fprintln(os.Stderr, "postbench:", err)
			}
		}
		then(a)
	}
}
