package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"postrider/engine/config"
	"postrider/engine/edge/conn"
	"postrider/engine/front/admin"
)

func (f *fixture) look(t *testing.T, sel conn.Selection, most int) conn.Survey {
	t.Helper()
	found, err := f.Inside().Look(t.Context(), sel, most)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// Each session is described by its protocol's words, and selected by what it has.
func TestSessionsAreDescribed(t *testing.T) {
	f := start(t, func(c *config.Config) { now(c); c.Auth.FailureDelay = time.Hour }, nil)
	f.deliver(t, "mbrain@localhost", "Subject: x\r\n\r\nx\r\n")
	until(t, "no session is left", func() bool { return f.look(t, conn.Selection{}, 0).Total == 0 })
	greeted := f.hello(t)
	in := f.hello(t)
	in.say(plain("mbrain", "secret"), "235 ")
	in.say("MAIL FROM:<mbrain@localhost>", "250 ")
	in.say("RCPT TO:<jsmith@localhost>", "250 ")
	in.say("DATA", "354 ")
	in.send("Subject: y\r\n\r\nyy\r\n")
	chunk := f.hello(t)
	chunk.say("MAIL FROM:<a@client.test>", "250 ")
	chunk.say("RCPT TO:<jsmith@localhost>", "250 ")
	chunk.say("BDAT 6\r\nx: y", "250 ")
	login := f.hello(t)
	login.say("AUTH LOGIN", "334 ")
	wrong := f.hello(t)
	wrong.send(plain("jsmith", "wrong") + "\r\n")
	user := f.dialPOP3(t)
	user.expect("+OK")
	user.say("USER jsmith", "+OK")
	drop := f.login(t, "mbrain")
	drop.say("RETR 1", "+OK")
	drop.listing()

	want := []string{
		"smtp EHLO  0", "smtp DATA mbrain@localhost 0", "smtp BDAT  0", "smtp AUTH  0", "smtp AUTH+penalty  0",
		"pop3 AUTHORIZATION  0", "pop3 TRANSACTION mbrain@localhost 1",
	}
	words := func(f *conn.Facts) string {
		state := f.State
		if f.Waits != "" {
			state += "+" + f.Waits
		}
		return fmt.Sprintf("%s %s %s %d", f.Protocol, state, f.Account, f.Messages)
	}
	var found conn.Survey
	until(t, "the sessions are as they should be", func() bool {
		found = f.look(t, conn.Selection{}, 100)
		for i := range found.Sessions {
			if i < len(want) && words(&found.Sessions[i]) != want[i] {
				return false
			}
		}
		return len(found.Sessions) == len(want) && found.Total == len(want) && found.Sessions[1].In > 100
	})
	for _, test := range []struct {
		sel  conn.Selection
		want int
	}{
		{conn.Selection{Protocol: "pop3"}, 2}, {conn.Selection{Protocol: "smtp"}, 5}, {conn.Selection{Protocol: "submission"}, 0},
		{conn.Selection{Account: "mbrain"}, 2}, {conn.Selection{Account: "MBRAIN@localhost"}, 2}, {conn.Selection{Account: "mbrain@elsewhere"}, 0},
		{conn.Selection{Account: "mbrain", Protocol: "pop3"}, 1}, {conn.Selection{Account: "brain"}, 0},
		{conn.Selection{Client: netip.MustParsePrefix("127.0.0.0/8")}, 7}, {conn.Selection{Client: netip.MustParsePrefix("192.0.2.0/24")}, 0},
		{conn.Selection{IDs: []uint64{found.Sessions[0].ID, found.Sessions[6].ID, 1 << 60}}, 2},
	} {
		if got := f.look(t, test.sel, 100); got.Total != test.want || len(got.Sessions) != test.want {
			t.Errorf("%+v: %d and %d, want %d", test.sel, got.Total, len(got.Sessions), test.want)
		}
	}
	if got := f.look(t, conn.Selection{}, 3); got.Total != 7 || len(got.Sessions) != 3 || got.Sessions[2].ID != found.Sessions[6].ID {
		t.Errorf("the 3 newest of 7: %+v", got)
	}
	lines := f.listenIn()
	for range 2 { // the session that is in DATA ends after it; the others end now
		if n, err := f.Inside().End(t.Context(), conn.Selection{Client: netip.MustParsePrefix("127.0.0.1/32")}, false); err != nil || n < 2 {
			t.Errorf("ended %d, %v", n, err)
		}
	}
	greeted.expect("421 4.3.2 mx.test an operator has ended this session")
	greeted.end()
	user.expect("-ERR [SYS/TEMP] an operator has ended this session")
	drop.expect("-ERR [SYS/TEMP]")
	in.say(".", "250 2.0.0 ")
	in.expect("421 4.3.2 ")
	in.end()
	chunk.say("BDAT 0 LAST", "250 2.0.0 ")
	chunk.expect("421 ")
	if n, err := f.Inside().End(t.Context(), conn.Selection{Protocol: "smtp"}, true); err != nil || n == 0 {
		t.Errorf("cut off %d, %v", n, err)
	}
	until(t, "no session is left", func() bool { return f.look(t, conn.Selection{Protocol: "smtp"}, 0).Total == 0 })
	lines.has(t, "ended by an operator")
}

// Sessions come and go while they are listed. Sessions that stay are listed each time, once.
func TestSessionsEndWhileTheyAreListed(t *testing.T) {
	f := start(t, func(c *config.Config) { c.Limits.ConnectionsPerClient = 0 }, nil)
	const stay = 700 // more than a walk visits in one step on each loop
	staying := make(map[uint64]bool)
	for range stay {
		f.dialPOP3(t)
	}
	until(t, "all are there", func() bool { return f.look(t, conn.Selection{}, 0).Total == stay })
	for _, s := range f.look(t, conn.Selection{}, stay).Sessions {
		staying[s.ID] = true
	}
	ctx, cancel := context.WithCancel(t.Context())
	var all, looks sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for ctx.Err() == nil {
				p := dial(t, f.POP3Addrs()[0].String())
				p.expect("+OK")
				p.Close()
			}
		})
	}
	for range 20 {
		looks.Go(func() {
			seen := make(map[uint64]int)
			got, err := f.Inside().Look(t.Context(), conn.Selection{Protocol: "pop3"}, 5000)
			if err != nil {
				t.Error(err)
			}
			for _, s := range got.Sessions {
				seen[s.ID]++
			}
			for id := range staying {
				if seen[id] != 1 {
					t.Errorf("session %d is listed %d times", id, seen[id])
					return
				}
			}
		})
		time.Sleep(time.Millisecond)
	}
	looks.Wait()
	cancel()
	all.Wait()
	if n, err := f.Inside().End(t.Context(), conn.Selection{Protocol: "pop3"}, true); err != nil || n < stay {
		t.Errorf("ended %d, %v", n, err)
	}
	until(t, "no session is left", func() bool { return f.look(t, conn.Selection{}, 0).Total == 0 })
}

