package e2e

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postrider/bench"
)

// restarted is what "postrider restart --json" prints.
type restarted struct {
	Before, Version, Error string
	PID                    int
	Done                   *struct {
		Ended, Cut int
		Took, Gap  float64
		Fault      string
	}
}

// restart is the command, and its exit code.
func (s *server) restart() (r restarted, code int, said string) {
	s.t.Helper()
	cmd := exec.Command(binary, "restart", "--json", "--data", s.data)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run() // its code tells
	if out.Len() > 0 {
		if err := json.Unmarshal(out.Bytes(), &r); err != nil {
			s.t.Errorf("restart prints %q: %v", out.String(), err)
		}
	}
	return r, cmd.ProcessState.ExitCode(), errs.String()
}

// mustRestart wants a restart to be good.
func (s *server) mustRestart() restarted {
	s.t.Helper()
	r, code, said := s.restart()
	if code != 0 || r.Done == nil || r.PID != s.cmd.Process.Pid {
		s.t.Fatalf("restart: exit code %d, %+v, %s\n%s", code, r, said, s.log)
	}
	return r
}

// errClosed: the server has ended a session with a reply that says so.
var errClosed = errors.New("closed by the server")

// crowd are clients that connect again and again. Each of them fails at once when a connection
// is refused, or ends without a word.
type crowd struct {
	books  *ledger
	next   atomic.Int64 // message
	closed atomic.Int64 // sessions that the server has ended
	logins atomic.Int64
	asked  atomic.Int64 // by HTTP
	orders atomic.Int64 // commands
}

// line reads a reply of SMTP or POP3. A reply that ends the session is errClosed.
func line(d *dialogue, word string) error {
	reply, err := d.want(word)
	if err != nil && (strings.HasPrefix(reply, "421 ") || strings.HasPrefix(reply, "-ERR [SYS/TEMP] server shutting down")) {
		return errClosed
	}
	return err
}

// chat sends lines, and wants a reply to each.
func chat(d *dialogue, pairs ...string) error {
	for i := 0; i < len(pairs); i += 2 {
		_, _ = io.WriteString(d, pairs[i]+"\r\n") // an error shows where the reply is read
		if err := line(d, pairs[i+1]); err != nil {
			if !errors.Is(err, errClosed) {
				err = fmt.Errorf("%.20s: %w", pairs[i], err)
			}
			return err
		}
	}
	return nil
}

// arrive connects. It is an error if the server does not greet.
func arrive(addr string, within bool, greeting string) (*dialogue, error) {
	c, err := net.Dial("tcp", addr)
	if err == nil && within {
		c = tls.Client(c, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // a test
	}
	if err != nil {
		return nil, fmt.Errorf("refused: %w", err)
	}
	_ = c.SetDeadline(time.Now().Add(5 * patience))
	d := newDialogue(c)
	if _, err := d.want(greeting); err != nil {
		_ = c.Close()
		return nil, fmt.Errorf("no greeting: %w", err)
	}
	return d, nil
}

// sends delivers a message in a session of its own.
func (c *crowd) sends(addr string, within bool, account string) error {
	d, err := arrive(addr, within, "220 ")
	if err != nil {
		return err
	}
	defer d.Close()
	n := int(c.next.Add(1))
	message := string(bench.Message(n, 2000))
	if err := chat(d, "EHLO client.test", "250", "MAIL FROM:<sender@client.example>", "250", "RCPT TO:<"+account+"@localhost>", "250", "DATA", "354",
		message+".", "250"); err != nil {
		return err
	}
	c.books.mu.Lock()
	c.books.acknowledged[n] = true
	c.books.mu.Unlock()
	return chat(d, "QUIT", "221")
}

// looks logs in by POP3.
func (c *crowd) looks(addr string, within bool, account string) error {
	d, err := arrive(addr, within, "+OK")
	if err != nil {
		return err
	}
	defer d.Close()
	err = chat(d, "USER "+account, "+OK", "PASS "+password(account), "+OK", "STAT", "+OK", "NOOP", "+OK", "QUIT", "+OK")
	if err == nil {
		c.logins.Add(1)
	}
	return err
}

// gets asks for a page, over a connection of its own.
func (c *crowd) gets(addr string) error {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * patience}
	answer, err := client.Get("http://" + addr + "/healthz")
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	c.asked.Add(1)
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("/healthz: %s", answer.Status)
	}
	return nil
}

