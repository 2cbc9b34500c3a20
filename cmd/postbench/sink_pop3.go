package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"postrider/bench"
	"postrider/bench/sink"
	"postrider/cmd/sysexits"
)

// sinkPOP3 are the flags of the sink's POP3 server.
type sinkPOP3 struct {
	addr, size, keep string
	messages         int
	faults, waits    []string
}

// pop3Profiles are faults that go together, in POP3.
var pop3Profiles = map[string][]string{
	"locked": {"inuse-pass-p30"},
	"torn":   {"close-body-p5", "reset-body-p2", "nodot-retr-p2", "silence-end-p1"},
	"liar":   {"miscount-stat", "miscount-list", "miscount-retr"},
	"flaky":  {"temp-pass-p5", "err-retr-p5", "close-body-p2", "close-quit-p2"},
	"tarpit": {"wait1s-greeting", "wait1s-pass", "wait1s-stat", "wait1s-list", "wait1s-uidl", "wait1s-body", "wait1s-end", "wait1s-quit"},
}

func (p *sinkPOP3) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&p.addr, "pop3", "", "serve maildrops by POP3 at HOST:PORT")
	flags.IntVar(&p.messages, "pop3-messages", 0, "made messages in each maildrop at the start")
	flags.StringVar(&p.size, "pop3-size", "4096", "octets of a made message, about, or a distribution")
	flags.StringVar(&p.keep, "pop3-keep", "64m", "octets of arrived messages to keep; the oldest are dropped")
	flags.StringSliceVar(&p.faults, "pop3-fault", nil, "a rule for POP3, as above")
	flags.StringArrayVar(&p.waits, "pop3-wait", nil, "a wait, STAGE=DISTRIBUTION")
}

// prepare turns flags into options.
func (p *sinkPOP3) prepare(o *sink.Options, profiles []string) (err error) {
	if p.addr == "" {
		if len(p.faults) > 0 || len(p.waits) > 0 || p.messages > 0 {
			return sysexits.Usage.With(errors.New("--pop3-fault, --pop3-wait and --pop3-messages need --pop3 HOST:PORT"))
		}
		return nil
	}
	if p.addr, err = address(p.addr, "1100"); err != nil {
		return err
	}
	rules := p.faults
	for _, name := range profiles {
		rules = append(rules, pop3Profiles[name]...)
	}
	for _, text := range rules {
		r, err := sink.ParsePOP3Rule(text)
		if err != nil {
			return sysexits.Usage.With(err)
		}
		o.POP3.Rules = append(o.POP3.Rules, r)
	}
	if o.POP3.Waits, err = waits("--pop3-wait", p.waits, sink.POP3StageOf); err != nil {
		return err
	}
	sizes, err := bench.ParseSizes(p.size)
	if err != nil {
		return sysexits.Usage.With(err)
	}
	if o.POP3.Room, err = bench.ParseOctets(p.keep); err != nil {
		return sysexits.Usage.With(fmt.Errorf("--pop3-keep: %w", err))
	}
	if p.messages < 0 {
		return sysexits.Usage.With(fmt.Errorf("--pop3-messages %d: give 0 or more", p.messages))
	}
	if o.POP3.Messages, err = sink.Made(p.messages, sizes, o.Seed); err != nil {
		return sysexits.Usage.With(fmt.Errorf("--pop3-messages %d --pop3-size %s: %w", p.messages, p.size, err))
	}
	return nil
}

// waits reads the waits of a flag.
func waits(flag string, texts []string, stageOf func(string) (sink.Stage, bool)) (map[sink.Stage]sink.Wait, error) {
	all := make(map[sink.Stage]sink.Wait)
	for _, text := range texts {
		stage, distribution, _ := strings.Cut(text, "=")
		at, ok := stageOf(stage)
		if !ok {
			return nil, sysexits.Usage.With(fmt.Errorf("%s %s: unknown stage %q", flag, text, stage))
		}
		w, err := sink.ParseWait(distribution)
		if err != nil {
			return nil, sysexits.Usage.With(err)
		}
		all[at] = w
	}
	return all, nil
}
