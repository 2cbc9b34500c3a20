package e2e

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// 10,000 sessions idle within TLS. What one costs is printed. All of them still
// answer after they have given back their buffers.
func TestIdleTLSSessions(t *testing.T) {
	heavy(t)
	const sessions, dialers = 10_000, 10
	a := newAuthority(t)
	s := secureServer(t, a, "[limits]\nconnections = 20000\nconnections_per_client = 20000\n", "reader")
	s.start()
	if err := visit(s, a, net.IPv4(127, 0, 0, 1)); err != nil { // so that nothing is cold
		t.Fatal(err)
	}
	before := s.usage()
	begin := time.Now()
	idle := make([]*socket, sessions)
	each := func(do func(n int) error) {
		t.Helper()
		var wg sync.WaitGroup
		for i := range dialers {
			wg.Go(func() {
				for n := i; n < sessions; n += dialers {
					if err := do(n); err != nil {
						t.Errorf("session %d: %v", n, err)
						return
					}
				}
			})
		}
		wg.Wait()
		if t.Failed() {
			t.FailNow()
		}
	}
	each(func(n int) (err error) {
		if idle[n], err = connect(net.IPv4(127, 0, 0, byte(2+n%dialers)), s.smtps[0], a.trusts()); err == nil {
			err = idle[n].play(steps{{"EHLO client.example", "250 "}})
		}
		return err
	})
	opened := time.Since(begin)
	after := s.usage()
	t.Logf("%d TLS sessions opened in %.1f s; PSS %.1f MB before, %.1f MB after: %d octets a session, %d us of CPU",
		sessions, opened.Seconds(), float64(before.PSS)/1e6, float64(after.PSS)/1e6,
		(after.PSS-before.PSS)/sessions, (after.CPU-before.CPU).Microseconds()/sessions)
	if each := (after.PSS - before.PSS) / sessions; each > 18_000 { // what a goroutine for each would cost
		t.Errorf("an idle TLS session costs %d octets", each)
	}
	time.Sleep(8 * time.Second) // until all have been silent so long that they have given back their buffers
	each(func(n int) error { return idle[n].play(steps{{"NOOP", "250 "}}) })
	for _, c := range idle {
		c.Conn.Close()
	}
	s.terminate()
}

// visit is a whole session within TLS without mail.
func visit(s *server, a *authority, from net.IP) error {
	c, err := connect(from, s.smtps[0], a.trusts())
	if err != nil {
		return err
	}
	defer c.Close()
	return c.play(steps{{"QUIT", "221 "}})
}

// Full handshakes at a high rate, by processes with less priority, so that only the
// server slows the measuring client. The test prints how many there are in a second, and
// how long an established session waits for the answer to NOOP.
func TestHandshakeStorm(t *testing.T) {
	heavy(t)
	need(t, "openssl")
	const stormers, seconds = 16, 5
	a := newAuthority(t)
	s := secureServer(t, a, "", "reader")
	s.start()
	c := must(t, s.smtps[0], a.trusts())
	measure := func() (waits []time.Duration) {
		for begin := time.Now(); time.Since(begin) < (seconds-1)*time.Second; time.Sleep(time.Millisecond) {
			asked := time.Now()
			if err := c.play(steps{{"NOOP", "250 "}}); err != nil {
				t.Fatal(err)
			}
			waits = append(waits, time.Since(asked))
		}
		slices.Sort(waits)
		return waits
	}
	calm := measure()
	var handshakes atomic.Int64
	var storm sync.WaitGroup
	before := s.usage()
	for range stormers {
		storm.Go(func() {
			out, err := exec.CommandContext(t.Context(), "nice", "openssl", "s_time", "-connect", s.smtps[0], "-new", "-time", fmt.Sprint(seconds)).CombinedOutput()
			m := connectionsInTime.FindSubmatch(out)
			if err != nil || m == nil {
				t.Errorf("s_time: %v\n%s", err, out)
				return
			}
			n, _ := strconv.Atoi(string(m[1])) // it has only digits
			handshakes.Add(int64(n))
		})
	}
	rough := measure()
	storm.Wait()
	cpu, count := s.usage().CPU-before.CPU, handshakes.Load()
	t.Logf("%d full handshakes a second with their clients on the same cores, %d us of server CPU each",
		count/seconds, cpu.Microseconds()/max(count, 1))
	for _, w := range []struct {
		when  string
		waits []time.Duration
	}{{"calm", calm}, {"in the storm", rough}} {
		n := len(w.waits)
		t.Logf("NOOP %s: median %s, 99 %% %s, longest %s of %d", w.when, w.waits[n/2], w.waits[n*99/100], w.waits[n-1], n)
	}
	if count == 0 {
		t.Error("there was no storm")
	}
	if longest := rough[len(rough)-1]; longest > patience { // only a hang is a fault
		t.Errorf("a NOOP waited %s", longest)
	}
	c.Close()
	s.terminate()
}

var connectionsInTime = regexp.MustCompile(`(\d+) connections in \d+ real seconds`)

