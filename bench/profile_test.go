package bench_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"postrider/bench"
	"postrider/bench/sink"
)

// maildrops serves n made messages by POP3, with faults.
func maildrops(t *testing.T, n int, faults ...string) (*sink.Sink, string) {
	t.Helper()
	sizes, err := bench.ParseSizes("uniform:300-9k")
	if err != nil {
		t.Fatal(err)
	}
	var o sink.POP3Options
	if o.Messages, err = sink.Made(n, sizes, 1); err != nil {
		t.Fatal(err)
	}
	for _, text := range faults {
		r, err := sink.ParsePOP3Rule(text)
		if err != nil {
			t.Fatal(err)
		}
		o.Rules = append(o.Rules, r)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ln, err := sink.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, over := sink.New(sink.Options{POP3: o}), make(chan error, 1)
	go func() { over <- s.ServePOP3(ctx, ln, 1) }()
	t.Cleanup(func() {
		cancel()
		if err := <-over; err != nil {
			t.Error(err)
		}
	})
	return s, ln.Addr().String()
}

// Each command of a profile is given as often as it says, timed by itself, and what
// is deleted is gone.
func TestFetch_Profile(t *testing.T) {
	for _, mode := range []bench.Mode{bench.Step, bench.Pipelined} {
		f := func(profile, stages string, messages, deleted int) {
			t.Helper()
			s, addr := maildrops(t, 200)
			p, err := bench.ParseProfile(profile)
			if err != nil {
				t.Fatal(err)
			}
			report, err := bench.Fetch{Addr: addr, User: "u", Password: "p", Mode: mode, Profile: p}.Run(t.Context())
			var got []string
			for _, name := range []string{"stat", "list", "uidl", "top", "retr", "dele", "quit"} {
				if n := report.Stages[name].Count; n > 0 {
					got = append(got, fmt.Sprint(name, " ", n))
				}
			}
			c := s.Counts().POP3
			if strings.Join(got, ", ") != stages || report.Messages != messages || err != nil || c.Deleted != int64(deleted) {
				t.Errorf("%s, %v: %q, %v (%v); the sink says %+v", profile, mode, got, report, err, c)
			}
		}
		f("stat", "stat 1, quit 1", 1, 0)
		f("uidl,list,stat", "stat 1, list 1, uidl 1, quit 1", 1, 0)
		f("list,retr", "list 1, retr 200, quit 1", 200, 0)
		f("stat,uidl,top,retr,dele=30%", "stat 1, uidl 1, top 200, retr 200, dele 60, quit 1", 200, 60)
		f("uidl,retr=1%,dele=50%", "uidl 1, retr 2, dele 100, quit 1", 100, 100)
		f("stat,dele", "stat 1, dele 200, quit 1", 200, 200)
	}
}

// A server that contradicts itself or refuses is an error with the command.
func TestFetch_ProfileFailures(t *testing.T) {
	for _, mode := range []bench.Mode{bench.Step, bench.Pipelined} {
		f := func(profile, fault, want string) {
			t.Helper()
			_, addr := maildrops(t, 5, fault)
			p, err := bench.ParseProfile(profile)
			if err != nil {
				t.Fatal(err)
			}
			_, err = bench.Fetch{Addr: addr, User: "u", Password: "p", Mode: mode, Profile: p}.Run(t.Context())
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s, %s, %v: %v", profile, fault, mode, err)
			}
		}
		f("list,retr", "err-retr-after3", "RETR 4: -ERR as asked for by err-retr-after3")
		f("list,retr", "miscount-list", "LIST said")
		f("stat,top", "close-body-after1", "TOP 2: reading a multi-line response")
		f("uidl,dele", "temp-dele-after4", "DELE 5: -ERR [SYS/TEMP]")
		f("stat,uidl", "err-uidl", "UIDL: -ERR")
		f("stat", "close-quit", "QUIT: ")
	}
}

func TestParseProfile_Failure(t *testing.T) {
	for _, text := range []string{"", "retr", "dele=50%", "stat,", "stat,quit", "stat,stat", "stat=50%", "stat,retr=0%", "stat,retr=101%", "stat,retr=5", "stat,retr=%"} {
		if p, err := bench.ParseProfile(text); err == nil {
			t.Errorf("ParseProfile(%q) = %v", text, p)
		}
	}
}
