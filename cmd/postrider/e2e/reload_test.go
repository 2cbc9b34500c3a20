package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// dialogue is a session that a test is in the middle of.
type dialogue struct {
	net.Conn
	r *bufio.Reader
}

// begin connects, and reads the greeting.
func begin(addr, greeting string) (*dialogue, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	_ = c.SetDeadline(time.Now().Add(5 * patience))
	d := newDialogue(c)
	_, err = d.want(greeting)
	return d, err
}

func newDialogue(c net.Conn) *dialogue { return &dialogue{c, bufio.NewReader(c)} }

// want reads a reply, and wants it to begin with a word.
func (d *dialogue) want(word string) (reply string, err error) {
	for {
		line, err := d.r.ReadString('\n')
		if err != nil {
			return reply, fmt.Errorf("%s after %q", err, reply)
		}
		reply += line
		if len(line) > 3 && line[3] == '-' && word[0] != '+' {
			continue
		}
		if !strings.HasPrefix(line, word) {
			return reply, fmt.Errorf("%q in place of %s", reply, word)
		}
		return reply, nil
	}
}

// say sends lines, and wants a reply to each.
func (d *dialogue) say(pairs ...string) error {
	for i := 0; i < len(pairs); i += 2 {
		if _, err := io.WriteString(d, pairs[i]+"\r\n"); err != nil {
			return err
		}
		if _, err := d.want(pairs[i+1]); err != nil {
			return fmt.Errorf("%s: %w", pairs[i], err)
		}
	}
	return nil
}

// turns runs the halves of all sessions: all are in the middle of something when between is
// called, and go on after it.
type turns struct {
	halves []func(round int, last bool) error // the first half, then the second
	errs   chan error
}

func (u *turns) round(n int, between func()) (first error) {
	for _, last := range []bool{false, true} {
		var wg sync.WaitGroup
		for _, half := range u.halves {
			wg.Go(func() {
				if err := half(n, last); err != nil {
					select {
					case u.errs <- err:
					default:
					}
				}
			})
		}
		wg.Wait()
		select {
		case err := <-u.errs:
			return err
		default:
		}
		if !last {
			between()
		}
	}
	return nil
}

// farAway is the recipient of a session's message, at one of some destinations.
func farAway(i, round int) string { return fmt.Sprintf("r%d-%d@far%d.test", i, round, i%7) }

// smtpHalves are of a session that sends a message a round, half of it before the reload.
func smtpHalves(addr string, i int) (func(int, bool) error, *dialogue, error) {
	d, err := begin(addr, "220")
	if err == nil {
		err = d.say("EHLO client.test", "250")
	}
	return func(round int, last bool) error {
		if last {
			return d.say("the other half\r\n.", "250", "NOOP", "250")
		}
		err := d.say(fmt.Sprintf("MAIL FROM:<u%d@localhost>", i), "250", "RCPT TO:<"+farAway(i, round)+">", "250", "DATA", "354")
		if err == nil {
			_, err = io.WriteString(d, "Subject: x\r\n\r\none half\r\n")
		}
		return err
	}, d, err
}

// pop3Halves are of a session that asks before the reload and reads the reply after it.
func pop3Halves(addr, user string) (func(int, bool) error, *dialogue, error) {
	d, err := begin(addr, "+OK")
	if err == nil {
		err = d.say("USER "+user, "+OK", "PASS "+password(user), "+OK")
	}
	return func(_ int, last bool) error {
		if !last {
			_, err := io.WriteString(d, "STAT\r\nNO")
			return err
		}
		if _, err := d.want("+OK 0 0"); err != nil {
			return err
		}
		return d.say("OP", "+OK")
	}, d, err
}