// run does something again and again until over is closed.
func (c *crowd) run(t *testing.T, all *sync.WaitGroup, over <-chan struct{}, once func() error) {
	all.Go(func() {
		for {
			select {
			case <-over:
				return
			case <-time.After(5 * time.Millisecond):
			}
			switch err := once(); {
			case errors.Is(err, errClosed):
				c.closed.Add(1)
			case err != nil:
				t.Error(err)
				return
			}
		}
	})
}

// 20 senders, 8 POP3 clients, HTTP clients and commands connect all the time, through six
// restarts. No connection is refused or ends without a word, no command fails, and each message
// that got its 250 is there once.
func TestRestartUnderLoad(t *testing.T) {
	heavy(t)
	const restarts = 6
	var accounts []string
	for i := range 8 {
		accounts = append(accounts, fmt.Sprintf("user%d", i))
	}
	s := newServer(t, append(accounts, "reader")...)
	s.args = append(s.args, "--http", "127.0.0.1:0", "--smtps", "127.0.0.1:0", "--pop3s", "127.0.0.1:0")
	s.start()
	c := &crowd{books: newLedger()}
	var all sync.WaitGroup
	over := make(chan struct{})
	end := sync.OnceFunc(func() { close(over); all.Wait() })
	defer end()
	for i := range 20 {
		addr, within := s.smtp[0], i%10 == 9
		if within {
			addr = s.smtps[0]
		}
		c.run(t, &all, over, func() error { return c.sends(addr, within, accounts[i%len(accounts)]) })
	}
	for i := range accounts {
		addr, within := s.pop3[0], i%4 == 3
		if within {
			addr = s.pop3s[0]
		}
		c.run(t, &all, over, func() error { return c.looks(addr, within, accounts[i]) })
	}
	for range 2 {
		c.run(t, &all, over, func() error { return c.gets(s.http[0]) })
	}
	for _, args := range [][]string{{"status", "--data", s.data}, {"account", "list", "--data", s.data}} {
		c.run(t, &all, over, func() error {
			c.orders.Add(1)
			if out, err := exec.Command(binary, args...).CombinedOutput(); err != nil {
				return fmt.Errorf("%s: %w: %s", args[0], err, out)
			}
			return nil
		})
	}
	var local atomic.Int64
	c.run(t, &all, over, func() error {
		cmd := exec.Command(binary, "sendmail", "--data", s.data, "reader")
		cmd.Stdin = strings.NewReader("Subject: x\n\nx\n")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("sendmail: %w: %s", err, out)
		}
		local.Add(1)
		return nil
	})
	longest := 0.0
	for range restarts {
		done := c.next.Load() + 200
		eventually(t, "messages go on after a restart", func() bool { return c.next.Load() > done || t.Failed() })
		if t.Failed() {
			break
		}
		r := s.mustRestart()
		longest = max(longest, r.Done.Gap)
		t.Logf("restart in %.2f s, not accepting for %.2f s; %d sessions ended, %d cut off", r.Done.Took, r.Done.Gap, r.Done.Ended, r.Done.Cut)
	}
	end()
	s.check()
	c.books.collect(t, s, accounts)
	acknowledged := c.books.settle(t)
	if got := len(s.fetch("reader", true)); got != int(local.Load()) {
		t.Errorf("%d messages of sendmail are there, want %d", got, local.Load())
	}
	if c.closed.Load() == 0 || c.logins.Load() == 0 || c.asked.Load() == 0 || acknowledged == 0 {
		t.Errorf("the load shows nothing: %d messages, %d sessions ended by the server, %d logins, %d pages", acknowledged, c.closed.Load(), c.logins.Load(), c.asked.Load())
	}
	t.Logf("%d restarts, the longest gap %.2f s: %d messages with a 250 are there once, and %d of sendmail, %d logins, %d pages, %d commands; %d sessions ended by the server with a reply",
		restarts, longest, acknowledged, local.Load(), c.logins.Load(), c.asked.Load(), c.orders.Load(), c.closed.Load())
	s.terminate()
}