// A limit that refuses something is named with the time, and the last one comes first.
func TestLimitsThatBitAreTold(t *testing.T) {
	f := start(t, func(c *config.Config) { c.Limits.ConnectionsPerClient = 2 }, nil)
	if d := f.Inside().Details(t.Context()); len(d.Limits) != 0 {
		t.Fatalf("limits at the start: %+v", d.Limits)
	}
	for range 2 {
		f.dialSMTP(t).expect("220 ")
	}
	f.dialSMTP(t).expect("421 ")
	before := time.Now()
	var d admin.Details
	until(t, "the limit is told", func() bool {
		d = f.Inside().Details(t.Context())
		return len(d.Limits) > 0
	})
	if l := d.Limits[0]; l.Key != "limits.connections_per_client" || l.Count != 1 || l.Last.Before(before.Add(-time.Minute)) || d.Connections.Open != 2 {
		t.Errorf("%+v, %+v", l, d.Connections)
	}
	f.smtpsrv.Stats.OverBudget.Add(1)
	if d = f.Inside().Details(t.Context()); len(d.Limits) != 2 || d.Limits[0].Key != "limits.memory" {
		t.Errorf("%+v", d.Limits)
	}
	if len(d.Listeners) != 2 || len(d.Memory) != 4 || !d.Queue.Counted || d.Store.Figures["store_memtable_bytes"] == 0 {
		t.Errorf("%+v", d)
	}
}

