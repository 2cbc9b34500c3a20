package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/spf13/cobra"

	"postrider/bench"
	"postrider/cmd/sysexits"
)

// reading is the subcommand pop3.
type reading struct {
	clientFlags
	outcome
	fetch     bench.Fetch
	pipelined bool
	user      string
	users     int
	sessions  int
	logins    int
	profile   string
}

func pop3Command() *cobra.Command {
	var r reading
	cmd := &cobra.Command{
		Use:   "pop3 [flags] HOST:PORT",
		Short: "Read maildrops",
		Long: `Read maildrops, each once, or log in and ask STAT --logins times. There is one
account, or with %d in --user as many as --users, read in --sessions at once;
no maildrop is in two sessions at a time. In rates of logins a "message" is a login.

A session is LIST and a RETR of each message, or what --profile says: stat, list and uidl,
asked once, in their order, and then top (of --top lines less one), retr and dele of each
message, or of a part of them, spread evenly (retr=50%). Each command has its times
among the stages. With --logins sessions are repeated; with a profile without top, retr
and dele a "message" is a session.`,
		Example: `  postbench pop3 --user reader --password secret --pipelined 127.0.0.1:110
  postbench pop3 --user user%d@example.org --users 1000 --sessions 20 --delete 127.0.0.1:110
  postbench pop3 --user user%d --users 100 --sessions 20 --logins 5000 --stages 127.0.0.1:110
  postbench pop3 --user reader --profile stat,uidl,top,retr=20%,dele=20% --stages 127.0.0.1:110
  postbench pop3 --user reader --profile uidl --logins 1000 --stages 127.0.0.1:110`,
		Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error { return r.run(cmd, args[0]) },
	}
	r.clientFlags.add(cmd)
	r.outcome.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&r.user, "user", "reader", "account, or a pattern with %d")
	flags.StringVar(&r.fetch.Password, "password", "secret", "password of all accounts")
	flags.IntVar(&r.users, "users", 100, "number of accounts of a pattern, from 0")
	flags.IntVar(&r.sessions, "sessions", 1, "sessions at once")
	flags.IntVar(&r.fetch.Window, "window", 64, "messages with commands under way when pipelined")
	flags.IntVar(&r.fetch.Limit, "messages", 0, "messages to read from each maildrop; 0: all")
	flags.BoolVar(&r.pipelined, "pipelined", false, "send many commands in one write")
	flags.BoolVar(&r.fetch.Delete, "delete", false, "DELE each message that was read")
	flags.IntVar(&r.fetch.Top, "top", 0, "read the header and one line less than this by TOP; 0: RETR")
	flags.IntVar(&r.logins, "logins", 0, "number of sessions in all: log in, STAT (or as --profile says), QUIT")
	flags.StringVar(&r.profile, "profile", "", "commands of a session, as above (default list,retr)")
	return cmd
}

func (r *reading) run(cmd *cobra.Command, addr string) error {
	client, err := r.client(addr, "110")
	if err != nil {
		return err
	}
	names := []string{r.user}
	if strings.Contains(r.user, "%d") {
		names = nil
		for n := range r.users {
			names = append(names, strings.ReplaceAll(r.user, "%d", fmt.Sprint(n)))
		}
	}
	if len(names) == 0 || r.sessions < 1 {
		return sysexits.Usage.With(errors.New("--users and --sessions must be more than 0"))
	}
	if r.profile != "" {
		if r.fetch.Profile, err = bench.ParseProfile(r.profile); err != nil {
			return sysexits.Usage.With(fmt.Errorf("--profile: %w", err))
		}
		if r.fetch.Delete {
			return sysexits.Usage.With(errors.New("--delete and --profile: use dele in the profile"))
		}
	}
	r.fetch.Mode, r.fetch.Client = bench.Mode(r.pipelined), client
	visits := len(names)
	if r.logins > 0 {
		visits = r.logins
	}
	total := r.logins
	if r.fetch.Profile.Reads() {
		total = 0 // known once each maildrop has told
	}
	return r.measure(cmd, client.Addr, total, func(ctx context.Context, _ int, meter *bench.Meter) (bench.Report, error) {
		ctx, cancel := r.start(ctx, meter)
		defer cancel()
		return r.visit(ctx, meter, names, visits)
	})
}

// visit visits the maildrops of names in turn, visits times in all.
func (r *reading) visit(ctx context.Context, meter *bench.Meter, names []string, visits int) (bench.Report, error) {
	var (
		wg   sync.WaitGroup
		next atomic.Int64
		mu   sync.Mutex // guards errs
		errs bench.Failures
		busy = make([]sync.Mutex, len(names)) // a maildrop admits one session
	)
	for range min(r.sessions, visits) {
		wg.Go(func() {
			for ctx.Err() == nil {
				n := int(next.Add(1) - 1)
				if n >= visits {
					return
				}
				user := n % len(names)
				busy[user].Lock()
				err := r.one(ctx, meter, names[user])
				busy[user].Unlock()
				if err != nil && ctx.Err() == nil {
					mu.Lock()
					errs.Add(fmt.Errorf("%s: %w", names[user], err))
					mu.Unlock()
					return
				}
			}
		})
	}
	wg.Wait()
	return meter.Report(), errs.Err()
}

// one is one session at one maildrop.
func (r *reading) one(ctx context.Context, meter *bench.Meter, user string) error {
	fetch := r.fetch
	fetch.Client.User, fetch.Client.Password, fetch.Meter = user, r.fetch.Password, meter
	if r.logins == 0 || r.fetch.Profile != nil {
		_, err := fetch.Run(ctx)
		return err
	}
	return fetch.Client.Poll(meter)
}
