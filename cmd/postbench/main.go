// Command postbench loads a mail server by SMTP and POP3 and reports what it
// did. It is a thin face over package bench; see there for what is measured and
// how. It exits with 0 when everything sent was accepted (or everything fetched
// arrived whole), with 1 when not, with 2 when it was called wrongly.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"

	"postrider/bench"
)

const usage = `postbench loads a mail server and reports what it did.

  postbench smtp [flags] HOST:PORT   send messages in many sessions
  postbench pop3 [flags] HOST:PORT   read a maildrop

"postbench smtp --help" and "postbench pop3 --help" list the flags.
`

func main() {
	if len(os.Args) < 2 {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	switch args := os.Args[2:]; os.Args[1] {
	case "smtp":
		err = smtp(ctx, args)
	case "pop3":
		err = pop3(ctx, args)
	case "help", "--help", "-h":
		fmt.Print(usage)
	default:
		fmt.Fprintf(os.Stderr, "postbench: no subcommand %q\n\n%s", os.Args[1], usage)
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "postbench:", err)
		os.Exit(1)
	}
}

// smtp is the subcommand that sends.
func smtp(ctx context.Context, args []string) error {
	flags := newFlags("smtp")
	sessions := flags.Int("sessions", 20, "connections at once")
	messages := flags.Int("messages", 1000, "messages in all")
	size := flags.Int("size", 4096, "octets of a message, about")
	each := flags.Int("per-connection", 0, "messages before QUIT and a new connection; 0: no end")
	from := flags.String("from", "sender@bench.example", "reverse-path")
	to := flags.String("to", "reader@localhost", "recipients, separated by commas, one for each message in turn")
	pipelined := flags.Bool("pipelined", false, "send the dot of a message and the envelope of the next in one write")
	pid := flags.Int("pid", 0, "process of the server, to tell its cost")
	addr := address(flags, args)

	recipients := strings.Split(*to, ",")
	load := bench.Load{
		Addr: addr, Sessions: *sessions, Messages: *messages, PerConnection: *each, Mode: bench.Mode(*pipelined), From: *from,
		To:   func(n int) []string { i := n % len(recipients); return recipients[i : i+1] },
		Wire: fixed(*size),
	}
	report, err := measured(*pid, func() (bench.Report, error) { return load.Run(ctx) })
	if err == nil && len(report.Refused) > 0 {
		err = fmt.Errorf("not all messages were accepted")
	}
	return err
}

// fixed makes one message for all: making each anew would cost the two cores
// more than sending it.
func fixed(size int) func(int) []byte {
	wire := bench.Message(0, size)
	return func(int) []byte { return wire }
}

// pop3 is the subcommand that fetches.
func pop3(ctx context.Context, args []string) error {
	flags := newFlags("pop3")
	user := flags.String("user", "reader", "account")
	password := flags.String("password", "secret", "its password")
	window := flags.Int("window", 64, "commands on their way when pipelined")
	limit := flags.Int("messages", 0, "messages to read; 0: all")
	pipelined := flags.Bool("pipelined", false, "send many RETR in one write")
	remove := flags.Bool("delete", false, "DELE each message that was read")
	pid := flags.Int("pid", 0, "process of the server, to tell its cost")
	addr := address(flags, args)

	fetch := bench.Fetch{
		Addr: addr, User: *user, Password: *password, Mode: bench.Mode(*pipelined), Window: *window, Limit: *limit, Delete: *remove,
	}
	_, err := measured(*pid, func() (bench.Report, error) { return fetch.Run(ctx) })
	return err
}

// measured runs and prints the report, with the cost of process pid unless 0.
func measured(pid int, run func() (bench.Report, error)) (bench.Report, error) {
	if pid == 0 {
		report, err := run()
		fmt.Println(report)
		return report, err
	}
	before, err := bench.ReadUsage(pid)
	if err != nil {
		return bench.Report{}, err
	}
	report, err := run()
	fmt.Println(report)
	if after, uerr := bench.ReadUsage(pid); uerr == nil {
		fmt.Printf("server: %d us of CPU a message, %.1f MB resident, %.1f MB at its peak\n",
			(after.CPU-before.CPU).Microseconds()/int64(max(1, report.Messages)), float64(after.RSS)/1e6, float64(after.PeakRSS)/1e6)
	}
	return report, err
}

func newFlags(name string) *flag.FlagSet {
	flags := flag.NewFlagSet(name, flag.ExitOnError)
	flags.Usage = func() {
		fmt.Fprintf(flags.Output(), "postbench %s [flags] HOST:PORT\n\n", name)
		flags.PrintDefaults()
	}
	return flags
}

// address parses the flags and returns the one argument.
func address(flags *flag.FlagSet, args []string) string {
	flags.Parse(args)
	if flags.NArg() != 1 {
		flags.Usage()
		os.Exit(2)
	}
	return flags.Arg(0)
}