// traced collects the lines of a trace until the test ends it.
type traced struct {
	mu    sync.Mutex
	lines []string
	end   func()
}

func (f *fixture) trace(t *testing.T, sel conn.Selection, before func()) *traced {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	tr := new(traced)
	go func() {
		done <- f.Inside().Trace(ctx, sel, func(all []conn.TraceLine) error {
			if before != nil {
				before()
			}
			tr.mu.Lock()
			defer tr.mu.Unlock()
			for _, l := range all {
				tr.lines = append(tr.lines, l.Text)
			}
			return nil
		})
	}()
	tr.end = func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	return tr
}

func (tr *traced) has(text string) bool {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for _, l := range tr.lines {
		if strings.Contains(l, text) {
			return true
		}
	}
	return false
}

// A trace shows new sessions from the greeting on, open ones from their next command on, and
// the sessions of an account after the login; TLS is told; the password is not.
func TestDialoguesAreTraced(t *testing.T) {
	f := start(t, func(c *config.Config) { withTLS(c); now(c) }, nil)
	open := f.hello(t)
	all := f.trace(t, conn.Selection{Client: netip.MustParsePrefix("127.0.0.1/32")}, nil)
	of := f.trace(t, conn.Selection{Account: "mbrain"}, nil)
	probe := f.dialPOP3(t) // a trace is on once it shows something
	probe.expect("+OK")
	until(t, "the first trace is on", func() bool { probe.say("CAPA", "+OK"); probe.listing(); return all.has(" -> CAPA") })
	open.say("NOOP", "250 ")
	in := f.hello(t)
	until(t, "both traces are on", func() bool {
		in = f.hello(t)
		in.say(plain("mbrain", "secret"), "235 ")
		in.say("MAIL FROM:<mbrain@localhost>", "250 ")
		return of.has(" -> MAIL FROM:<mbrain@localhost>")
	})
	secured := f.hello(t)
	secured.say("STARTTLS", "220 ")
	tls := secured.secure(modern)
	tls.say("EHLO inside.test", "250 ")
	tls.say("QUIT", "221 ")
	tls.Close()
	until(t, "the end of the session is told", func() bool { return all.has("=== the session has ended") })
	for _, want := range []string{" -> NOOP", "<-  220 ", " -> AUTH PLAIN (not shown)", "<-  235 ", " -> STARTTLS", "=== TLS started: TLSv1.3", " ~> EHLO inside.test", "<~  221 "} {
		if !all.has(want) {
			t.Errorf("no %q", want)
		}
	}
	if all.has(plain("mbrain", "secret")[len("AUTH PLAIN "):]) || of.has("NOOP") || of.has(" -> EHLO") || !of.has("account mbrain@localhost") {
		t.Errorf("a trace shows too much, or too little: %q", of.lines)
	}
	all.end()
	of.end()
	until(t, "nothing is left of the traces", func() bool { return f.edge.Tapped() == 0 })
}

