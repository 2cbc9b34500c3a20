package e2e

import (
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// 10,000 wrong passwords from one network, by a thousand connections of both
// protocols. Most are never hashed, and none gets in; the network is then refused even
// the right one. Meanwhile the owner logs in from another network, again and again,
// each time with a hash since nothing is remembered; the owner's waits are printed.
func TestGuessingFromOneNetwork(t *testing.T) {
	heavy(t)
	const connections, guesses = 1000, 10
	a := newAuthority(t)
	s := secureServer(t, a, "[auth]\nfailure_delay = \"1s\"\ncache_ttl = \"0s\"\nfailure_window = \"24h\"\nfailures_per_account = 0\n[relay]\nnetworks = [\"192.0.2.0/24\"]\n", "reader")
	s.start()
	before := s.usage()
	var wrong, throttled atomic.Int64
	var guessers, owner sync.WaitGroup
	for i := range connections {
		guessers.Go(func() {
			if err := guess(s, i, guesses, &wrong, &throttled); err != nil {
				t.Errorf("connection %d: %v", i, err)
			}
		})
	}
	var waits []time.Duration
	over := make(chan struct{})
	owner.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-over:
				return
			default:
			}
			wait, err := logIn(s, a, i%2 == 0)
			if err != nil {
				t.Errorf("the owner: %v", err)
				return
			}
			waits = append(waits, wait)
		}
	})
	begin := time.Now()
	guessers.Wait()
	took := time.Since(begin)
	close(over)
	owner.Wait()
	cpu := s.usage().CPU - before.CPU

	t.Logf("%d wrong passwords in %.1f s: %d were looked at, %d were not; server CPU %.1f s",
		connections*guesses, took.Seconds(), wrong.Load(), throttled.Load(), cpu.Seconds())
	if wrong.Load()+throttled.Load() != connections*guesses {
		t.Errorf("%d answers to %d guesses", wrong.Load()+throttled.Load(), connections*guesses)
	}
	if wrong.Load() > 50 { // the default, and in 24h as good as none comes back during the test
		t.Errorf("%d guesses of one network were looked at, want at most 50", wrong.Load())
	}
	if len(waits) == 0 {
		t.Fatal("the owner never got in")
	}
	slices.Sort(waits)
	longest := waits[len(waits)-1]
	t.Logf("the owner logged in %d times meanwhile, TLS and all: median %s, 99 %% %s, longest %s",
		len(waits), waits[len(waits)/2], waits[len(waits)*99/100], longest)
	if longest > patience { // a second is the aim; only a hang is a fault
		t.Errorf("the owner waited %s", longest)
	}

	c, err := connect(net.IPv4(127, 0, 0, 77), s.smtp[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.play(steps{{"EHLO client.example", "250 "}, {"AUTH PLAIN " + encoded("\x00reader\x00"+password("reader")), "454 4.7.0"}, {"QUIT", "221 "}}); err != nil {
		t.Errorf("a network that guesses, with the right password: %v", err)
	}
	c.Close()
	s.terminate()
}

// guess tries wrong passwords at one connection from 127.0.0.0/24.
func guess(s *server, i, guesses int, wrong, throttled *atomic.Int64) error {
	from, smtp := net.IPv4(127, 0, 0, byte(2+i%200)), i%2 == 0
	addr := s.pop3[0]
	if smtp {
		addr = s.smtp[0]
	}
	c, err := connect(from, addr, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	if smtp {
		if err := c.play(steps{{"EHLO client.example", "250 "}}); err != nil {
			return err
		}
	}
	for n := range guesses {
		got, err := c.say("AUTH PLAIN " + encoded(fmt.Sprintf("\x00reader\x00guess %d.%d", i, n)) + "\r\n")
		switch {
		case err != nil:
			return err
		case strings.HasPrefix(got, "535 "), strings.HasPrefix(got, "-ERR [AUTH] "):
			wrong.Add(1)
		case strings.HasPrefix(got, "454 "), strings.HasPrefix(got, "-ERR [SYS/TEMP] "):
			throttled.Add(1)
		default:
			return fmt.Errorf("guess %d got %q", n, got)
		}
	}
	return nil
}

// logIn is one whole visit of the owner within TLS, from another network.
func logIn(s *server, a *authority, smtp bool) (time.Duration, error) {
	addr := s.pop3s[0]
	script := steps{{"AUTH PLAIN " + encoded("\x00reader\x00"+password("reader")), "+OK"}}
	if smtp {
		addr, script[0][1] = s.smtps[0], "235 "
		script = append(steps{{"EHLO client.example", "250 "}}, script...)
	}
	begin := time.Now()
	c, err := connect(net.IPv4(127, 1, 0, 1), addr, a.trusts())
	if err != nil {
		return 0, err
	}
	defer c.Close()
	err = c.play(script)
	wait := time.Since(begin)
	if err == nil {
		_, err = c.say("QUIT\r\n")
	}
	return wait, err
}

// A login that is remembered ends with its password, and not a moment later.
func TestPasswordChangeEndsARememberedLogin(t *testing.T) {
	a := newAuthority(t)
	s := secureServer(t, a, "[auth]\ncache_ttl = \"1h\"\nfailure_delay = \"0s\"\n", "reader")
	s.start()
	try := func(word, want string) {
		t.Helper()
		for _, script := range []steps{
			{{"USER reader", "+OK"}, {"PASS " + word, want}},
			{{"AUTH PLAIN " + encoded("\x00reader\x00"+word), want}},
		} {
			c := must(t, s.pop3s[0], a.trusts())
			if err := c.play(append(script, [2]string{"QUIT", "+OK"})); err != nil {
				t.Error(err)
			}
			c.Close()
		}
	}
	word := password("reader")
	for i := range 5 {
		try(word, "+OK") // hashed, then remembered
		next := fmt.Sprint("changed ", i)
		change := exec.Command(binary, "account", "passwd", "reader", "--password-stdin", "--data", s.data)
		change.Stdin = strings.NewReader(next + "\n")
		if out, err := change.CombinedOutput(); err != nil {
			t.Fatalf("account passwd: %v\n%s", err, out)
		}
		try(word, "-ERR")
		word = next
	}
	try(word, "+OK")
	s.terminate()
}
