package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"postrider/bench"
)

// smtpSource holds the flags of Postfix's smtp-source that have no counterpart.
type smtpSource struct {
	keep, numbered, lmtp, old bool
	rcpts                     int
	file, subject             string
	length                    int
}

// smtpSourceCommand is smtp with the letters and the defaults of smtp-source(1).
func smtpSourceCommand() *cobra.Command {
	var s sending
	var old smtpSource
	cmd := &cobra.Command{
		Use:   "smtp-source [flags] [inet:]HOST[:PORT]",
		Short: "Send as Postfix's smtp-source does, with its flags",
		Long: `Send messages as smtp-source(1) does: one message, one session, a new connection for
each message, unless the flags say otherwise. The report is that of "postbench smtp".
A link to postbench of the name smtp-source does the same. LMTP (-L), sockets of
files, and waits between messages (-R, -w) are not offered: see --rate of
"postbench smtp" for those.`,
		Example: `  postbench smtp-source -d -s 20 -m 20000 -l 4096 -f a@example.org -t b@example.org inet:127.0.0.1:25`,
		Args:    exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.asSource(cmd, old, args[0])
		},
	}
	host, _ := os.Hostname()
	s.tls, s.rounds = "none", 1
	s.texts, s.source.rcpts = 1, 1
	flags := cmd.Flags()
	flags.BoolP("counter", "c", false, "show a running counter")
	flags.IntP("connects", "C", 1, "tries of a connect (one is made)")
	flags.BoolVarP(&old.keep, "keep", "d", false, "don't disconnect after a message")
	flags.StringVarP(&s.load.From, "from", "f", "foo@"+host, "sender")
	flags.StringVarP(&old.file, "file", "F", "", "send the message in this file")
	flags.IntVarP(&old.length, "length", "l", 0, "octets of the body")
	flags.BoolVarP(&old.lmtp, "lmtp", "L", false, "LMTP: refused")
	flags.IntVarP(&s.load.Messages, "messages", "m", 1, "messages")
	flags.StringVarP(&s.hello, "hello", "M", host, "name in EHLO")
	flags.BoolVarP(&old.numbered, "numbered", "N", false, "a number before each recipient, that doesn't repeat")
	flags.BoolVarP(&old.old, "old", "o", false, "no greeting and no header: refused")
	flags.IntVarP(&old.rcpts, "rcpts", "r", 1, "recipients of each message, with a number before each")
	flags.IntVarP(&s.load.Sessions, "sessions", "s", 1, "sessions at once")
	flags.StringVarP(&old.subject, "subject", "S", "", "subject")
	flags.StringVarP(&s.to, "to", "t", "foo@"+host, "recipient")
	flags.BoolP("verbose", "v", false, "more words (there are none)")
	flags.BoolVarP(&s.load.KeepGoing, "keep-going", "A", false, "go on after a refusal")
	return cmd
}

// asSource runs with the meaning that smtp-source gives the flags.
func (s *sending) asSource(cmd *cobra.Command, old smtpSource, addr string) error {
	if old.lmtp || old.old {
		return exit(exUsage, fmt.Errorf("-L and -o are not offered: this speaks SMTP with EHLO"))
	}
	if err := s.prepare(cmd, addr); err != nil {
		return err
	}
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