// Handshakes that begin and go no further are capped: more of them are hung up on,
// STARTTLS gets 454, sessions go on, and there is room again once they have ended.
// POSTRIDER_STALLED=8000 tries so many against the default limit.
func TestStalledHandshakes(t *testing.T) {
	heavy(t)
	most, stalled := 100, 300
	if n, err := strconv.Atoi(os.Getenv("POSTRIDER_STALLED")); err == nil {
		most, stalled = 4096, n
	}
	a := newAuthority(t)
	s := secureServer(t, a, "", "reader", fmt.Sprint("max_handshakes = ", most))
	s.start()
	session := must(t, s.smtps[0], a.trusts())
	before := s.usage()
	hello := clientHello(t) // the whole hello: a session that has computed its keys and waits costs the most
	gone := make(chan int, stalled)
	var conns []net.Conn
	for i := range stalled {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+i%10))}}
		c, err := d.Dial("tcp", s.smtps[0])
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
		if _, err := c.Write([]byte(hello)); err != nil {
			t.Fatal(err)
		}
		go func() {
			_, _ = io.Copy(io.Discard, c) // the server's flight, and then nothing but the end
			gone <- i
		}()
	}
	for n := range stalled - most {
		select {
		case <-gone:
		case <-time.After(patience / 3):
			t.Fatalf("%d of %d stalled handshakes were hung up on, want %d", n, stalled, stalled-most)
		}
	}
	after := s.usage()
	t.Logf("%d handshakes stalled, %d of them hung up on: PSS %.1f MB before, %.1f MB with them", stalled, stalled-most, float64(before.PSS)/1e6, float64(after.PSS)/1e6)
	if err := session.play(steps{{"EHLO client.example", "250 "}, {"NOOP", "250 "}}); err != nil {
		t.Errorf("a session from before: %v", err)
	}
	plain := must(t, s.smtp[0], nil)
	if err := plain.play(steps{{"EHLO client.example", "250 "}, {"STARTTLS", "454 4.7.0"}, {"NOOP", "250 "}}); err != nil {
		t.Error(err)
	}
	pop3 := must(t, s.pop3[0], nil)
	if err := pop3.play(steps{{"STLS", "-ERR"}, {"QUIT", "+OK"}}); err != nil {
		t.Error(err)
	}
	select {
	case i := <-gone:
		t.Errorf("handshake %d was within the limit and was hung up on", i)
	default:
	}
	for _, c := range conns {
		c.Close()
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		got, err := plain.say("STARTTLS\r\n")
		if err == nil && got[:3] == "220" {
			break
		}
		if err != nil || got[:3] != "454" || time.Now().After(deadline) {
			t.Fatalf("after the stalled ones have gone, STARTTLS got %q, %v", got, err)
		}
	}
	if err := plain.secure(a.trusts()); err != nil {
		t.Error(err)
	}
	s.terminate()
}

// Certificates are renewed under load: each new session is shown the newest one, and
// none that there is, or comes, is dropped; what is acknowledged is there once.
func TestCertificateReloadUnderLoad(t *testing.T) {
	heavy(t)
	const renewals = 20
	a := newAuthority(t)
	s := secureServer(t, a, "", "reader")
	s.start()
	shown := func() string {
		c := must(t, s.smtps[0], a.trusts())
		defer c.Close()
		return c.Conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	long := must(t, s.smtps[0], a.trusts())
	var over atomic.Bool
	var sent atomic.Int64
	var load sync.WaitGroup
	for i := range 8 {
		load.Go(func() {
			for !over.Load() {
				if err := submit(s, a, net.IPv4(127, 0, 0, byte(2+i))); err != nil {
					t.Errorf("client %d: %v", i, err)
					return
				}
				sent.Add(1)
			}
		})
	}
	for range renewals {
		old := shown()
		s.renew(a)
		for deadline := time.Now().Add(patience); shown() == old; {
			if time.Now().After(deadline) {
				t.Fatal("SIGHUP did not bring the new certificate")
			}
		}
		if err := long.play(steps{{"NOOP", "250 "}}); err != nil {
			t.Fatalf("a session from before all renewals: %v", err)
		}
	}
	over.Store(true)
	load.Wait()
	long.Close()
	t.Logf("%d certificates in turn, %d messages meanwhile", renewals+1, sent.Load())
	if got := len(s.fetch("reader", true)); got != int(sent.Load()) || got == 0 {
		t.Errorf("%d messages are there, %d were acknowledged", got, sent.Load())
	}
	s.terminate()
}

// submit is a session within TLS with one message.
func submit(s *server, a *authority, from net.IP) error {
	c, err := connect(from, s.smtps[0], a.trusts())
	if err != nil {
		return err
	}
	defer c.Close()
	return c.play(steps{{"EHLO client.example", "250 "}, {"MAIL FROM:<x@client.example>", "250 "}, {"RCPT TO:<reader@localhost>", "250 "},
		{"DATA", "354 "}, {"Subject: renewed\r\n\r\ntext\r\n.", "250 "}, {"QUIT", "221 "}})
}