// 200 sessions are in the middle of things at each of 20 reloads, which change limits,
// routing and listeners. None is dropped, no message is lost or sent twice, and what begins
// after a reload goes by the new rules.
func TestReloadUnderLoad(t *testing.T) {
	const each, rounds = 100, 20
	port, hosts := startPeers(t, "127.0.0.2", "127.0.0.3")
	var names []string
	for i := range each {
		names = append(names, fmt.Sprintf("u%d", i))
	}
	s := newServer(t, names...)
	file := filepath.Join(t.TempDir(), "postrider.toml")
	more := freePort(t)
	size := func(round int) int { return 1_000_000 + round }
	write := func(round int) {
		text := fmt.Sprintf("[relay]\ntransports = [\"far3.test=[127.0.0.%d]:%d\"]\n", 3-round%2, port)
		if round%5 == 2 { // several next hops of one destination
			text += fmt.Sprintf("sender_transports = [\"u12@localhost=[127.0.0.2]:%d\", \"u13@localhost=[127.0.0.3]:%[1]d\"]\n", port)
		}
		text += fmt.Sprintf("smarthost = \"[127.0.0.%d]:%d\"\nretry = [\"1s\"]\nconnections = %d\n", 2+round%2, port, 20+round) +
			fmt.Sprintf("[smtp]\nmax_size = %d\nmax_errors = %d\ncommand_timeout = \"%dm\"\n", size(round), 5+round, 5+round) +
			fmt.Sprintf("[pop3]\nidle_timeout = \"%dm\"\n[limits]\nconnections = %d\n[policy]\ngreylist = %v\nclient_messages = \"%d/1m\"\n", 10+round, 400+round, round%3 == 0, 1000+round) +
			fmt.Sprintf("[auth]\nfailures_per_network = %d\n", 50+round)
		if round%2 == 1 {
			text += fmt.Sprintf("[submission]\nlisten = [\"127.0.0.1:%d\"]\n", more)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(0)
	s.args = append(s.args, "--config", file)
	s.start()

	u := &turns{errs: make(chan error, 1)}
	for i := range each {
		smtp, d, err := smtpHalves(s.smtp[0], i)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		pop3, p, err := pop3Halves(s.pop3[0], names[i])
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		u.halves = append(u.halves, smtp, pop3)
	}
	for round := 1; round <= rounds; round++ {
		err := u.round(round, func() {
			write(round)
			s.reloadBy(round, "smtp.max_size", fmt.Sprintf("\"%d\"", size(round)))
			s.newRules(size(round), round%2 == 1, more)
			if got, want := s.run("route", "x@far1.test"), fmt.Sprintf("[127.0.0.%d]:%d", 2+round%2, port); !strings.Contains(got, want) {
				t.Errorf("round %d: route says %q, want %s", round, got, want)
			}
		})
		if err != nil {
			t.Fatalf("round %d: a session is dropped: %v", round, err)
		}
	}
	eventually(t, "all mail has left", func() bool { return hosts[0].total()+hosts[1].total() >= each*rounds })
	for round := 1; round <= rounds; round++ {
		for i := range each {
			to := farAway(i, round)
			if n := hosts[0].got(to) + hosts[1].got(to); n != 1 {
				t.Errorf("%s arrived %d times", to, n)
			}
		}
	}
	t.Logf("%d sessions, %d reloads: 0 dropped; %d messages by the first host, %d by the second", 2*each, rounds, hosts[0].total(), hosts[1].total())
	s.terminate()
}

// reloadBy reloads by the command, or each other time by SIGHUP, and waits until the key has
// its value.
func (s *server) reloadBy(round int, key, value string) {
	s.t.Helper()
	if round%2 == 0 {
		if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			s.t.Fatal(err)
		}
		eventually(s.t, key+" is "+value, func() bool { return strings.Contains(s.run("config", "show", "--running"), " = "+value+"\n") })
		return
	}
	var done struct {
		Changes []struct {
			Key, New string
			Applied  bool
		}
	}
	if err := json.Unmarshal([]byte(s.run("reload", "--json")), &done); err != nil {
		s.t.Fatal(err)
	}
	found := false
	for _, c := range done.Changes {
		if !c.Applied {
			s.t.Errorf("%s is not applied", c.Key)
		}
		found = found || c.Key == key && c.New == value
	}
	if !found {
		s.t.Errorf("%s is not in %v", key, done.Changes)
	}
}

// logs waits until the log has a text.
func (s *server) logs(text string) {
	s.t.Helper()
	eventually(s.t, fmt.Sprintf("the log has %q", text), func() bool { return strings.Contains(fmt.Sprint(s.log), text) })
}

// newRules wants a new session to have the new limit, and an address to be listened on or
// not.
func (s *server) newRules(size int, listens bool, port int) {
	s.t.Helper()
	d, err := begin(s.smtp[0], "220")
	if err != nil {
		s.t.Error(err)
		return
	}
	defer d.Close()
	if _, err := io.WriteString(d, "EHLO new.test\r\n"); err != nil {
		s.t.Error(err)
	}
	if reply, err := d.want("250"); err != nil || !strings.Contains(reply, fmt.Sprintf("SIZE %d\r\n", size)) {
		s.t.Errorf("a new session says %q, %v; want SIZE %d", reply, err, size)
	}
	eventually(s.t, fmt.Sprintf("port %d is as configured: %v", port, listens), func() bool {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			c.Close()
		}
		return (err == nil) == listens
	})
}

// A file that is broken, and one whose addresses can't be had, change nothing: the answer
// says what is wrong, and the exit code is 78.
func TestReloadOfABrokenFile(t *testing.T) {
	t.Parallel()
	s := newServer(t, "reader")
	file := filepath.Join(t.TempDir(), "postrider.toml")
	s.args = append(s.args, "--config", file)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("[smtp]\nmax_size = \"1MiB\"\n")
	s.start()
	for text, want := range map[string]string{
		"[smtp]\nmax_size = \"2MiB\"\nmax_hops = 1\n":                                           "postrider.toml:3: smtp.max_hops: 1 is out of bounds",
		"[smtp]\nmax_size = \"2MiB\"\n[nonsense]\n":                                             "postrider.toml:3: nonsense: no such group",
		"[smtp]\nmax_size = \"2MiB\"\n[relay]\npasswords = \"/nowhere\"\n":                      "/nowhere",
		"[smtp]\nmax_size = \"2MiB\"\n[log]\nto = \"/nowhere/log\"\n":                           "/nowhere/log",
		"[smtp]\nmax_size = \"2MiB\"\n[pop3]\nlisten_tls = [\"" + taken.Addr().String() + "\"]": "pop3.listen_tls " + taken.Addr().String() + ": bind: address already in use",
	} {
		write(text)
		cmd := exec.Command(binary, "reload", "--data", s.data)
		out, _ := cmd.CombinedOutput()
		code := cmd.ProcessState.ExitCode()
		if !strings.Contains(string(out), want) || !strings.Contains(string(out), "goes on with the old configuration") || code != 78 {
			t.Errorf("%q: exit code %d, %s", text, code, out)
		}
		s.logs(want)
		s.newRules(1<<20, false, freePort(t))
	}
	write("[smtp]\nmax_size = \"2MiB\"\n[storage]\ncache = \"9MiB\"\n")
	if out := s.run("reload"); !strings.Contains(out, "smtp.max_size applied\n  old: \"1MiB\"\n  new: \"2MiB\"") || !strings.Contains(out, "storage.cache needs a restart\n  old: \"256MiB\"\n  new: \"9MiB\"") {
		t.Errorf("%s", out)
	}
	s.newRules(2<<20, false, freePort(t))
	s.terminate()
}