// A reader that is slow loses lines, and hears how many; the sessions do not wait for it. A
// trace too many is refused.
func TestASlowReaderOfATraceLosesLines(t *testing.T) {
	f := start(t, nil, nil)
	reads := make(chan struct{})
	slow := f.trace(t, conn.Selection{Protocol: "smtp"}, func() { <-reads })
	p := f.hello(t)
	until(t, "the trace is on", func() bool { p.say("NOOP", "250 "); return f.edge.Tapped() == 1 })
	for range 3000 {
		p.say("NOOP", "250 ")
	}
	var others []*traced
	for range 3 {
		others = append(others, f.trace(t, conn.Selection{Protocol: "pop3"}, nil))
	}
	probe := f.dialPOP3(t)
	probe.expect("+OK")
	until(t, "all traces are on", func() bool {
		probe.say("NOOP", "-ERR")
		return others[0].has("NOOP") && others[1].has("NOOP") && others[2].has("NOOP")
	})
	if err := f.Inside().Trace(t.Context(), conn.Selection{}, nil); !errors.Is(err, conn.ErrTraces) {
		t.Errorf("a fifth trace: %v", err)
	}
	close(reads)
	until(t, "the loss is told", func() bool { return slow.has("lines are lost") })
	if n := len(slow.lines); n > 5000 {
		t.Errorf("%d lines were kept", n)
	}
	for _, tr := range append(others, slow) {
		tr.end()
	}
}

// Sessions of the web client are listed, ended and traced with the others, with ids that
// no other session has.
func TestWebSessionsAreAmongTheOthers(t *testing.T) {
	f := start(t, func(c *config.Config) { now(c) }, nil)
	client, err := f.WebClient(f.log.Logger)
	if err != nil {
		t.Fatal(err)
	}
	site := httptest.NewServer(client)
	t.Cleanup(site.Close)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar}
	var mu sync.Mutex
	var lines []string
	ctx, cancel := context.WithCancel(t.Context())
	var traces sync.WaitGroup
	traces.Go(func() {
		_ = f.Inside().Trace(ctx, conn.Selection{Account: "jsmith"}, func(all []conn.TraceLine) error {
			mu.Lock()
			defer mu.Unlock()
			for _, l := range all {
				lines = append(lines, fmt.Sprint(l.Session, " ", l.Text))
			}
			return nil
		})
	})
	p := f.login(t, "jsmith")
	until(t, "the trace has begun", func() bool { p.say("NOOP", "+OK"); return f.edge.Tapped() == 1 })
	a, err := browser.PostForm(site.URL+"/signin", url.Values{"user": {"jsmith"}, "password": {"secret"}})
	if err != nil || a.StatusCode != http.StatusOK {
		t.Fatal(a, err)
	}
	_ = a.Body.Close()
	p.say("STAT", "+OK")
	until(t, "both are listed", func() bool { return f.look(t, conn.Selection{Account: "jsmith"}, 10).Total == 2 })
	found := f.look(t, conn.Selection{Account: "jsmith@localhost"}, 10)
	web := found.Sessions[0]
	if web.Protocol != "web" {
		web = found.Sessions[1]
	}
	if web.Protocol != "web" || web.Account != "jsmith@localhost" || found.Sessions[0].ID >= found.Sessions[1].ID || len(found.Groups) != 2 || found.Groups[1].Protocol != "web" {
		t.Errorf("%+v", found)
	}
	if one := f.look(t, conn.Selection{}, 1); one.Total != 2 || len(one.Sessions) != 1 || one.Sessions[0].ID != found.Sessions[1].ID {
		t.Errorf("the newest one: %+v", one)
	}
	for _, want := range []string{fmt.Sprintf("%d  -> POST /signin", web.ID), fmt.Sprintf("%d <-  200 GET /, ", web.ID), " -> STAT"} {
		until(t, want, func() bool { mu.Lock(); defer mu.Unlock(); return strings.Contains(strings.Join(lines, "\n"), want) })
	}
	cancel()
	traces.Wait()
	if strings.Contains(strings.Join(lines, "\n"), "secret") {
		t.Errorf("the password is shown:\n%s", strings.Join(lines, "\n"))
	}
	if n, err := f.Inside().End(t.Context(), conn.Selection{Account: "jsmith"}, false); n != 2 || err != nil {
		t.Errorf("%d sessions are told to end, %v", n, err)
	}
	p.expect("-ERR [SYS/TEMP] an operator")
	if a, err = browser.Get(site.URL + "/"); err != nil || a.Request.URL.Path != "/signin" {
		t.Errorf("after its end the session is at %v, %v", a, err)
	}
	_ = a.Body.Close()
}
